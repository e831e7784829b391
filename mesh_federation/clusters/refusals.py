"""Why a cluster of containers is not adopted or could not be made, in terms of the stack file."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from mesh_federation.clusters import docker, host_ports, machine_limits, readiness
from mesh_federation.clusters.local_cluster import LocalCluster
from mesh_federation.process import ProcessResult
from mesh_federation.stack.problem import Problem


@dataclass(frozen=True)
class MissingImage:
    """An image that a program could not get.

    Attributes:
        image: its name.
        why: the error text.
        program: that needs it.
        variable: environment variable that names it; empty for a node image.
    """

    image: str
    why: str
    program: str
    variable: str


def other_config(cluster: LocalCluster, labels: Mapping[str, str], removal: str) -> None:
    """Adopt nothing that was made from another configuration: the name carries only a part of the hash.

    Args:
        cluster: which.
        labels: that its nodes must have.
        removal: the command by which a person removes it.
    """
    for node in readiness.node_objects(cluster):
        found = readiness.labels(node, labels)
        if found != labels:
            what = (
                f"cluster {cluster.name} was made from another configuration\n"
                f"  {node['metadata']['name']} has: {_written(found)}\n"
                f"  the stack file asks for: {_written(labels)}"
            )
            fix = f"remove it with `{removal}` and run again, or give the cluster another name"
            sys.exit(str(Problem("", "other-configuration", what, fix)))


def foreign(cluster: LocalCluster, listed: ProcessResult, labels: Mapping[str, str], removal: str) -> NoReturn:
    """Refuse a cluster that this checkout did not make, and say what it was made from.

    Args:
        cluster: which.
        listed: its Node objects, as its API server gives them.
        labels: that its nodes would have if it were ours.
        removal: the command by which a person removes it.
    """
    nodes = [] if listed.returncode else readiness.parse(listed.stdout)
    found = _written(readiness.labels(nodes[0], labels)) if nodes else "unknown: it does not answer"
    what = (
        f"there is a cluster {cluster.name} that this checkout did not make: another checkout or a person did\n"
        f"  it has: {found}\n  the stack file asks for: {_written(labels)}"
    )
    fix = (
        "go on in that checkout, or give the stack or the cluster another name here;"
        f" if nobody needs it, remove it with `{removal}` and run again"
    )
    sys.exit(str(Problem("", "foreign-cluster", what, fix)))


def explain(cluster: LocalCluster, failed: ProcessResult, missing: MissingImage | None, label: str) -> NoReturn:
    """End with what a failed creation means to the person who wrote the stack file.

    Args:
        cluster: which.
        failed: the program that was to make it.
        missing: the image that it could not get.
        label: by which it marks containers.
    """
    port = host_ports.unavailable(failed.stderr)
    if port in {mapping.host for mapping in cluster.spec.ports}:
        sys.exit(str(host_ports.conflict(cluster, port, label)))
    if docker.known_problem(failed.stderr):
        docker.fail(failed)
    if missing:
        sys.exit(str(_without_image(cluster, missing)))
    if shortages := machine_limits.inotify(machine_limits.read()):
        hint = Problem(
            "", "inotify-limits", f"This may be why: {'; '.join(short.what for short in shortages)}", shortages[0].fix
        )
        sys.exit(f"{docker.last_words(failed)}\n{hint}")
    docker.fail(failed)


def _without_image(cluster: LocalCluster, missing: MissingImage) -> Problem:
    gets = "to an image that `docker pull` gets or `docker images` shows"
    image, why = missing.image, missing.why
    if missing.variable:
        what = f"cluster {cluster.name} cannot get {image}, which {missing.program} itself needs: {why}"
        return Problem("", "image-missing", what, f"set {missing.variable} in the environment {gets}")
    key = f"clusters.{cluster.logical}.image"
    return Problem(
        "",
        "image-missing",
        f"cluster {cluster.name} cannot get its node image {image}: {why}",
        f"set {key} or images.node {gets}",
    )


def _written(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items())) or "no such label"
