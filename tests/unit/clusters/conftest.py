"""A machine of stubs for one test."""

from pathlib import Path

import pytest

from tests.unit.clusters.stand import Stand


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    """A machine where every program is there and does as it is told."""
    machine = Stand(tmp_path)
    (tmp_path / "tmp").mkdir()
    machine.install("kwokctl", "kubectl", "kind", "k3d", "docker")
    return machine
