"""Frees the host of an import for its next owner: what is Service and ServiceEntry at once, Istio leaves undefined.

usage: python3 -m mesh_federation.jobs host-release

Environment:
    HOST: the host. SERVICE: namespace/name of the Service that would have it; empty where none can. OWNER: the only
    object that may have it from now on, as Kind namespace/name. CLUSTER: the cluster's logical name. STACK: the Pulumi
    stack. OWNER_ID: on a cluster that is not ours, whose objects are this stack's (claim.py).
Standard input: the cluster's kubeconfig.

Owners that this stack made go; those of others are named, and nothing is touched. Source: walk-through pitfall 14. The
engine deletes after it has created, so without this step both would be there for seconds.
"""

import json
import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

from mesh_federation.clusters import access, workdir
from mesh_federation.jobs.ownership_check import Found, is_ours

KINDS = {"Service": "services", "ServiceEntry": "serviceentries.networking.istio.io"}


class Owner(NamedTuple):
    """An object that has the host."""

    kind: str
    namespace: str
    name: str
    ours: bool

    def __str__(self) -> str:
        """Return the form in which OWNER is given."""
        return f"{self.kind} {self.namespace}/{self.name}"


def main() -> None:
    """Delete every other owner of the host, or end with the names of those that are not ours to delete."""
    with access.kubectl(sys.stdin.read()) as kubectl:
        others = [owner for owner in _owners(kubectl) if str(owner) != os.environ["OWNER"]]
        _refuse_foreign([owner for owner in others if not owner.ours])
        for owner in others:
            which = (KINDS[owner.kind], owner.name, f"--namespace={owner.namespace}")
            _ask(kubectl, "delete", *which, "--ignore-not-found")


def _owners(kubectl: list[str]) -> Iterator[Owner]:
    namespace, _, name = os.environ["SERVICE"].partition("/")
    if name:
        where = (f"--namespace={namespace}", f"--field-selector=metadata.name={name}")
        found = _ask(kubectl, "get", "services", *where, "-o=json")
        yield from (_owner("Service", service) for service in json.loads(found)["items"])
    entries = json.loads(_ask(kubectl, "get", KINDS["ServiceEntry"], "--all-namespaces", "-o=json"))["items"]
    yield from (_owner("ServiceEntry", entry) for entry in entries if os.environ["HOST"] in entry["spec"]["hosts"])


def _owner(kind: str, found: Found) -> Owner:
    metadata = found["metadata"]
    return Owner(kind, metadata["namespace"], metadata["name"], is_ours(found))


def _refuse_foreign(foreign: list[Owner]) -> None:
    if foreign:
        cluster, host, owner = os.environ["CLUSTER"], os.environ["HOST"], os.environ["OWNER"]
        named = ", ".join(map(str, foreign))
        here = any(each.kind == "Service" for each in foreign)
        fix = "write `as: local`, so that calls go to its pods too, or remove it" if here else "remove it"
        sys.exit(
            f"{cluster} already has {named}, which this stack did not make. {host} would belong to that and to {owner},"
            f" which Istio leaves undefined.\n-> {fix}"
        )


def _ask(kubectl: list[str], *words: str) -> str:
    done = workdir.ask([*kubectl, *words])
    if done.returncode:
        sys.exit(f"cannot {words[0]} the owners of {os.environ['HOST']} in {os.environ['CLUSTER']}:\n{done.stderr}")
    return done.stdout
