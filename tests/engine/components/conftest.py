"""Runs of the whole program with the pinned charts and manifests; no engine, no cluster."""

import os

import pytest

from mesh_federation.toolchain import pins
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.install import Missing, Toolchain, survey
from mesh_federation.toolchain.locate import shelf
from tests.unit.components.conftest import record, simulated, theirs

__all__ = ["simulated", "record", "theirs"]

NEEDED = ("helm", "chart-base", "chart-istiod", "chart-gateway", "metallb", "gateway-api")
"""The pieces of the toolchain that the program uses at plan time."""


@pytest.fixture(scope="session")
def tools(theirs: dict[str, str]) -> dict[str, str]:
    """Environment with Helm and the pinned charts, which the program renders at plan time."""
    host = Host.current()
    pinned = pins.load(host)
    found = survey(pinned, [piece for piece in pinned.pieces if piece.name in NEEDED], host)
    assert set(found) == set(NEEDED)
    if missing := tuple(name for name, place in found.items() if place is None):
        pytest.skip(f"THE WHOLE PROGRAM IS NOT TESTED: {Missing(missing)}")
    store = shelf(pinned, host)
    environment = Toolchain(store.bin, store.charts, manifests=store.manifests).environment()
    path = os.pathsep.join([theirs["PATH"], environment["PATH"]])
    return {**environment, **theirs, "PATH": path}
