"""What all provisioners share: where files are, and that actions on one cluster never overlap."""

import ast
import sys
from pathlib import Path

import pytest

from mesh_federation.clusters import workdir
from mesh_federation.clusters.workdir import GONE
from tests.unit.clusters.stand import CHECKOUT, Held, Stand, ended, waits_for_lock

PACKAGE = CHECKOUT / "mesh_federation"
SCRIPTS = [*sorted(PACKAGE.glob("clusters/*.py")), *sorted(PACKAGE.glob("jobs/*.py")), PACKAGE / "stack" / "pem.py"]
OWN = ("mesh_federation.clusters.", "mesh_federation.jobs.", "mesh_federation.stack.pem.")
"""Of which all scripts may import."""
ACTIONS = {"kwok": "create", "kind": "create", "k3d": "create", "existing": "create", "kubeconfig": "create"}


def test_the_second_script_on_a_cluster_waits_for_the_first(stand: Stand) -> None:
    gate = stand.when("kwokctl", "delete", hold="delete")
    stand.folder("east-1").mkdir(parents=True)
    first = stand.begin("kwok", "delete", CLUSTER="east-1")
    with gate.open("w") as opened:  # returns when the first script's kwokctl runs
        second = stand.begin("kwok", "delete", CLUSTER="east-1")
        assert waits_for_lock(second)
        assert len(stand.calls("kwokctl")) == 1
        opened.write("go")
    assert ended(first).status == ended(second).status == 0
    assert len(stand.calls("kwokctl")) == 1  # the second found it gone


def test_scripts_on_different_clusters_do_not_wait_for_each_other(stand: Stand) -> None:
    lock = Held(stand.home / "locks" / "east-1")
    assert stand.run("kwok", "delete", CLUSTER="west-2").status == 0
    lock.release()


def test_the_lock_lapses_with_a_script_that_is_killed(stand: Stand) -> None:
    gate = stand.when("kwokctl", "delete", hold="delete")
    stand.folder("east-1").mkdir(parents=True)
    first = stand.begin("kwok", "delete", CLUSTER="east-1")
    with gate.open("w") as opened:
        first.kill()
        first.wait()
        second = stand.begin("kwok", "start", CLUSTER="east-1")
        assert not waits_for_lock(second)
        opened.write("go")
    ended(first)
    assert ended(second).status == GONE


@pytest.mark.parametrize("script", sorted(ACTIONS))
@pytest.mark.parametrize("words", [(), ("explode",), ("create", "again")])
def test_an_unknown_action_is_answered_with_the_known_ones(stand: Stand, script: str, words: tuple[str, ...]) -> None:
    refused = stand.run(script, *words, CLUSTER="east-1")
    assert refused.status == 1
    assert refused.err.startswith("usage: ") and "create|" in refused.err
    assert stand.calls() == []


def test_without_mesh_home_files_are_below_the_working_directory(monkeypatch: pytest.MonkeyPatch, stand: Stand) -> None:
    monkeypatch.delenv("MESH_HOME", raising=False)
    monkeypatch.chdir(stand.root)
    assert workdir.kubeconfig("east-1") == stand.root / ".mesh" / "clusters" / "east-1" / "kubeconfig"


def test_a_cluster_answers_when_its_api_server_is_ready(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in stand.environment.items():
        monkeypatch.setenv(key, value)
    stand.when("kubectl", f"--kubeconfig={workdir.kubeconfig('down-1')}", status=1)
    assert workdir.answers("up-1")
    assert not workdir.answers("down-1")
    assert all("--request-timeout=3s" in call.argv for call in stand.calls())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_scripts_import_nothing_but_the_standard_library(script: Path) -> None:
    tree = ast.parse(script.read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    others = {name for name in imported if name.split(".")[0] not in sys.stdlib_module_names}
    assert all(f"{name}.".startswith(OWN) for name in others)
