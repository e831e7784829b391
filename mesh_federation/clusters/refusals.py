"""Why a cluster of containers is not adopted or could not be made, in terms of the stack file."""

import re
import sys
from collections.abc import Mapping
from typing import NoReturn

from mesh_federation.clusters import docker, host_ports, machine_limits, readiness
from mesh_federation.clusters.container_provider import ContainerConfig, ContainerProvider
from mesh_federation.clusters.local_cluster import ContainerCluster
from mesh_federation.process import ProcessResult


def other_config(provider: ContainerProvider, cluster: ContainerCluster, config: ContainerConfig) -> None:
    """Adopt nothing that was made from another configuration: the name carries only a part of the hash."""
    for member in readiness.members(cluster):
        found = readiness.labels(member, config.labels)
        if found != config.labels:
            what = (
                f"cluster {cluster.name} was made from another configuration\n"
                f"  {member['metadata']['name']} has: {_written(found)}\n"
                f"  the stack file asks for: {_written(config.labels)}"
            )
            fix = f"remove it with `{provider.removal(cluster.name)}` and run again, or give the cluster another name"
            sys.exit(str(docker.Trouble(what, fix)))


def foreign(provider: ContainerProvider, cluster: ContainerCluster, config: ContainerConfig) -> NoReturn:
    """Refuse a cluster that this checkout did not make, and say what it was made from."""
    done = docker.run(*provider.kubectl(cluster.name), "get", "--raw=/api/v1/nodes")
    members = [] if done.returncode else readiness.parse(done.stdout)
    found = _written(readiness.labels(members[0], config.labels)) if members else "unknown: it does not answer"
    what = (
        f"there is a cluster {cluster.name} that this checkout did not make: another checkout or a person did\n"
        f"  it has: {found}\n  the stack file asks for: {_written(config.labels)}"
    )
    fix = (
        "go on in that checkout, or give the stack or the cluster another name here;"
        f" if nobody needs it, remove it with `{provider.removal(cluster.name)}` and run again"
    )
    sys.exit(str(docker.Trouble(what, fix)))


def explain(
    provider: ContainerProvider, cluster: ContainerCluster, config: ContainerConfig, failed: ProcessResult
) -> NoReturn:
    """End with what a failed creation means to the person who wrote the stack file."""
    port = host_ports.taken(failed.stderr)
    if port in config.published:
        sys.exit(str(host_ports.conflict(cluster, port)))
    if docker.trouble(failed.stderr):
        docker.fail(failed)
    if image := re.search(provider.unpulled, failed.stderr, re.DOTALL):
        sys.exit(str(_without_image(provider, cluster, image[1], image[2].strip())))
    if shortages := machine_limits.inotify(machine_limits.read()):
        hint = docker.Trouble(f"This may be why: {'; '.join(short.what for short in shortages)}", shortages[0].fix)
        sys.exit(f"{docker.last_words(failed)}\n{hint}")
    docker.fail(failed)


def _without_image(provider: ContainerProvider, cluster: ContainerCluster, image: str, why: str) -> docker.Trouble:
    gets = "to an image that `docker pull` gets or `docker images` shows"
    setting = next((setting for part, setting in provider.helpers.items() if part in image), None)
    if setting:
        what = f"cluster {cluster.name} cannot get {image}, which {provider.program} itself needs: {why}"
        return docker.Trouble(what, f"set {setting} in the environment {gets}")
    key = f"clusters.{cluster.logical}.image"
    return docker.Trouble(
        f"cluster {cluster.name} cannot get its node image {image}: {why}", f"set {key} or images.node {gets}"
    )


def _written(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items())) or "no such label"
