"""Bring-ups of real clusters that are killed or stopped: the next one goes on, and each can be removed as it is."""

from collections.abc import Iterator

import pytest

from tests.checkout import Checkout, eventually, interrupt
from tests.interruption import begun, interrupted
from tests.lab import leftovers
from tests.lab.lab import Lab, docker

CLUSTERS = begun("west-create")
METALLB = begun("Deployment", "metallb-system/controller")
ISTIO = begun("Deployment", "istio-system/istiod")
GATEWAYS = begun("Deployment", "istio-system/istio-eastwestgateway")
LINKS = begun("ServiceEntry", "import-httpbin-httpbin")
PHASES = (CLUSTERS, METALLB, ISTIO, GATEWAYS, LINKS)


@pytest.fixture
def bare(fresh: Checkout) -> Iterator[Checkout]:
    """A checkout that is removed at the test's end, and then has left nothing."""
    before, declared = leftovers.on_machine(), fresh.git_status()
    yield fresh
    fresh.down()
    assert leftovers.on_machine() <= before
    assert leftovers.in_checkout(fresh) == []
    assert fresh.git_status() == declared


def nodes(checkout: Checkout) -> list[str]:
    """Names of the containers in the checkout's network."""
    return docker("ps", "--all", f"--filter=network={Lab(checkout).network}", "--format={{.Names}}").split()


def await_containers(checkout: Checkout) -> None:
    """Creating a cluster has begun once there are containers."""
    eventually(lambda: bool(nodes(checkout)))


def assert_converges(checkout: Checkout) -> None:
    checkout.up()
    called = checkout.mesh("call", f"--stack={checkout.stack}")
    assert called.code == 0, called.text
    assert set(checkout.up().changes()) == {"unchanged"}


def test_an_engine_killed_in_every_phase_converges(bare: Checkout) -> None:
    for phase in PHASES:
        with interrupted(bare, phase):
            if phase is CLUSTERS:
                await_containers(bare)
            bare.kill(bare.engines())
    assert_converges(bare)


def test_ctrl_c_says_that_the_next_up_goes_on_and_it_does(bare: Checkout) -> None:
    with interrupted(bare, CLUSTERS) as run:
        await_containers(bare)
        interrupt(run.process)
    assert "run it again to continue" in run.said
    with interrupted(bare, GATEWAYS) as run:
        interrupt(run.process)
    assert_converges(bare)


def test_half_made_clusters_can_be_removed(bare: Checkout) -> None:
    with interrupted(bare, CLUSTERS):
        await_containers(bare)
        bare.kill(bare.engines())


def test_half_made_meshes_of_which_one_cluster_is_gone_and_one_stopped_can_be_removed(bare: Checkout) -> None:
    with interrupted(bare, ISTIO):
        bare.kill(bare.engines())
    gone, stopped = nodes(bare)
    docker("rm", "--force", "--volumes", gone)
    docker("stop", stopped)


def test_half_made_meshes_whose_nodes_are_cut_off_can_be_removed(bare: Checkout) -> None:
    with interrupted(bare, ISTIO):
        bare.kill(bare.engines())
    for node in nodes(bare):
        docker("network", "disconnect", Lab(bare).network, node)
