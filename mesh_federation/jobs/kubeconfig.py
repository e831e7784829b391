"""Prints a cluster's kubeconfig under its logical name, and keeps a file of it for people.

usage: python3 -m mesh_federation.jobs kubeconfig create|delete

Environment:
    CLUSTER: the real name. CONTEXT: the logical name. STACK: the Pulumi stack. MESH_HOME: see place.py.

Certificates are embedded: a kubeconfig that names files looks unchanged when they change.
"""

import json
import os
import sys
from pathlib import Path
from typing import NotRequired, TypedDict

from mesh_federation.clusters import workdir


def create(name: str) -> None:
    """Print the kubeconfig, and write it to kubeconfigs/STACK/CONTEXT, readable by its owner only."""
    view = ["kubectl", "config", "view", "--raw", "--flatten", "--minify", "--output=json"]
    done = workdir.ask([*view, f"--kubeconfig={workdir.kubeconfig(name)}"])
    if done.returncode:
        sys.exit(f"no kubeconfig for {name}:\n{done.stderr}")
    text = json.dumps(_renamed(json.loads(done.stdout), os.environ["CONTEXT"]))
    keep(file(), text, name)
    print(text)


def keep(kept: Path, text: str, name: str) -> None:
    """Write a kubeconfig where people and scripts find it, and note whose it is."""
    workdir.write_secret(kept, text)
    _owner(kept).write_text(name, encoding="utf-8")


def delete(name: str) -> None:
    """Remove the file, unless it is already another generation's."""
    owner = _owner(file())
    if owner.exists() and owner.read_text(encoding="utf-8") == name:
        file().unlink(missing_ok=True)
        owner.unlink()


def file() -> Path:
    """Return the file of the cluster that the environment names."""
    return workdir.home() / shown(os.environ["STACK"], os.environ["CONTEXT"])


def shown(stack: str, cluster: str) -> str:
    """Return how the file is called in which people find the kubeconfig of a cluster, by its logical name."""
    return f"kubeconfigs/{stack}/{cluster}"


def _owner(kept: Path) -> Path:
    return kept.parent / f".{kept.name}.of"


class Named(TypedDict):
    """An entry of a kubeconfig's lists."""

    name: str
    context: NotRequired[dict[str, str]]


Minified = TypedDict(
    "Minified",
    {"clusters": list[Named], "users": list[Named], "contexts": list[Named], "current-context": str},
)
"""A kubeconfig cut down to one context."""


def _renamed(config: Minified, context: str) -> Minified:
    """Give the one cluster, user and context the logical name."""
    for entry in (*config["clusters"], *config["users"], *config["contexts"]):
        entry["name"] = context
        if "context" in entry:
            entry["context"] |= {"cluster": context, "user": context}
    return {**config, "current-context": context}


def main() -> None:
    """Run the action that the command line names."""
    workdir.run({"create": create, "delete": delete})
