"""Whose cluster has a name: Docker has one of each, and other checkouts and people use it too.

This checkout knows what it makes by two files in the cluster's folder: the entry in the journal, written before
anything is made, and `made`, with the ids of the containers, once the cluster is complete. Whatever else has the name
is left alone.
"""

import json
import shutil
from collections.abc import Mapping
from enum import Enum, auto
from pathlib import Path

from mesh_federation.clusters import docker, journal, workdir
from mesh_federation.clusters.local_cluster import LocalCluster

Addresses = Mapping[str, str]
"""A complete cluster's nodes: the address of each in the lab's network, by the container's id."""


class OwnershipState(Enum):
    """What is there under a cluster's name."""

    ABSENT = auto()
    OURS = auto()
    """Made by this checkout, and whole."""
    INCOMPLETE = auto()
    """This checkout began to make it, or made it and it lost a node since, which cannot be mended."""
    FOREIGN = auto()
    """Another checkout's or a person's."""


def decide(nodes: list[docker.NodeContainer], started: bool, made: Addresses | None) -> OwnershipState:
    """Decide whose the containers of a name are.

    A complete cluster is known by its containers' ids: one that was removed by hand, and then made again by somebody
    else, is not taken for ours.

    Args:
        nodes: the containers that are there.
        started: the journal has an entry of the cluster.
        made: its nodes when it was complete; None if it never was.
    """
    present = {node.id for node in nodes}
    if not present:
        return OwnershipState.ABSENT
    if made is None:
        return OwnershipState.INCOMPLETE if started else OwnershipState.FOREIGN
    if not made.keys() & present:
        return OwnershipState.FOREIGN
    return OwnershipState.OURS if made.keys() <= present else OwnershipState.INCOMPLETE


def of(cluster: LocalCluster, nodes: list[docker.NodeContainer]) -> OwnershipState:
    """Say what is there, as far as this checkout has recorded it."""
    made = addresses(cluster) if _made(cluster).exists() else None
    return decide(nodes, journal.file(cluster).exists(), made)


def addresses(cluster: LocalCluster) -> Addresses:
    """Return the addresses of the nodes of a complete cluster of ours."""
    recorded: dict[str, str] = json.loads(_made(cluster).read_text(encoding="utf-8"))
    return recorded


def begin(cluster: LocalCluster, job: str) -> None:
    """Record that this checkout is about to make the cluster; its folder is empty then."""
    forget(cluster)
    journal.record(cluster, job)


def complete(cluster: LocalCluster, nodes: Addresses) -> None:
    """Record that the cluster is complete."""
    workdir.write(_made(cluster), json.dumps(nodes))


def forget(cluster: LocalCluster) -> None:
    """Remove the cluster's folder; one that is not there is no error."""
    shutil.rmtree(cluster.folder, ignore_errors=True)


def _made(cluster: LocalCluster) -> Path:
    return cluster.folder / "made"
