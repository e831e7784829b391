"""Scripts note what they begin to make before they make anything, so that what is cut short can be removed."""

import json
from pathlib import Path

import pytest

from mesh_federation.clusters import journal
from mesh_federation.clusters.journal import Note
from tests.unit.clusters.stand import Stand

LAB = {"LAB_NETWORK": "mesh", "LAB_SUBNET": "172.30.0.0/16"}
GIVEN = {"CLUSTER": "east-1", "STACK": "dev", **LAB}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout's folder, in a script with settings and other variables."""
    for name, value in {"MESH_HOME": str(tmp_path), "SECRET": "hidden", **GIVEN}.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_a_note_has_what_removing_the_cluster_needs_and_nothing_else_of_the_environment(home: Path) -> None:
    journal.note("east-1", "kind")
    assert journal.notes(home, "dev") == [Note("east-1", "kind", GIVEN)]
    assert "hidden" not in journal.file("east-1").read_text(encoding="utf-8")


def test_notes_of_other_stacks_are_not_ours(home: Path) -> None:
    journal.note("east-1", "kind")
    assert journal.notes(home, "prod") == []


def test_a_script_killed_while_it_writes_has_begun_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(self: Path, target: Path) -> Path:
        raise InterruptedError

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(InterruptedError):
        journal.note("east-1", "kind")
    assert journal.notes(home, "dev") == []


def test_a_simulated_cluster_is_noted_before_it_is_made_and_forgotten_with_it(stand: Stand) -> None:
    gate = stand.when("kwokctl", "create", hold="create")
    config = {"kubernetesVersion": "1.34.4", "nodes": 1, "podSubnet": "10.1.0.0/16", "serviceSubnet": "10.2.0.0/24"}
    making = stand.begin("kwok", "create", stdin=json.dumps(config), CLUSTER="east-1", STACK="dev")
    with gate.open("w") as opened:
        assert [note.name for note in journal.notes(stand.home, "dev")] == ["east-1"]
        making.kill()
        making.communicate()
        opened.write("go")
    [left] = journal.notes(stand.home, "dev")
    assert stand.run(left.job.rpartition(".")[2], "delete", **left.environment).status == 0
    assert journal.notes(stand.home, "dev") == []
