"""Nodes that stopped, were cut off or came back under another address, on a Docker that records."""

from itertools import count
from types import SimpleNamespace

import pytest

from mesh_federation.clusters import attachment
from mesh_federation.clusters.docker import NodeContainer
from tests.unit.clusters.fake_machine import FakeMachine

MAIN, WORKER = "east-control-plane", "east-worker"
MADE_WITH = {"id-main": "172.30.0.2", "id-worker": "172.30.0.3"}
TAKEN = "Error response from daemon: Address already in use\n"


@pytest.fixture(autouse=True)
def path(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine of stubs is where docker is looked for; the network is there, and time goes by at each look."""
    machine.enter(monkeypatch)
    clock = count()
    monkeypatch.setattr(attachment, "time", SimpleNamespace(sleep=lambda _: None, monotonic=lambda: next(clock)))
    found = '[{"Name": "mesh-lab", "Labels": null, "IPAM": {"Config": [{"Subnet": "172.30.0.0/16"}]}}]'
    machine.when("docker", "network", "inspect", "mesh-lab", out=found)
    moves(machine, by_itself=False)


def moves(machine: FakeMachine, *, by_itself: bool) -> None:
    """The image of the nodes is one that can settle on another address, or not."""
    for name in (MAIN, WORKER):
        machine.when("docker", "cp", f"{name}:/kind/old-ipv4", status=int(not by_itself))


def have(machine: FakeMachine, main: str = "172.30.0.2", worker: str = "172.30.0.3") -> None:
    """The nodes have these addresses in the network now; no address: they are not in it."""
    machine.when("docker", "inspect", "id-main", out=f"id-main {main}\nid-worker {worker}\n")


def nodes(*, running: bool = True) -> list[NodeContainer]:
    return [NodeContainer("id-main", MAIN, running), NodeContainer("id-worker", WORKER, running=True)]


def mended(machine: FakeMachine, *, running: bool = True) -> list[str]:
    """What was done to containers; whether a node can move was only a question."""
    attachment.mend(machine.of_containers("east-1a2b3c"), nodes(running=running), MADE_WITH)
    return [line for line in machine.lines() if "inspect" not in line and " cp " not in line]


def restarted(name: str, address: str) -> list[str]:
    return [
        f"docker network disconnect --force mesh-lab {name}",
        f"docker network connect --ip={address} mesh-lab {name}",
        f"docker restart {name}",
    ]


def test_nodes_that_are_well_are_left_alone(machine: FakeMachine, capsys: pytest.CaptureFixture[str]) -> None:
    have(machine)
    assert mended(machine) == []
    assert capsys.readouterr().err == ""


def test_a_node_that_stopped_gets_its_address_back_and_only_that_node(
    machine: FakeMachine, capsys: pytest.CaptureFixture[str]
) -> None:
    have(machine, main="")
    assert mended(machine, running=False)[-3:] == restarted(MAIN, "172.30.0.2")
    assert not any(WORKER in line for line in machine.lines())
    assert capsys.readouterr().err == f"{MAIN} did not run: restarted with its address 172.30.0.2\n"


def test_a_paused_node_is_mended_though_it_has_its_address(machine: FakeMachine) -> None:
    have(machine)
    assert mended(machine, running=False)[-3:] == restarted(MAIN, "172.30.0.2")


def test_a_node_that_was_cut_off_is_connected_again(machine: FakeMachine, capsys: pytest.CaptureFixture[str]) -> None:
    have(machine, worker="")
    machine.when("docker", "disconnect", status=1, err="container is not connected to the network\n")
    assert mended(machine)[-3:] == restarted(WORKER, "172.30.0.3")
    assert capsys.readouterr().err.startswith(f"{WORKER} was cut off from Docker network mesh-lab: restarted")


def test_nodes_that_took_each_others_addresses_leave_before_they_are_put_back(
    machine: FakeMachine, capsys: pytest.CaptureFixture[str]
) -> None:
    have(machine, main="172.30.0.3", worker="172.30.0.2")
    done = mended(machine)
    first = next(place for place, line in enumerate(done) if " connect " in line)
    assert set(done[:first]) == {f"docker network disconnect --force mesh-lab {name}" for name in (MAIN, WORKER)}
    assert [line for line in done if " connect " in line or "restart" in line] == [
        *restarted(MAIN, "172.30.0.2")[1:], *restarted(WORKER, "172.30.0.3")[1:],
    ]  # fmt: skip
    assert f"{MAIN} had address 172.30.0.3, which it was not made with: restarted" in capsys.readouterr().err


def test_a_node_whose_image_settles_on_another_address_keeps_that(machine: FakeMachine) -> None:
    have(machine, main="172.30.0.3", worker="172.30.0.2")
    moves(machine, by_itself=True)
    assert mended(machine) == []


@pytest.mark.parametrize("step", ["connect", "restart"])
def test_a_node_that_can_settle_takes_a_new_address_where_its_own_is_taken(
    machine: FakeMachine, step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    have(machine, main="")
    moves(machine, by_itself=True)
    machine.when("docker", step, status=[1, 0], err=TAKEN)
    assert mended(machine)[-3:] == [
        f"docker network disconnect --force mesh-lab {MAIN}",
        f"docker network connect mesh-lab {MAIN}",
        f"docker restart {MAIN}",
    ]
    assert capsys.readouterr().err.endswith("restarted with a new address\n")


@pytest.mark.parametrize("step", ["connect", "restart"])
def test_a_node_waits_for_another_cluster_that_gives_its_address_back(machine: FakeMachine, step: str) -> None:
    have(machine, main="172.30.0.9")
    machine.when("docker", step, status=[1, 1, 0], err=TAKEN)
    assert mended(machine)[-3:] == restarted(MAIN, "172.30.0.2")


def test_whoever_keeps_a_nodes_address_is_named_with_what_to_do(machine: FakeMachine) -> None:
    have(machine, main="172.30.0.9")
    machine.when("docker", "connect", status=1, err=TAKEN)
    machine.when("docker", "network", "inspect", "mesh-lab", out="172.30.0.22/16 other\n172.30.0.2/16 squatter\n")
    with pytest.raises(SystemExit) as ended:
        attachment._rejoin("mesh-lab", nodes()[0], "172.30.0.2")
    assert str(ended.value) == (
        f"{MAIN} cannot start: its certificates are for address 172.30.0.2 in Docker network mesh-lab, which squatter"
        " has now\n  -> docker network disconnect mesh-lab squatter, then run this again"
    )


@pytest.mark.parametrize("step", ["connect", "restart"])
def test_a_node_that_cannot_be_mended_is_told(machine: FakeMachine, step: str) -> None:
    have(machine, main="")
    machine.when("docker", step, status=1, err="the moon is full\n")
    with pytest.raises(SystemExit, match="the moon is full"):
        mended(machine)


def test_a_node_that_somebody_added_is_not_ours_to_mend(machine: FakeMachine) -> None:
    have(machine)
    added = NodeContainer("id-added", "east-worker2", running=False)
    machine.when("docker", "inspect", "id-added", out="id-main 172.30.0.2\nid-worker 172.30.0.3\nid-added \n")
    attachment.mend(machine.of_containers("east-1a2b3c"), [*nodes(), added], MADE_WITH)
    assert not any("connect" in line for line in machine.lines())


def test_a_node_outside_the_network_has_no_address(machine: FakeMachine) -> None:
    have(machine, worker="")
    assert attachment.addresses("mesh-lab", nodes()) == {"id-main": "172.30.0.2", "id-worker": ""}
