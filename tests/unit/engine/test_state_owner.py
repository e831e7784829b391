"""Nothing is deleted, adopted or made anew before it is known whose state a stack's is, and that it can be read."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mesh_federation.clusters import journal
from mesh_federation.clusters.local_cluster import LocalCluster
from mesh_federation.clusters.workdir import Workdir
from mesh_federation.engine import state_owner
from tests.unit.cli.conftest import STACK, Desk, Fakes, Mesh
from tests.unit.clusters.fake_machine import simulated

ENGINES = ("up --yes", "preview", "verify", "down --yes")
"""Commands that read or change a stack's state."""


def noted(desk: Desk, name: str = "west-1a2b3c", provisioner: str = "kwok") -> Path:
    """Leave what a cluster leaves that a job of this checkout made, and a job that removes it."""
    cluster = LocalCluster(simulated(name, STACK), Workdir(desk.workspace.home, desk.root))
    journal.record(cluster, provisioner)
    desk.job(
        provisioner,
        "import json, os, shutil\n"
        "shutil.rmtree(f\"{os.environ['MESH_HOME']}/clusters/{json.loads(os.environ['JOB'])['name']}\")\n",
    )
    return cluster.folder


def reached(desk: Desk, logical: str = "west", name: str = "west-1a2b3c") -> Path:
    """Leave the kubeconfig of a cluster that was brought up."""
    folder = desk.workspace.home / "kubeconfigs" / STACK
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f".{logical}.of").write_text(name, encoding="utf-8")
    return folder


def changes(desk: Desk) -> list[str]:
    """Calls of the engine that change something."""
    return [call for call in desk.calls() if call.split()[0] in ("up", "destroy", "state") or "stack rm" in call]


# Another backend.


@pytest.mark.parametrize("words", ENGINES)
def test_a_login_that_another_project_made_is_not_for_a_stack_of_the_checkouts_own_state(
    mesh: Mesh, answering: Desk, words: str
) -> None:
    answering.log_in()
    done = mesh(*words.split(), "--stack", STACK)
    assert f"{STACK} is in this checkout's own state" in done.err
    assert not [call for call in answering.calls() if "stack ls" in call or "stack init" in call]


def test_down_after_a_login_elsewhere_removes_the_stack_that_is_up(mesh: Mesh, answering: Desk) -> None:
    answering.log_in()
    done = mesh("down", "--yes", "--stack", STACK)
    assert (done.status, done.out) == (0, f"{STACK}: nothing is left\n")
    assert [call.split()[0] for call in changes(answering)] == ["destroy", "stack"]


@pytest.mark.parametrize("words", ENGINES)
def test_another_backend_that_is_named_is_refused_while_the_own_state_knows_the_stack(
    mesh: Mesh, answering: Desk, fakes: Fakes, words: str
) -> None:
    other = answering.ambient(PULUMI_BACKEND_URL="postgres://me:secret@states/db?x=secret")
    fakes.workspace = other.workspace
    done = mesh(*words.split(), "--stack", STACK)
    assert done.status in (1, 2)
    assert f"the state of {STACK} is in this checkout's own state" in done.err
    assert "PULUMI_BACKEND_URL selects postgres://states/db" in done.err and "-> unset it" in done.err
    assert "secret" not in done.err
    assert answering.calls() == []
    assert answering.workspace.own_state(STACK)


@pytest.mark.parametrize("words", ["up --yes", "down --yes"])
def test_a_checkout_that_is_logged_out_says_where_the_state_of_its_clusters_is(
    mesh: Mesh, desk: Desk, words: str
) -> None:
    noted(desk)
    desk.workspace.projects.mkdir(parents=True)
    desk.workspace.backend_note(STACK).write_text("https://api.example.org", encoding="utf-8")
    done = mesh(*words.split(), "--stack", STACK)
    assert done.status == 1
    assert f"the state of {STACK} is in https://api.example.org" in done.err and "`pulumi login` there" in done.err
    assert desk.calls() == []


def test_a_run_writes_down_which_backend_has_the_state(mesh: Mesh, answering: Desk) -> None:
    mesh("up", "--yes", "--stack", STACK)
    note = answering.workspace.backend_note(STACK)
    assert note.read_text(encoding="utf-8") == "this checkout's own state"
    mesh("down", "--yes", "--stack", STACK)
    assert not note.exists()


def test_a_checkout_that_moves_takes_its_own_state_along(mesh: Mesh, answering: Desk) -> None:
    mesh("up", "--yes", "--stack", STACK)
    moved = answering.root / "moved"
    answering.workspace.home.rename(moved)
    assert state_owner.elsewhere(replace(answering.workspace, home=moved), STACK) is None


# No state.


@pytest.mark.parametrize("words", ["up --yes", "preview", "verify"])
def test_where_the_state_is_gone_and_clusters_stand_nothing_is_made_over_them(
    mesh: Mesh, desk: Desk, words: str
) -> None:
    noted(desk)
    done = mesh(*words.split(), "--stack", STACK)
    assert done.status in (1, 2)
    assert f"{STACK} made west-1a2b3c in this checkout, but this checkout's own state does not know it" in done.err
    assert f"-> restore {desk.workspace.state()}, or run `./mesh down --stack dev`" in done.err
    assert desk.calls() == []


def test_down_without_a_state_removes_what_the_notes_name(mesh: Mesh, desk: Desk) -> None:
    folder, kubeconfigs = noted(desk), reached(desk)
    done = mesh("down", "--yes", "--stack", STACK)
    assert (done.status, done.out) == (0, f"{STACK}: nothing is left\n")
    assert "cluster west-1a2b3c, which this checkout made, is removed" in done.err
    assert not folder.exists() and not kubeconfigs.exists()
    assert desk.calls() == []


def test_down_without_a_state_says_what_stays_in_clusters_of_others(mesh: Mesh, desk: Desk) -> None:
    folder = noted(desk)
    reached(desk)
    kubeconfigs = reached(desk, "prod", "prod-9")
    done = mesh("down", "--yes", "--stack", STACK)
    assert (done.status, done.out) == (1, "")
    assert f"the objects of {STACK} in prod stay" in done.err
    assert not folder.exists() and kubeconfigs.exists()


def test_down_of_a_stack_of_which_nothing_is_up_makes_none(mesh: Mesh, desk: Desk) -> None:
    done = mesh("down", "--yes", "--stack", STACK)
    assert (done.status, done.out) == (0, f"{STACK}: nothing of it is up\n")
    assert desk.calls() == []


# A state that cannot be read.


@pytest.mark.parametrize("text", ["", '{"version": 3, "checkp', "null", "[]"])
@pytest.mark.parametrize("words", ENGINES)
def test_a_damaged_state_is_named_with_the_whole_copy_beside_it(
    mesh: Mesh, answering: Desk, text: str, words: str
) -> None:
    file = answering.keep_state(text)
    copy = answering.keep_state(ending=".json.bak")
    done = mesh(*words.split(), "--stack", STACK)
    assert done.status in (1, 2)
    assert f"the state of {STACK}, {file}, is empty or truncated" in done.err
    assert f"-> restore the backup of the run before: cp {copy} {file}\n" in done.err
    assert answering.calls() == []


def test_a_damaged_copy_is_not_offered_and_down_removes_what_the_notes_name(mesh: Mesh, answering: Desk) -> None:
    file, folder = answering.keep_state(""), noted(answering)
    answering.keep_state("", ending=".json.bak")
    refused = mesh("up", "--yes", "--stack", STACK)
    assert (refused.status, "cp " in refused.err, "`./mesh down --stack dev`" in refused.err) == (1, False, True)
    done = mesh("down", "--yes", "--stack", STACK)
    assert (done.status, done.out) == (0, f"{STACK}: nothing is left\n")
    assert f"{file}, is empty or truncated" in done.err
    assert not folder.exists() and not file.exists()


# A passphrase that is lost.


def test_a_passphrase_is_never_made_where_a_stack_needs_the_one_that_is_lost(mesh: Mesh, answering: Desk) -> None:
    answering.workspace.passphrase().unlink()
    for words in ("up --yes", "preview", "verify"):
        done = mesh(*words.split(), "--stack", STACK)
        assert done.status in (1, 2)
        assert f"{answering.workspace.passphrase()} is missing" in done.err and "-> restore it" in done.err
    assert not answering.workspace.passphrase().exists()
    assert answering.calls() == []


def test_a_stack_of_another_backend_keeps_its_passphrase_too(desk: Desk) -> None:
    other = desk.ambient(PULUMI_BACKEND_URL="s3://states")
    other.workspace.projects.mkdir(parents=True)
    other.copy.write_text("config: {}\nencryptionsalt: v1:abc:def\n", encoding="utf-8")
    other.workspace.prepare(other.toolchain)
    assert other.workspace.lacks_passphrase()


def test_a_passphrase_that_is_given_lets_a_stack_go_on(mesh: Mesh, answering: Desk, fakes: Fakes) -> None:
    answering.workspace.passphrase().unlink()
    given = answering.ambient(PULUMI_CONFIG_PASSPHRASE="known")
    fakes.workspace = given.workspace
    assert mesh("up", "--yes", "--stack", STACK).status == 0
    assert not answering.workspace.passphrase().exists()


def test_down_without_the_passphrase_removes_what_the_notes_name(mesh: Mesh, answering: Desk) -> None:
    folder = noted(answering)
    answering.workspace.passphrase().unlink()
    done = mesh("down", "--yes", "--stack", STACK)
    assert (done.status, done.out) == (0, f"{STACK}: nothing is left\n")
    assert "passphrase is missing" in done.err
    assert not folder.exists() and not answering.workspace.own_state(STACK)
    assert changes(answering) == []


def test_down_without_the_passphrase_keeps_the_state_while_clusters_of_others_have_objects(
    mesh: Mesh, answering: Desk
) -> None:
    reached(answering, "prod", "prod-9")
    answering.workspace.passphrase().unlink()
    assert mesh("down", "--yes", "--stack", STACK).status == 1
    assert answering.workspace.own_state(STACK)


def test_a_state_elsewhere_that_nobody_can_read_is_told_to_stay(mesh: Mesh, desk: Desk, fakes: Fakes) -> None:
    other = desk.ambient(PULUMI_BACKEND_URL="s3://states", PATH="/usr/bin:/bin")
    fakes.workspace = other.workspace
    other.workspace.projects.mkdir(parents=True)
    other.copy.write_text("encryptionsalt: v1:abc:def\n", encoding="utf-8")
    other.workspace.backend_note(STACK).write_text("s3://states", encoding="utf-8")
    desk.on("stack", f"echo '{json.dumps([{'name': STACK}])}'")
    noted(desk)
    done = mesh("down", "--yes", "--stack", STACK)
    assert (done.status, f"pulumi stack rm --force {STACK}" in done.err) == (0, True), done.err
    assert changes(desk) == []


# A stack file that is gone.


@pytest.mark.parametrize("known_by", ["state", "notes"])
def test_a_stack_without_its_file_can_be_removed(mesh: Mesh, desk: Desk, answering: Desk, known_by: str) -> None:
    if known_by == "notes":
        answering.keep_state().unlink()
        noted(answering)
    answering.stack_file.unlink()
    done = mesh("down", "--yes", "--stack", STACK)
    assert (done.status, done.out) == (0, f"{STACK}: nothing is left\n")


# An engine that goes on after its run was killed.


@pytest.mark.parametrize("words", ["up --yes", "down --yes"])
def test_an_engine_that_is_at_work_is_named_and_its_lock_left_alone(
    mesh: Mesh, answering: Desk, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setattr("mesh_federation.engine.pulumi.Engine.at_work", lambda _: [4711])
    done = mesh(*words.split(), "--stack", STACK)
    assert done.status == 1
    assert done.err.startswith(f"error: another engine is changing {STACK}: process 4711")
    assert "-> wait until it ends, or stop it: kill -INT 4711" in done.err
    assert answering.calls() == []


def test_a_preview_does_not_mind_an_engine_at_work(
    mesh: Mesh, answering: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh_federation.engine.pulumi.Engine.at_work", lambda _: [4711])
    assert mesh("preview", "--stack", STACK).status == 0
