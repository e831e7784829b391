"""Refuses to take over objects of an existing cluster that this stack did not make.

usage: python3 -m components.provisioners.claim

Environment:
    CLUSTER: the cluster's logical name. STACK: the Pulumi stack. KUBECONFIG_TEXT: how to reach the cluster.
Standard input: JSON list of the objects that the stack is about to make: apiVersion, kind, namespace, name.

The Kubernetes provider applies objects, so that a repeated run converges; without this check it would also take over,
and one day delete, whatever had the same name before.
"""

import json
import os
import sys
from collections.abc import Iterator
from itertools import groupby
from typing import NotRequired, TypedDict

from components.provisioners import access, place

OWNER = "mesh-federation/stack"
"""Label on every object of a stack."""


class _Metadata(TypedDict):
    name: str
    namespace: NotRequired[str]
    labels: NotRequired[dict[str, str]]


class Found(TypedDict):
    """The part of an object that counts here, as an API server gives it."""

    kind: NotRequired[str]
    metadata: _Metadata


def is_ours(found: Found) -> bool:
    """Say whether this stack made an object."""
    return found["metadata"].get("labels", {}).get(OWNER) == os.environ["STACK"]


def main() -> None:
    """Look every object up and end with a message that names all that are somebody else's."""
    wanted = sorted(json.load(sys.stdin), key=_kind)
    with access.kubectl(os.environ["KUBECONFIG_TEXT"]) as kubectl:
        foreign = [name for _, group in groupby(wanted, key=_kind) for name in _foreign(list(group), kubectl)]
    if foreign:
        listed = "\n".join(f"  {name}" for name in foreign)
        sys.exit(
            f"{os.environ['CLUSTER']} already has objects that stack {os.environ['STACK']} did not make:\n{listed}\n"
            f"-> remove or rename them, or set clusters.{os.environ['CLUSTER']}.adopt: true to take them over"
        )


def _kind(identity: dict[str, str]) -> tuple[str, str]:
    return identity["apiVersion"], identity["kind"]


def _foreign(identities: list[dict[str, str]], kubectl: list[str]) -> Iterator[str]:
    """Return those of one kind that exist and carry another owner's label, or none."""
    manifests = [
        {
            "apiVersion": identity["apiVersion"],
            "kind": identity["kind"],
            "metadata": {"name": identity["name"], "namespace": identity["namespace"]},
        }
        for identity in identities
    ]
    get = [*kubectl, "get", "--ignore-not-found", "--output=json", "--filename=-"]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    done = place.ask(get, text)
    if "no matches for kind" in done.stderr:  # its definition is not there yet, so no object is
        return
    if done.returncode:
        sys.exit(f"cannot look for objects in {os.environ['CLUSTER']}:\n{done.stderr}")
    found = json.loads(done.stdout) if done.stdout.strip() else {}
    for item in found.get("items", [found] if found else []):
        metadata = item["metadata"]
        if not is_ours(item):
            yield f"{item['kind']} {metadata.get('namespace', '')}/{metadata['name']}".replace(" /", " ")


if __name__ == "__main__":
    main()
