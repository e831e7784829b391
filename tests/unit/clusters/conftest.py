"""A machine of stubs for one test."""

from pathlib import Path

import pytest

from tests.unit.clusters.fake_machine import FakeMachine


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    """A machine where every program exists and succeeds unless a test says otherwise."""
    fake = FakeMachine(tmp_path)
    (tmp_path / "tmp").mkdir()
    fake.install("kwokctl", "kubectl", "kind", "k3d", "docker")
    return fake
