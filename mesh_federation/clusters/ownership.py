"""Whose cluster has a name: Docker has one of each, and other checkouts and people use it too.

What this checkout makes it knows by two files in the cluster's folder: `begun`, before anything is made, and `made`,
with the ids of the containers, once the cluster is complete. Whatever else has the name is left alone.
"""

import json
import shutil
from collections.abc import Mapping
from enum import Enum, auto
from pathlib import Path

from mesh_federation.clusters import docker, journal, workdir

Addresses = Mapping[str, str]
"""A complete cluster's nodes: the address of each in the lab's network, by the container's id."""


class OwnershipState(Enum):
    """What is there under a cluster's name."""

    NOT = auto()
    OURS = auto()
    """Made by this checkout, and whole."""
    HALF = auto()
    """Begun by this checkout, or made and then robbed of a node, which cannot be mended."""
    FOREIGN = auto()
    """Another checkout's or a person's."""


def standing(nodes: list[docker.Node], begun: bool, made: Addresses | None) -> OwnershipState:
    """Decide whose the containers of a name are.

    A complete cluster is known by its containers' ids: one that was removed by hand, and then made again by somebody
    else, is not taken for ours.
    """
    present = {node.id for node in nodes}
    if not present:
        return OwnershipState.NOT
    if made is None:
        return OwnershipState.HALF if begun else OwnershipState.FOREIGN
    if not made.keys() & present:
        return OwnershipState.FOREIGN
    return OwnershipState.OURS if made.keys() <= present else OwnershipState.HALF


def of(name: str, nodes: list[docker.Node]) -> OwnershipState:
    """Say what is there, as far as this checkout remembers."""
    return standing(nodes, journal.file(name).exists(), addresses(name) if _made(name).exists() else None)


def addresses(name: str) -> Addresses:
    """Return the addresses of the nodes of a complete cluster of ours."""
    noted: dict[str, str] = json.loads(_made(name).read_text(encoding="utf-8"))
    return noted


def begin(name: str, job: str) -> None:
    """Note that this checkout is about to make the cluster; its folder is empty then."""
    forget(name)
    journal.note(name, job)


def complete(name: str, nodes: Addresses) -> None:
    """Note that the cluster is complete."""
    workdir.write(_made(name), json.dumps(nodes))


def forget(name: str) -> None:
    """Remove the cluster's folder; one that is not there is no error."""
    shutil.rmtree(workdir.folder(name), ignore_errors=True)


def _made(name: str) -> Path:
    return workdir.folder(name) / "made"
