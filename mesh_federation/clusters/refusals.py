"""Why a cluster of containers is not adopted or could not be made, in the words of who wrote the stack file."""

import re
import sys
from collections.abc import Mapping
from typing import NoReturn

from mesh_federation.clusters import docker, generations, host_ports, machine_limits, readiness
from mesh_federation.clusters.container_provider import ContainerProvider, Order


def other_config(maker: ContainerProvider, name: str, order: Order) -> None:
    """Adopt nothing that was made from another configuration: the name carries only a part of the hash."""
    for member in readiness.members(name):
        found = readiness.labels(member, order.labels)
        if found != order.labels:
            what = (
                f"cluster {name} was made from another configuration\n"
                f"  {member['metadata']['name']} has: {_written(found)}\n"
                f"  the stack file asks for: {_written(order.labels)}"
            )
            fix = f"remove it with `{maker.removal(name)}` and run again, or give the cluster another name"
            sys.exit(str(docker.Trouble(what, fix)))


def foreign(maker: ContainerProvider, name: str, order: Order) -> NoReturn:
    """Refuse a cluster that this checkout did not make, and say what it was made from."""
    asked = docker.ask(*maker.kubectl(name), "get", "--raw=/api/v1/nodes")
    members = [] if asked.returncode else readiness.parse(asked.stdout)
    found = _written(readiness.labels(members[0], order.labels)) if members else "unknown: it does not answer"
    what = (
        f"there is a cluster {name} that this checkout did not make: another checkout or a person did\n"
        f"  it has: {found}\n  the stack file asks for: {_written(order.labels)}"
    )
    fix = (
        "go on in that checkout, or give the stack or the cluster another name here;"
        f" if nobody needs it, remove it with `{maker.removal(name)}` and run again"
    )
    sys.exit(str(docker.Trouble(what, fix)))


def explain(maker: ContainerProvider, name: str, order: Order, failed: docker.Done) -> NoReturn:
    """End with what a failed creation means to the person who wrote the stack file."""
    port = host_ports.taken(failed.stderr)
    if port in order.published:
        sys.exit(str(host_ports.conflict(name, port)))
    if docker.trouble(failed.stderr):
        docker.fail(failed)
    if image := re.search(maker.unpulled, failed.stderr, re.DOTALL):
        sys.exit(str(_without_image(maker, name, image[1], image[2].strip())))
    if shortages := machine_limits.inotify(machine_limits.read()):
        hint = docker.Trouble(f"This may be why: {'; '.join(short.what for short in shortages)}", shortages[0].fix)
        sys.exit(f"{docker.last_words(failed)}\n{hint}")
    docker.fail(failed)


def _without_image(maker: ContainerProvider, name: str, image: str, why: str) -> docker.Trouble:
    gets = "to an image that `docker pull` gets or `docker images` shows"
    setting = next((setting for part, setting in maker.helpers.items() if part in image), None)
    if setting:
        what = f"cluster {name} cannot get {image}, which {maker.program} itself needs: {why}"
        return docker.Trouble(what, f"set {setting} in the environment {gets}")
    key = f"clusters.{generations.logical(name)}.image"
    return docker.Trouble(
        f"cluster {name} cannot get its node image {image}: {why}", f"set {key} or images.node {gets}"
    )


def _written(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items())) or "no such label"
