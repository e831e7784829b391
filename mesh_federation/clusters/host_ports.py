"""Host ports that Docker cannot publish: which one, who has it, and what follows from that."""

import re
from collections.abc import Iterable

from mesh_federation.clusters import docker, generations
from mesh_federation.clusters.local_cluster import LocalCluster
from mesh_federation.stack.problem import Problem

TAKEN = (
    r"Bind for \S*?:(\d+) failed: port is already allocated",
    r"listen \S+ \S*?:(\d+): bind: address already in use",
    r"failed to bind host port (?:for )?\S*?:(\d+)[:/][^\n]*address already in use",
)
"""What Docker says: a container has the port; a program has it; the same since Docker 28."""


def unavailable(words: str) -> int | None:
    """Return the port that could not be published, by what Docker said."""
    found = next(filter(None, (re.search(pattern, words) for pattern in TAKEN)), None)
    return int(found[1]) if found else None


def conflict(cluster: LocalCluster, port: int, label: str) -> Problem:
    """Say who has a port that a cluster was to publish, and what to do.

    Args:
        cluster: which.
        port: of this machine.
        label: by which its provider marks containers.
    """
    refused = f"cluster {cluster.name} cannot publish port {port}"
    elsewhere = f"set another clusters.{cluster.logical}.ports[].host"
    container, other = _holder(port, (*docker.CLUSTER_LABELS, label))
    if not container:
        return Problem(
            "",
            "port-taken",
            f"{refused}: a program on this machine has it",
            f"see which with `ss --listening --processes 'sport = :{port}'` and end it, or {elsewhere}",
        )
    if other and generations.logical(other) == cluster.logical:
        return Problem(
            "",
            "port-taken",
            f"{refused}: {other} has it, which it replaces\n"
            "  The new cluster is made before the old one is removed, and only one of them can publish a port",
            f"{elsewhere} in the same edit, or run `./mesh down` and then `./mesh up`",
        )
    whose = f", a node of cluster {other}" if other else ""
    return Problem(
        "", "port-taken", f"{refused}: container {container} has it{whose}", f"{elsewhere}, or remove that container"
    )


def _holder(port: int, labels: Iterable[str]) -> tuple[str, str]:
    """Return the container that publishes a port, and the cluster that it is a node of; empty where there is none."""
    columns = "{{.Names}} " + "".join(f'{{{{.Label "{label}"}}}}' for label in dict.fromkeys(labels))
    listed = docker.output("docker", "ps", f"--filter=publish={port}", f"--format={columns}")
    container, _, cluster = listed.partition("\n")[0].partition(" ")
    return container, cluster
