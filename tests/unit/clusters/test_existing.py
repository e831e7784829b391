"""The script that takes a cluster that exists already: it asks which one it is, and touches nothing."""

import json
from pathlib import Path

import pytest

from mesh_federation.clusters.identity import SILENT
from tests.unit.clusters.fake_machine import FakeMachine, simulated
from tests.unit.command_result import CommandResult

NAME = "prod-1a2b3c"
UID, OTHER = "3f0b6c1e-0000-4000-8000-000000000001", "3f0b6c1e-0000-4000-8000-000000000002"


@pytest.fixture
def kubeconfig(machine: FakeMachine) -> Path:
    """The kubeconfig that the program keeps of the cluster; people find it by the logical name too."""
    users = [{"name": "prod", "user": {"token": "a-secret-token", "exec": {"env": [{"value": "hidden-value"}]}}}]
    file, shown = machine.folder(NAME) / "kubeconfig", machine.home / "kubeconfigs" / "dev" / "prod"
    for each in (file, shown):
        each.parent.mkdir(parents=True)
        each.write_text(json.dumps({"users": users}), encoding="utf-8")
    (shown.parent / ".prod.of").write_text(NAME, encoding="utf-8")
    return file


def run(machine: FakeMachine, action: str, printed: str = "") -> CommandResult:
    return machine.run("existing", action, settings=simulated(NAME), previous=printed)


@pytest.mark.parametrize("action", ["create", "update"])
def test_it_prints_which_cluster_it_is_and_only_reads(machine: FakeMachine, kubeconfig: Path, action: str) -> None:
    machine.when("kubectl", "get", out=UID)
    assert (run(machine, action).status, run(machine, action).out) == (0, f"{UID}\n")
    for call in machine.calls():
        assert call.argv[:4] == [f"--kubeconfig={kubeconfig}", "get", "namespace", "kube-system"]


def test_that_a_stack_has_reached_it_is_recorded_once_it_has_answered(machine: FakeMachine, kubeconfig: Path) -> None:
    record = machine.home / "kubeconfigs" / "dev" / ".prod.of"
    record.unlink()
    machine.when("kubectl", "get", status=1)
    assert run(machine, "create").status == SILENT and not record.exists()
    machine.when("kubectl", "get", out=UID)
    assert run(machine, "create").status == 0 and record.read_text(encoding="utf-8") == NAME


def test_another_cluster_under_the_same_name_is_refused_and_both_are_named(
    machine: FakeMachine, kubeconfig: Path
) -> None:
    machine.when("kubectl", "get", out=OTHER)
    assert run(machine, "update", printed=OTHER).status == 0
    refused = run(machine, "update", printed=UID)
    assert refused.status == 1
    assert UID in refused.err and OTHER in refused.err and "-> name the kubeconfig and context of" in refused.err


@pytest.mark.parametrize("action", ["create", "update"])
def test_a_cluster_that_does_not_answer_is_told_in_the_words_of_kubectl(
    machine: FakeMachine, kubeconfig: Path, action: str
) -> None:
    machine.when("kubectl", "get", status=1, err="Token has expired, run: aws sso login\n")
    failed = run(machine, action)
    assert failed.status == SILENT
    assert failed.err.startswith("the API server of prod does not answer:\nToken has expired, run: aws sso login\n")


def test_what_a_plugin_says_of_credentials_is_not_shown(machine: FakeMachine, kubeconfig: Path) -> None:
    machine.when("kubectl", "get", status=1, err="refused: a-secret-token with hidden-value\n")
    assert "refused: [secret] with [secret]" in run(machine, "create").err


def test_starting_it_is_not_ours(machine: FakeMachine) -> None:
    assert run(machine, "start").status == 0
    assert machine.calls() == []


def test_delete_forgets_how_it_is_reached_and_calls_nothing(machine: FakeMachine, kubeconfig: Path) -> None:
    assert run(machine, "delete").status == 0
    assert not machine.folder(NAME).exists()
    assert list((machine.home / "kubeconfigs" / "dev").iterdir()) == []
    assert machine.calls() == []


def test_delete_leaves_the_kubeconfig_of_a_cluster_that_has_taken_its_name(
    machine: FakeMachine, kubeconfig: Path
) -> None:
    shown = machine.home / "kubeconfigs" / "dev" / "prod"
    (shown.parent / ".prod.of").write_text("prod-4d5e6f", encoding="utf-8")
    assert run(machine, "delete").status == 0
    assert shown.exists()


def test_deleting_what_is_already_gone_is_no_error(machine: FakeMachine) -> None:
    assert run(machine, "delete").status == 0


def test_without_kubectl_the_message_says_how_to_get_it(machine: FakeMachine, kubeconfig: Path) -> None:
    machine.remove("kubectl")
    failed = run(machine, "create")
    assert failed.status == 1
    assert failed.err.startswith("kubectl is not on PATH: run `./mesh doctor`")
