"""What all providers share: where files are, and that jobs on one cluster never overlap."""

import pytest

from mesh_federation.clusters.local_cluster import GONE
from mesh_federation.clusters.workdir import Workdir
from tests.unit.clusters.stand import Held, Stand, ended, simulated, waits_for_lock


def test_the_second_script_on_a_cluster_waits_for_the_first(stand: Stand) -> None:
    gate = stand.when("kwokctl", "delete", hold="delete")
    stand.folder("east-1").mkdir(parents=True)
    first = stand.begin("kwok", "delete", settings=simulated("east-1"))
    with gate.open("w") as opened:  # returns when the first script's kwokctl runs
        second = stand.begin("kwok", "delete", settings=simulated("east-1"))
        assert waits_for_lock(second)
        assert len(stand.calls("kwokctl")) == 1
        opened.write("go")
    assert ended(first).status == ended(second).status == 0
    assert len(stand.calls("kwokctl")) == 1  # the second found it gone


def test_scripts_on_different_clusters_do_not_wait_for_each_other(stand: Stand) -> None:
    lock = Held(stand.home / "locks" / "east-1")
    assert stand.run("kwok", "delete", settings=simulated("west-2")).status == 0
    lock.release()


def test_the_lock_lapses_with_a_script_that_is_killed(stand: Stand) -> None:
    gate = stand.when("kwokctl", "delete", hold="delete")
    stand.folder("east-1").mkdir(parents=True)
    first = stand.begin("kwok", "delete", settings=simulated("east-1"))
    with gate.open("w") as opened:
        first.kill()
        first.wait()
        second = stand.begin("kwok", "start", settings=simulated("east-1"))
        assert not waits_for_lock(second)
        opened.write("go")
    ended(first)
    assert ended(second).status == GONE


@pytest.mark.parametrize("job", ["kwok", "kind", "k3d", "existing", "kubeconfig"])
@pytest.mark.parametrize("words", [(), ("explode",), ("create", "again")])
def test_an_unknown_action_is_answered_with_the_known_ones(stand: Stand, job: str, words: tuple[str, ...]) -> None:
    refused = stand.run(job, *words, settings=simulated("east-1"))
    assert refused.status == 1
    assert refused.err.startswith("usage: ") and "create|" in refused.err
    assert stand.calls() == []


def test_without_settings_files_are_below_the_working_directory_and_the_users_cache(
    monkeypatch: pytest.MonkeyPatch, stand: Stand
) -> None:
    monkeypatch.chdir(stand.root)
    monkeypatch.setenv("HOME", str(stand.root))
    here = Workdir.of({})
    assert here.kubeconfig("east-1") == stand.root / ".mesh" / "clusters" / "east-1" / "kubeconfig"
    assert here.shared == stand.root / ".cache" / "mesh-federation"


def test_a_cluster_answers_when_its_api_server_is_ready(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    stand.enter(monkeypatch)
    stand.when("kubectl", f"--kubeconfig={stand.cluster('down-1').kubeconfig}", status=1)
    assert stand.cluster("up-1").answers()
    assert not stand.cluster("down-1").answers()
    assert all("--request-timeout=3s" in call.argv for call in stand.calls())
