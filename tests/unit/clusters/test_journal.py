"""Jobs record what they begin to make before they make anything, so that what is cut short can be removed."""

import json
from pathlib import Path

import pytest

from mesh_federation import document
from mesh_federation.clusters import journal
from mesh_federation.clusters.journal import JournalEntry
from tests.unit.clusters.fake_machine import FakeMachine, simulated


def test_an_entry_has_what_removing_the_cluster_needs_and_nothing_of_the_environment(machine: FakeMachine) -> None:
    journal.record(machine.cluster("east-1"), "kwok")
    [entry] = journal.entries(machine.home, "dev")
    assert entry == JournalEntry("kwok", json.loads(document.write(machine.cluster("east-1").settings)))
    assert entry.name == "east-1"


def test_entries_of_other_stacks_are_not_ours(machine: FakeMachine) -> None:
    journal.record(machine.cluster("east-1"), "kwok")
    assert journal.entries(machine.home, "prod") == []


def test_a_job_killed_while_it_writes_has_begun_nothing(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(self: Path, target: Path) -> Path:
        raise InterruptedError

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(InterruptedError):
        journal.record(machine.cluster("east-1"), "kwok")
    assert journal.entries(machine.home, "dev") == []


def test_a_simulated_cluster_is_recorded_before_it_is_made_and_forgotten_with_it(machine: FakeMachine) -> None:
    gate = machine.when("kwokctl", "create", hold="create")
    making = machine.begin("kwok", "create", settings=simulated("east-1"))
    with gate.open("w") as opened:
        assert [entry.name for entry in journal.entries(machine.home, "dev")] == ["east-1"]
        making.kill()
        making.communicate()
        opened.write("go")
    [left] = journal.entries(machine.home, "dev")
    assert machine.run(left.job, "delete", settings=simulated(left.name)).status == 0
    assert journal.entries(machine.home, "dev") == []
