"""The machine of stubs, for jobs."""

from tests.unit.clusters.conftest import stand

__all__ = ["stand"]
