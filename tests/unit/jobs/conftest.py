"""The machine of stubs, for jobs."""

from tests.unit.clusters.conftest import machine

__all__ = ["machine"]
