"""Bring-ups that are killed or stopped: the next one goes on, and each can be removed as it is."""

from collections.abc import Iterator

import pytest

from tests.checkout import Checkout, eventually, interrupt
from tests.interruption import begun, interrupted
from tests.traffic.containers import as_containers
from tests.traffic.lab import NODES
from tests.traffic.nodes import Nodes

pytestmark = pytest.mark.long

CLUSTERS = begun("west-create")
METALLB = begun("Deployment", "metallb-system/controller")
ISTIO = begun("Deployment", "istio-system/istiod")
GATEWAYS = begun("Deployment", "istio-system/istio-eastwestgateway")
LINKS = begun("ServiceEntry", "import-httpbin-httpbin")
PHASES = {"kind": (CLUSTERS, METALLB, ISTIO, GATEWAYS, LINKS), "native": (CLUSTERS, ISTIO, GATEWAYS, LINKS)}


@pytest.fixture
def nodes(fresh: Checkout, provider: str) -> Nodes:
    """Nodes of the checkout in which a bring-up is interrupted."""
    return NODES[provider](fresh)


@pytest.fixture
def bare(fresh: Checkout, nodes: Nodes) -> Iterator[Checkout]:
    """A checkout that is removed at the test's end, and then has left nothing."""
    before, declared = nodes.on_machine(), fresh.git_status()
    yield fresh
    fresh.down()
    assert nodes.on_machine() <= before
    assert leftovers(fresh) == []
    assert fresh.git_status() == declared


def leftovers(checkout: Checkout) -> list[str]:
    """Files of clusters, kubeconfigs, and the stack's state with its locks; what the engine did is no state."""
    folders = [checkout.home / name for name in ("clusters", "kubeconfigs", "native", "runs")]
    of_clusters = (file for folder in folders for file in folder.rglob("*") if not file.is_dir())
    of_state = (file for file in (checkout.home / "state").rglob("*.json*") if "history" not in file.parts)
    return [str(file.relative_to(checkout.home)) for file in (*of_clusters, *of_state)]


def await_node(nodes: Nodes) -> None:
    """Creating a cluster has begun once a node is there."""
    eventually(lambda: bool(nodes.names()))


def assert_converges(checkout: Checkout) -> None:
    checkout.up()
    called = checkout.mesh("call", f"--stack={checkout.stack}")
    assert called.code == 0, called.text
    assert set(checkout.up().changes()) == {"unchanged"}


def test_an_engine_killed_in_every_phase_converges(bare: Checkout, nodes: Nodes, provider: str) -> None:
    for phase in PHASES[provider]:
        with interrupted(bare, phase):
            if phase is CLUSTERS:
                await_node(nodes)
            bare.kill(bare.engines())
    assert_converges(bare)


def test_ctrl_c_says_that_the_next_up_goes_on_and_it_does(bare: Checkout, nodes: Nodes) -> None:
    with interrupted(bare, CLUSTERS) as run:
        await_node(nodes)
        interrupt(run.process)
    assert "run it again to continue" in run.said
    with interrupted(bare, GATEWAYS) as run:
        interrupt(run.process)
    assert_converges(bare)


def test_half_made_clusters_can_be_removed(bare: Checkout, nodes: Nodes) -> None:
    with interrupted(bare, CLUSTERS):
        await_node(nodes)
        bare.kill(bare.engines())


def test_half_made_meshes_of_which_one_cluster_is_gone_and_one_stopped_can_be_removed(
    bare: Checkout, nodes: Nodes
) -> None:
    with interrupted(bare, ISTIO):
        bare.kill(bare.engines())
    gone, stopped = nodes.names()
    nodes.remove(gone)
    nodes.stop(stopped)


def test_half_made_meshes_whose_nodes_are_cut_off_can_be_removed(bare: Checkout, nodes: Nodes) -> None:
    containers = as_containers(nodes)
    with interrupted(bare, ISTIO):
        bare.kill(bare.engines())
    for node in containers.names():
        containers.cut_off(node)
