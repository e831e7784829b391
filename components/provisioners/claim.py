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
import tempfile
from collections.abc import Iterator
from itertools import groupby

from components.provisioners import place

OWNER = "mesh-federation/stack"
"""Label on every object of a stack."""


def main() -> None:
    """Look every object up and end with a message that names all that are somebody else's."""
    wanted = sorted(json.load(sys.stdin), key=_kind)
    with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig") as kubeconfig:  # mode 0600
        kubeconfig.write(os.environ["KUBECONFIG_TEXT"])
        kubeconfig.flush()
        foreign = [name for _, group in groupby(wanted, key=_kind) for name in _foreign(list(group), kubeconfig.name)]
    if foreign:
        listed = "\n".join(f"  {name}" for name in foreign)
        sys.exit(
            f"{os.environ['CLUSTER']} already has objects that stack {os.environ['STACK']} did not make:\n{listed}\n"
            f"-> remove or rename them, or set clusters.{os.environ['CLUSTER']}.adopt: true to take them over"
        )


def _kind(identity: dict[str, str]) -> tuple[str, str]:
    return identity["apiVersion"], identity["kind"]


def _foreign(identities: list[dict[str, str]], kubeconfig: str) -> Iterator[str]:
    """Return those of one kind that exist and carry another owner's label, or none."""
    manifests = [
        {
            "apiVersion": identity["apiVersion"],
            "kind": identity["kind"],
            "metadata": {"name": identity["name"], "namespace": identity["namespace"]},
        }
        for identity in identities
    ]
    get = ["kubectl", f"--kubeconfig={kubeconfig}", "get", "--ignore-not-found", "--output=json", "--filename=-"]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    done = place.ask(get, text)
    if "no matches for kind" in done.stderr:  # its definition is not there yet, so no object is
        return
    if done.returncode:
        sys.exit(f"cannot look for objects in {os.environ['CLUSTER']}:\n{done.stderr}")
    found = json.loads(done.stdout) if done.stdout.strip() else {}
    for item in found.get("items", [found] if found else []):
        metadata = item["metadata"]
        if metadata.get("labels", {}).get(OWNER) != os.environ["STACK"]:
            yield f"{item['kind']} {metadata.get('namespace', '')}/{metadata['name']}".replace(" /", " ")


if __name__ == "__main__":
    main()
