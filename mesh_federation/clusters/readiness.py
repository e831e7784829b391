"""Whether a cluster of containers is up: its API server answers, and every node is ready."""

import json
import sys
import time
from collections.abc import Mapping
from typing import TypedDict

from mesh_federation.clusters import docker
from mesh_federation.clusters.local_cluster import LocalCluster
from mesh_federation.stack.problem import Problem


class _Metadata(TypedDict):
    name: str
    labels: dict[str, str]


class _Status(TypedDict):
    conditions: list[dict[str, str]]


class NodeObject(TypedDict):
    """The part of a Kubernetes Node that counts here."""

    metadata: _Metadata
    status: _Status


def wait(cluster: LocalCluster, nodes: list[docker.NodeContainer], logs: str) -> None:
    """Wait until the cluster is up, or end with what it lacks and where to look.

    Args:
        cluster: which.
        nodes: those that are to be ready.
        logs: commands that show why one is not.
    """
    deadline = time.monotonic() + cluster.spec.ready_within_seconds
    while missing := _missing(cluster, nodes):
        left = deadline - time.monotonic()
        if left <= 0:
            sys.exit(str(_late(cluster, nodes, missing, logs)))
        if not _watched(cluster, nodes, left):
            time.sleep(0.5)


def node_objects(cluster: LocalCluster) -> list[NodeObject]:
    """Return the cluster's Node objects; none when it does not answer."""
    raw = ("--raw=/api/v1/nodes", "--request-timeout=3s")  # raw: kubectl would first read what the server can do
    return parse(cluster.kubectl.run("get", *raw).stdout)


def parse(node_list: str) -> list[NodeObject]:
    """Read what an API server gives for its nodes."""
    items: list[NodeObject] = json.loads(node_list)["items"] if node_list else []
    return items


def labels(node: NodeObject, wanted: Mapping[str, str]) -> dict[str, str]:
    """Return those of a node's labels that are wanted, with the values they really have."""
    return {key: value for key, value in node["metadata"]["labels"].items() if key in wanted}


def _missing(cluster: LocalCluster, nodes: list[docker.NodeContainer]) -> str:
    """Return what is still missing; empty when the cluster is up."""
    if not cluster.answers():
        return "its API server does not answer"
    ready = {node["metadata"]["name"] for node in node_objects(cluster) if _is_ready(node)}
    missing = sorted({node.name for node in nodes} - ready)
    return f"not Ready: {', '.join(missing)}" if missing else ""


def _watched(cluster: LocalCluster, nodes: list[docker.NodeContainer], seconds: float) -> bool:
    """Let the API server say when all nodes are ready: asking again and again takes processor time that they need."""
    until = ("--for=condition=Ready", f"--timeout={seconds:.0f}s", *(f"node/{node.name}" for node in nodes))
    return cluster.kubectl.run("wait", *until).returncode == 0


def _is_ready(node: NodeObject) -> bool:
    return any(found["type"] == "Ready" and found["status"] == "True" for found in node["status"]["conditions"])


def _late(cluster: LocalCluster, nodes: list[docker.NodeContainer], missing: str, logs: str) -> Problem:
    all_nodes = " ".join(node.name for node in nodes)
    return Problem(
        "",
        "nodes-not-ready",
        f"cluster {cluster.name} is not up after {cluster.spec.ready_within_seconds} s: {missing}",
        f"see {logs}; where the machine is only slow raise"
        f" clusters.{cluster.logical}.readyWithinSeconds;"
        f" to have it made anew: docker rm --force --volumes {all_nodes}",
    )
