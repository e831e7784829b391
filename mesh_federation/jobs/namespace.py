"""Makes a namespace, and removes it when nobody else has anything in it.

usage: python3 -m mesh_federation.jobs namespace create|delete

Environment:
    CLUSTER: the cluster's logical name. NAMESPACE: which one. STACK: the Pulumi stack.
    LABELS: JSON of the labels by which its objects are known.
Standard input: the cluster's kubeconfig.

A namespace holds what others put into it, and deleting it deletes that. So the engine never does: it retains every
Namespace, and this script, whose resource goes after all that the stack has in there, looks what is left. Who made the
namespace stands on the namespace itself, written in the step that made it: a run may be killed at any moment.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import NotRequired, TypedDict

from mesh_federation.clusters import access, workdir

MADE_BY = "mesh-federation/made-by"
"""Annotation on a namespace that was not there before."""
ENGINE = "pulumi-kubernetes"
"""How the names begin under which the Kubernetes provider owns fields."""
PASSING = frozenset(
    {
        "endpoints",
        "endpointslices.discovery.k8s.io",
        "events",
        "events.events.k8s.io",
        "leases.coordination.k8s.io",
        "pods.metrics.k8s.io",
    }
)
"""Kinds of which nothing is lost: they are written about other objects, and anew."""
EVERYWHERE = frozenset(
    {
        ("ServiceAccount", "default"),
        ("ConfigMap", "kube-root-ca.crt"),
        ("ConfigMap", "istio-ca-root-cert"),
        ("ConfigMap", "istio-ca-crl"),
    }
)
"""What Kubernetes and Istio put into every namespace."""
LEADER = "control-plane.alpha.kubernetes.io/leader"
TOKEN = "kubernetes.io/service-account-token"
SETTLING = 60
"""Seconds for which what belonged to a removed object may still be there; one or two are usual."""
REMOVAL = 300
"""Seconds; pods that end are waited for."""
SHOWN = 3


class Metadata(TypedDict):
    """The part of an object's metadata that counts here."""

    name: str
    uid: str
    annotations: NotRequired[dict[str, str]]
    deletionTimestamp: NotRequired[str]
    managedFields: NotRequired[list[dict[str, str]]]
    ownerReferences: NotRequired[list[dict[str, str]]]


class Item(TypedDict):
    """An object as an API server gives it."""

    kind: str
    metadata: Metadata
    type: NotRequired[str]


def main() -> None:
    """Do what the command line says."""
    actions = {"create": create, "delete": delete}
    if len(sys.argv) != 2 or sys.argv[1] not in actions:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(actions)}")
    with access.kubectl(sys.stdin.read()) as kubectl:
        actions[sys.argv[1]](kubectl, os.environ["NAMESPACE"])


def create(kubectl: list[str], name: str) -> None:
    """Make the namespace, with the mark of its maker; one that is there is left as it is."""
    metadata = {
        "name": name,
        "labels": json.loads(os.environ["LABELS"]),
        "annotations": {MADE_BY: os.environ["STACK"]},
    }
    body = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    workdir.until_whole(lambda: _lacking(kubectl, name, body), REMOVAL)


def _lacking(kubectl: list[str], name: str, body: str) -> str:
    made = workdir.ask([*kubectl, "create", "--filename=-"], body)
    if made.returncode and "AlreadyExists" not in made.stderr:
        sys.exit(f"{_told(name)} cannot be made:\n{made.stderr}")
    going = made.returncode and "deletionTimestamp" in (_found(kubectl, name) or {"metadata": {}})["metadata"]
    return f"{_told(name)} is being deleted, and does not come to an end" if going else ""


def delete(kubectl: list[str], name: str) -> None:
    """Remove the namespace if this stack made it and nothing is in it; else tell why it stays."""
    found = _found(kubectl, name)
    if found is None:
        return
    if found["metadata"].get("annotations", {}).get(MADE_BY) != os.environ["STACK"]:
        _give_back(kubectl, found)
        _tell(f"{_told(name)} stays: it was there before, or somebody has made it anew since")
        return
    try:
        kept = left(kubectl, name)
    except NotReadable as unseen:
        _tell(f"{_told(name)} stays: what is in it cannot be seen: {unseen}")
        return
    if kept:
        more = f" and {len(kept) - SHOWN} more" if len(kept) > SHOWN else ""
        _tell(f"{_told(name)} stays, with what is in it: {', '.join(kept[:SHOWN])}{more}")
        return
    removed = workdir.ask([*kubectl, "delete", "namespace", name, "--ignore-not-found", f"--timeout={REMOVAL}s"])
    if removed.returncode:
        sys.exit(f"{_told(name)} cannot be removed:\n{removed.stderr}")


class NotReadable(Exception):
    """Not all that is in the namespace can be looked at."""


def left(kubectl: list[str], namespace: str) -> list[str]:
    """Return what is in the namespace for anybody, once what belonged to removed objects had time to go.

    Raises:
        Unseen: some of it cannot be looked at.
    """
    deadline = time.monotonic() + SETTLING
    while True:
        items = [item for item in _items(kubectl, namespace) if not _is_passing(item)]
        known = {item["metadata"]["uid"] for item in items}
        kept = [item for item in items if not item["metadata"].get("ownerReferences")]
        orphans = [item for item in items if item not in kept and not known & _owners(item)]
        if kept or not orphans or time.monotonic() > deadline:
            return [f"{item['kind']} {item['metadata']['name']}" for item in [*kept, *orphans]]
        time.sleep(0.5)


def _items(kubectl: list[str], namespace: str) -> list[Item]:
    known = _seen([*kubectl, "api-resources", "--verbs=list", "--namespaced", "--output=name"]).split()
    kinds = ",".join(kind for kind in known if kind not in PASSING)
    found: list[Item] = json.loads(_seen([*kubectl, "get", kinds, f"--namespace={namespace}", "--output=json"]))[
        "items"
    ]
    return found


def _seen(command: Sequence[str]) -> str:
    done = workdir.ask(command)
    if done.returncode:
        raise NotReadable(done.stderr.strip())
    return done.stdout


def _is_passing(item: Item) -> bool:
    metadata = item["metadata"]
    return (
        (item["kind"], metadata["name"]) in EVERYWHERE
        or "deletionTimestamp" in metadata
        or LEADER in metadata.get("annotations", {})
        or item.get("type") == TOKEN
    )


def _owners(item: Item) -> set[str]:
    return {owner["uid"] for owner in item["metadata"].get("ownerReferences", [])}


def _found(kubectl: list[str], name: str) -> Item | None:
    which = ("get", "namespace", name, "--ignore-not-found", "--show-managed-fields", "--output=json")
    done = workdir.ask([*kubectl, *which])
    if done.returncode:
        sys.exit(f"cannot look for {_told(name)}:\n{done.stderr}")
    found: Item | None = json.loads(done.stdout) if done.stdout.strip() else None
    return found


def _give_back(kubectl: list[str], found: Item) -> None:
    """Take back the labels that the engine alone put on it: a manager who declares nothing any more owns nothing."""
    name = found["metadata"]["name"]
    body = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    managers = {fields["manager"] for fields in found["metadata"].get("managedFields", [])}
    for manager in sorted(each for each in managers if each.startswith(ENGINE)):
        done = workdir.ask([*kubectl, "apply", "--server-side", f"--field-manager={manager}", "--filename=-"], body)
        if done.returncode:
            _tell(f"{_told(name)} keeps the labels that it was given: {done.stderr.strip()}")


def _told(name: str) -> str:
    return f"namespace {name} of {os.environ['CLUSTER']}"


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
