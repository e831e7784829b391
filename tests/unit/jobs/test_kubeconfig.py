"""The script that prints a cluster's kubeconfig and keeps a file of it for people."""

import json
import stat
from pathlib import Path

import pytest

from tests.unit.clusters.fake_machine import FakeMachine, named
from tests.unit.command_result import CommandResult

SEEN = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "kwok-east-1", "cluster": {"server": "https://127.0.0.1:1", "proxy-url": "Q"}}],
    "users": [{"name": "admin-of-east-1", "user": {"client-key-data": "SECRET"}}],
    "contexts": [
        {"name": "kwok-east-1", "context": {"cluster": "kwok-east-1", "user": "admin-of-east-1", "namespace": "apps"}}
    ],
    "current-context": "kwok-east-1",
}


@pytest.fixture
def file(machine: FakeMachine) -> Path:
    """Where people find the kubeconfig of east."""
    return machine.home / "kubeconfigs" / "dev" / "east"


def create(machine: FakeMachine, name: str = "east-1") -> CommandResult:
    machine.when("kubectl", "view", out=json.dumps(SEEN))
    return machine.run("kubeconfig", "create", settings=named(name))


def delete(machine: FakeMachine, name: str = "east-1") -> CommandResult:
    return machine.run("kubeconfig", "delete", settings=named(name))


def test_cluster_user_and_context_carry_the_logical_name(machine: FakeMachine) -> None:
    printed = json.loads(create(machine).out)
    assert [entry["name"] for key in ("clusters", "users", "contexts") for entry in printed[key]] == ["east"] * 3
    assert printed["contexts"][0]["context"] == {"cluster": "east", "user": "east", "namespace": "apps"}
    assert printed["current-context"] == "east"


def test_what_is_in_the_entries_stays_as_it_was(machine: FakeMachine) -> None:
    printed = json.loads(create(machine).out)
    assert printed["clusters"][0]["cluster"] == SEEN["clusters"][0]["cluster"]  # type: ignore[index]
    assert printed["users"][0]["user"] == {"client-key-data": "SECRET"}


def test_certificates_are_embedded_and_only_the_one_context_is_asked_for(machine: FakeMachine) -> None:
    create(machine)
    (view,) = machine.calls("kubectl")
    assert {"--raw", "--flatten", "--minify", "--output=json"} <= set(view.argv)
    assert f"--kubeconfig={machine.folder('east-1')}/kubeconfig" in view.argv


def test_the_file_has_what_is_printed_and_only_its_owner_reads_it(machine: FakeMachine, file: Path) -> None:
    printed = create(machine).out
    assert json.loads(file.read_text(encoding="utf-8")) == json.loads(printed)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_others_could_read_is_replaced_not_rewritten(machine: FakeMachine, file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.touch(mode=0o644)
    create(machine)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_nothing_is_said_beside_the_kubeconfig(machine: FakeMachine) -> None:
    done = create(machine)
    assert (done.status, done.err) == (0, "")
    assert len(done.out.splitlines()) == 1


def test_delete_removes_the_file(machine: FakeMachine, file: Path) -> None:
    create(machine)
    assert delete(machine).status == 0
    assert list(file.parent.iterdir()) == []


def test_deleting_an_old_generation_keeps_the_file_of_the_new_one(machine: FakeMachine, file: Path) -> None:
    create(machine, "east-1")
    create(machine, "east-2")
    assert delete(machine, "east-1").status == 0
    assert file.exists()
    assert delete(machine, "east-2").status == 0
    assert not file.exists()


def test_deleting_a_file_that_is_already_gone_is_no_error(machine: FakeMachine, file: Path) -> None:
    assert delete(machine).status == 0
    create(machine)
    file.unlink()
    assert delete(machine).status == 0


def test_a_cluster_without_kubeconfig_is_named_with_the_words_of_kubectl(machine: FakeMachine, file: Path) -> None:
    machine.when("kubectl", status=1, err="error: current-context must exist in order to minify\n")
    failed = machine.run("kubeconfig", "create", settings=named("east-1"))
    assert failed.status == 1
    assert failed.err.startswith("no kubeconfig for east-1:\nerror: current-context must exist")
    assert not file.exists()


def test_without_kubectl_the_message_says_how_to_get_it(machine: FakeMachine) -> None:
    machine.remove("kubectl")
    failed = machine.run("kubeconfig", "create", settings=named("east-1"))
    assert (failed.status, failed.out) == (1, "")
    assert failed.err.startswith("kubectl is not on PATH: run `./mesh doctor`")
