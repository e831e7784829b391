"""Looks for what others must have made in an existing cluster, before this stack makes anything.

usage: python3 -m mesh_federation.jobs prerequisites

Environment:
    CLUSTER: the cluster's logical name.
    NEEDED: JSON list of what must be there: kind, namespace and name, and the path in the stack file that speaks of it.
Standard input: the cluster's kubeconfig.
"""

import json
import os
import sys
from typing import TypedDict

from mesh_federation.clusters import access, workdir


class Needed(TypedDict):
    """One object of others."""

    kind: str
    namespace: str
    name: str
    path: str


def main() -> None:
    """Look everything up at once and end with a message that names all that is missing."""
    needed: list[Needed] = json.loads(os.environ["NEEDED"])
    with access.kubectl(sys.stdin.read()) as kubectl:
        there = _there(kubectl, needed)
    if missing := [each for each in needed if _identity(each) not in there]:
        cluster = os.environ["CLUSTER"]
        told = "\n".join(f"  {each['path']}: {what}\n    -> {fix}" for each in missing for what, fix in [_told(each)])
        sys.exit(
            f"{cluster} lacks what this stack puts objects of its own beside, and does not make there: nothing was"
            f" changed\n{told}"
        )


def _identity(each: Needed) -> tuple[str, str, str]:
    return each["kind"], each["namespace"], each["name"]


def _there(kubectl: list[str], needed: list[Needed]) -> set[tuple[str, str, str]]:
    items = [
        {"apiVersion": "v1", "kind": each["kind"], "metadata": {"name": each["name"], "namespace": each["namespace"]}}
        for each in needed
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    done = workdir.ask([*kubectl, "get", "--ignore-not-found", "--output=json", "--filename=-"], text)
    if done.returncode:
        sys.exit(f"cannot look for what must be in {os.environ['CLUSTER']}:\n{done.stderr}")
    found = json.loads(done.stdout) if done.stdout.strip() else {}
    listed = found.get("items", [found]) if found else []
    return {(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]) for each in listed}


def _told(each: Needed) -> tuple[str, str]:
    """Say what is missing, and what to do."""
    name = each["name"]
    if each["kind"] == "Namespace":
        create = f"kubectl --context {os.environ['CLUSTER']} create namespace {name}"
        return f"there is no namespace {name}", f"{create}, and deploy the service there"
    return (
        f"there is no Service {each['namespace']}/{name}, so callers could not look its name up",
        "deploy that Service (it needs no pods), or write `as: remote`",
    )
