"""What all providers share: where files are, and that jobs on one cluster never overlap."""

import pytest

from mesh_federation.clusters.local_cluster import GONE
from mesh_federation.clusters.workdir import Workdir
from tests.unit.clusters.fake_machine import FakeMachine, Held, ended, simulated, waits_for_lock


def test_the_second_script_on_a_cluster_waits_for_the_first(machine: FakeMachine) -> None:
    gate = machine.when("kwokctl", "delete", hold="delete")
    machine.folder("east-1").mkdir(parents=True)
    first = machine.begin("kwok", "delete", settings=simulated("east-1"))
    with gate.open("w") as opened:  # returns when the first script's kwokctl runs
        second = machine.begin("kwok", "delete", settings=simulated("east-1"))
        assert waits_for_lock(second)
        assert len(machine.calls("kwokctl")) == 1
        opened.write("go")
    assert ended(first).status == ended(second).status == 0
    assert len(machine.calls("kwokctl")) == 1  # the second found it gone


def test_scripts_on_different_clusters_do_not_wait_for_each_other(machine: FakeMachine) -> None:
    lock = Held(machine.home / "locks" / "east-1")
    assert machine.run("kwok", "delete", settings=simulated("west-2")).status == 0
    lock.release()


def test_the_lock_lapses_with_a_script_that_is_killed(machine: FakeMachine) -> None:
    gate = machine.when("kwokctl", "delete", hold="delete")
    machine.folder("east-1").mkdir(parents=True)
    first = machine.begin("kwok", "delete", settings=simulated("east-1"))
    with gate.open("w") as opened:
        first.kill()
        first.wait()
        second = machine.begin("kwok", "start", settings=simulated("east-1"))
        assert not waits_for_lock(second)
        opened.write("go")
    ended(first)
    assert ended(second).status == GONE


@pytest.mark.parametrize("job", ["kwok", "kind", "k3d", "existing", "kubeconfig"])
@pytest.mark.parametrize("words", [(), ("explode",), ("create", "again")])
def test_an_unknown_action_is_answered_with_the_known_ones(
    machine: FakeMachine, job: str, words: tuple[str, ...]
) -> None:
    refused = machine.run(job, *words, settings=simulated("east-1"))
    assert refused.status == 1
    assert refused.err.startswith("usage: ") and "create|" in refused.err
    assert machine.calls() == []


def test_without_settings_files_are_below_the_working_directory_and_the_users_cache(
    monkeypatch: pytest.MonkeyPatch, machine: FakeMachine
) -> None:
    monkeypatch.chdir(machine.root)
    monkeypatch.setenv("HOME", str(machine.root))
    here = Workdir.of({})
    assert here.kubeconfig("east-1") == machine.root / ".mesh" / "clusters" / "east-1" / "kubeconfig"
    assert here.shared == machine.root / ".cache" / "mesh-federation"


def test_a_cluster_answers_when_its_api_server_is_ready(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.enter(monkeypatch)
    machine.when("kubectl", f"--kubeconfig={machine.cluster('down-1').kubeconfig}", status=1)
    assert machine.cluster("up-1").answers()
    assert not machine.cluster("down-1").answers()
    assert all("--request-timeout=3s" in call.argv for call in machine.calls())
