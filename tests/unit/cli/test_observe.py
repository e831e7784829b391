"""`mesh observe` where a cluster of others does not answer as it should."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Desk, Mesh

STACK = """config:
  mesh-federation:federation:
    clusters:
      east: {provisioner: existing, kubeconfig: theirs.json, istio: {install: false}}
"""
KUBECONFIG = {
    "current-context": "east",
    "contexts": [{"name": "east", "context": {"cluster": "east", "user": "anna"}}],
    "clusters": [{"name": "east", "cluster": {"server": "https://192.0.2.1:6443"}}],
    "users": [{"name": "anna", "user": {"token": "not-a-token"}}],
}


@pytest.fixture
def theirs(desk: Desk, mesh: Mesh) -> Path:
    """A checkout with one cluster whose Istio belongs to others, and a kubectl that fails as its file says."""
    checkout = desk.workspace.checkout
    desk.stack_file.write_text(STACK, encoding="utf-8")
    checkout.joinpath("theirs.json").write_text(json.dumps(KUBECONFIG), encoding="utf-8")
    kubectl = desk.toolchain.bin / "kubectl"
    kubectl.write_text(f"#!/bin/sh\ncat {checkout}/said >&2\nexit 1\n", encoding="utf-8")
    kubectl.chmod(0o700)
    return checkout


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("The connection to the server 192.0.2.1:6443 was refused", "see to it that kubectl reaches the cluster"),
        (
            "Error from server (Forbidden): deployments is forbidden",
            "apply what `./mesh observe --rbac SUBJECT` prints",
        ),
    ],
)
def test_the_hint_is_for_somebody_who_made_nothing_there(theirs: Path, mesh: Mesh, said: str, hint: str) -> None:
    (theirs / "said").write_text(f"{said}\n", encoding="utf-8")
    done = mesh("observe", "--stack", "dev")
    assert done.status == 1 and hint in done.err, done.err
    assert "./mesh up" not in done.err and "not-a-token" not in done.err
    assert not list(theirs.glob("observed.*"))
