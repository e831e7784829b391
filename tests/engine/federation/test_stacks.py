"""Every committed stack of Docker's clusters on simulated control planes: nothing is overridden but the provisioner."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh_federation.toolchain.install import Toolchain
from tests.checkout import Checkout, checkout

STACKS = ["east-west", "separate-roots", "as-local", "gateway-api", "egress", "multi-primary", "three-meshes"]


@pytest.fixture(params=STACKS)
def simulated(request: pytest.FixtureRequest, toolchain: Toolchain, tmp_path: Path) -> Iterator[Checkout]:
    """A checkout in which the stack has not run yet."""
    with checkout(toolchain, request.param) as made:
        clusters = made.declared()["clusters"]
        assert isinstance(clusters, dict)
        overlay = tmp_path / "simulated.yaml"
        overlay.write_text(json.dumps({"clusters": {name: {"provisioner": "kwok"} for name in clusters}}))
        made.ambient["MESH_OVERLAY"] = str(overlay)
        yield made


def test_a_stack_comes_up_stands_still_takes_an_edit_and_goes(simulated: Checkout) -> None:
    simulated.up()
    assert set(simulated.up().changes()) == {"unchanged"}
    with simulated.edited() as federation:
        links = federation.get("imports") or federation["discovery"]
        assert isinstance(links, list)
        links.clear()
    edited = simulated.up().changes()
    assert edited["deleted"] > 0
    simulated.down()
    assert not simulated.stack_exists()
    assert simulated.control_planes() == simulated.reservations() == []
