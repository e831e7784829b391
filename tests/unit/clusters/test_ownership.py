"""Whose cluster has a name, decided from its containers and from what this checkout noted."""

from pathlib import Path

import pytest

from mesh_federation.clusters import ownership
from mesh_federation.clusters.docker import NodeContainer
from mesh_federation.clusters.local_cluster import LocalCluster
from mesh_federation.clusters.ownership import OwnershipState, decide
from tests.unit.clusters.fake_machine import FakeMachine

SCRIPT = "kind"
MADE = {"a": "172.30.0.2", "b": "172.30.0.3"}


def nodes(*ids: str) -> list[NodeContainer]:
    return [NodeContainer(id, f"east-1-{id}", running=True) for id in ids]


@pytest.mark.parametrize(
    ("present", "started", "made", "expected"),
    [
        ((), False, None, OwnershipState.ABSENT),
        ((), True, None, OwnershipState.ABSENT),
        ((), True, MADE, OwnershipState.ABSENT),
        (("a",), True, None, OwnershipState.INCOMPLETE),
        (("a",), False, None, OwnershipState.FOREIGN),
        (("a", "b"), True, MADE, OwnershipState.OURS),
        (("a", "b", "added"), True, MADE, OwnershipState.OURS),
        (("b",), True, MADE, OwnershipState.INCOMPLETE),
        (("x", "y"), True, MADE, OwnershipState.FOREIGN),
    ],
)
def test_a_cluster_is_ours_by_its_containers_and_half_made_ones_by_a_mark(
    present: tuple[str, ...], started: bool, made: dict[str, str] | None, expected: OwnershipState
) -> None:
    assert decide(nodes(*present), started, made) is expected


@pytest.fixture
def east(machine: FakeMachine) -> LocalCluster:
    """A cluster of a checkout of the test's own."""
    return machine.cluster("east-1")


def test_what_is_noted_is_remembered(east: LocalCluster) -> None:
    assert ownership.of(east, nodes("a", "b")) is OwnershipState.FOREIGN
    ownership.begin(east, SCRIPT)
    assert ownership.of(east, nodes("a", "b")) is OwnershipState.INCOMPLETE
    ownership.complete(east, MADE)
    assert ownership.of(east, nodes("a", "b")) is OwnershipState.OURS
    assert ownership.addresses(east) == MADE
    ownership.forget(east)
    assert ownership.of(east, nodes("a", "b")) is OwnershipState.FOREIGN


def test_a_new_beginning_forgets_the_cluster_before(east: LocalCluster) -> None:
    ownership.begin(east, SCRIPT)
    ownership.complete(east, MADE)
    ownership.begin(east, SCRIPT)
    assert ownership.of(east, nodes("a", "b")) is OwnershipState.INCOMPLETE


def test_a_script_killed_while_it_notes_completion_has_completed_nothing(
    east: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    ownership.begin(east, SCRIPT)

    def killed(self: Path, target: Path) -> Path:
        raise InterruptedError

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(InterruptedError):
        ownership.complete(east, MADE)
    assert ownership.of(east, nodes("a", "b")) is OwnershipState.INCOMPLETE


def test_forgetting_what_is_not_there_is_no_error(east: LocalCluster) -> None:
    ownership.forget(east)
