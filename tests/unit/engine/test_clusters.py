"""Before `down` and `verify`: existing clusters are reached by their kubeconfigs as those are now, and recognised."""

import json
import shlex
import stat
from pathlib import Path

import pytest

from mesh_federation import document
from mesh_federation.clusters.settings import ClusterSpec
from tests.unit.cli.conftest import STACK, Desk, Fakes, Mesh
from tests.unit.clusters.fake_machine import provided

UID, OTHER = "3f0b6c1e-0000-4000-8000-000000000001", "3f0b6c1e-0000-4000-8000-000000000002"
KUBECTL = """#!/bin/sh
# Each cluster says its UID to its own token.
for word; do case "$word" in --kubeconfig=*) file="${word#--kubeconfig=}";; esac; done
grep -q expired-token "$file" && { echo 'Token has expired, run: aws sso login' >&2; exit 1; }
grep -q other "$file" && { printf OTHER; exit; }
printf UID
""".replace("OTHER", OTHER).replace("UID", UID)


def kubeconfig(file: Path, token: str) -> None:
    """Write a kubeconfig as its owner has it."""
    document = {
        "current-context": "admin@prod",
        "clusters": [{"name": "prod", "cluster": {"server": "https://192.0.2.1"}}],
        "contexts": [{"name": "admin@prod", "context": {"cluster": "prod", "user": "admin"}}],
        "users": [{"name": "admin", "user": {"token": token}}],
    }
    file.write_text(json.dumps(document), encoding="utf-8")


@pytest.fixture
def existing(desk: Desk, mesh: Mesh) -> Desk:
    """A stack whose east is an existing cluster, which was up by the file `then`; the stack file says `now`."""
    recorded = {
        "urn": "urn:east-create",
        "type": "command:local:Command",
        "inputs": {
            "create": "python3 -m mesh_federation.jobs existing create",
            "environment": {"JOB": document.write(provided("east-1a2b3c", ClusterSpec(kubeconfig="then"), STACK))},
        },
        "outputs": {"stdout": UID},
    }
    state = shlex.quote(json.dumps({"deployment": {"resources": [recorded]}}))
    desk.on("stack", f'case "$*" in *export*) echo {state};; *output*) echo {{}};; esac')
    (desk.toolchain.bin / "kubectl").write_text(KUBECTL, encoding="utf-8")
    (desk.toolchain.bin / "kubectl").chmod(stat.S_IRWXU)
    checkout = Path(__file__).resolve().parents[3]
    (desk.workspace.checkout / "mesh_federation").symlink_to(checkout / "mesh_federation")
    states = desk.workspace.state() / ".pulumi" / "stacks" / "mesh-federation"
    states.mkdir(parents=True)
    (states / f"{STACK}.json").write_text('{"checkpoint": {}}', encoding="utf-8")
    desk.workspace.passphrase().write_text("a passphrase", encoding="utf-8")
    declare(desk, "now")
    kubeconfig(desk.workspace.checkout / "now", "fresh")
    return desk


def declare(desk: Desk, file: str) -> None:
    """Write the stack file."""
    clusters = f"clusters: {{east: {{provisioner: existing, kubeconfig: {file}}}}}"
    desk.stack_file.write_text(f"config:\n  mesh-federation:federation:\n    {clusters}\n", encoding="utf-8")


def kept(desk: Desk) -> Path:
    return desk.workspace.home / "clusters" / "east-1a2b3c" / "kubeconfig"


def destroyed(desk: Desk) -> bool:
    return any(call.startswith("destroy") for call in desk.calls())


def test_down_reaches_a_cluster_by_the_kubeconfig_as_it_is_now(mesh: Mesh, existing: Desk) -> None:
    existing.on("destroy", f"grep -q fresh {kept(existing)} || exit 1")
    done = mesh("down", "--yes", "--stack", STACK)
    assert (done.status, done.err) == (0, "")


def test_the_kept_kubeconfig_is_its_owners_alone(mesh: Mesh, existing: Desk) -> None:
    existing.on("destroy", f"stat -c %a {kept(existing)} >> {existing.root}/mode")
    mesh("down", "--yes", "--stack", STACK)
    assert (existing.root / "mode").read_text(encoding="utf-8") == "600\n"


@pytest.mark.parametrize("command", ["down --yes", "verify"])
def test_nothing_is_done_in_another_cluster_than_that_of_the_last_up(mesh: Mesh, existing: Desk, command: str) -> None:
    kubeconfig(existing.workspace.checkout / "now", "other")
    done = mesh(*command.split(), "--stack", STACK)
    assert done.status != 0
    assert UID in done.err and OTHER in done.err
    assert not destroyed(existing)


def test_a_cluster_that_does_not_answer_is_told_in_its_own_words(mesh: Mesh, existing: Desk) -> None:
    kubeconfig(existing.workspace.checkout / "now", "expired-token")
    done = mesh("down", "--yes", "--stack", STACK)
    assert done.status == 1 and not destroyed(existing)
    assert "Token has expired, run: aws sso login" in done.err


def test_without_a_sound_stack_file_what_it_last_said_counts(mesh: Mesh, existing: Desk) -> None:
    existing.stack_file.write_text("", encoding="utf-8")
    kubeconfig(existing.workspace.checkout / "then", "fresh")
    assert mesh("down", "--yes", "--stack", STACK).status == 0
    assert destroyed(existing)


def test_a_kubeconfig_that_is_not_there_any_more_is_told_and_the_last_one_serves(mesh: Mesh, existing: Desk) -> None:
    declare(existing, "gone")
    refused = mesh("down", "--yes", "--stack", STACK)
    missing = existing.workspace.checkout / "gone"
    assert refused.err.startswith(f"error: clusters.east.kubeconfig: {missing} does not exist\n  -> write")
    kept(existing).parent.mkdir(parents=True)
    kubeconfig(kept(existing), "fresh")
    done = mesh("down", "--yes", "--stack", STACK)
    assert done.status == 0
    assert done.err.endswith(f"{missing} does not exist; the kubeconfig of the last run is used for east\n")


def test_a_cluster_that_is_gone_for_good_keeps_nothing_alive(mesh: Mesh, existing: Desk, fakes: Fakes) -> None:
    kubeconfig(existing.workspace.checkout / "now", "expired-token")
    refused = mesh("down", "--yes", "--stack", STACK)
    assert "if it is gone for good, `down` needs PULUMI_K8S_DELETE_UNREACHABLE=true" in refused.err
    gone = existing.ambient(PULUMI_K8S_DELETE_UNREACHABLE="true")
    fakes.workspace = gone.workspace
    assert mesh("down", "--yes", "--stack", STACK).status == 0
    assert destroyed(existing)
