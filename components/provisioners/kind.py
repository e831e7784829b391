"""Makes, starts and removes a kind cluster: real nodes in Docker containers.

usage: python3 -m components.provisioners.kind create|ready|start|delete

Environment:
    CLUSTER: the real name. MESH_HOME: see place.py. READY_WITHIN: see readiness.py.
    LAB_NETWORK, LAB_SUBNET, LAB_NODE_RANGE: see network.py.
Standard input of create: kind's configuration as JSON; its nodes carry a hash of what they were made from.
"""

import json
import re
import sys
from collections.abc import Mapping
from typing import NoReturn, NotRequired, TypedDict

from components.provisioners import (
    attachment,
    docker,
    generations,
    limits,
    network,
    ownership,
    place,
    ports,
    readiness,
)

LABEL = "io.x-k8s.kind.cluster"
"""By which kind knows its containers."""
TIMEOUT = 900
"""Seconds for kind to do one thing, its wait left out: enough for a node image over a slow line."""


class _PortMapping(TypedDict):
    hostPort: int


class _ConfiguredNode(TypedDict):
    labels: dict[str, str]
    extraPortMappings: NotRequired[list[_PortMapping]]


class Config(TypedDict):
    """The part of kind's configuration that counts here."""

    nodes: list[_ConfiguredNode]


def create(name: str, text: str) -> None:
    """Make the cluster, or adopt the one that this checkout made from the same configuration."""
    config: Config = json.loads(text)
    with docker.alone(name):
        nodes = docker.nodes(LABEL, name)
        match ownership.of(name, nodes):
            case ownership.Stands.OURS:
                _wake(name, nodes)
                _refuse_other_config(name, config)
            case ownership.Stands.FOREIGN:
                _refuse_foreign(name, config)
            case ownership.Stands.HALF:
                _remove(name)
                _make(name, config, text)
            case ownership.Stands.NOT:
                _make(name, config, text)


def ready(name: str) -> None:
    """Wait until every node of a new cluster is ready."""
    readiness.wait(name, docker.nodes(LABEL, name))


def start(name: str) -> None:
    """Start what stopped, reconnect what lost its network, and wait until every node is ready; often all is well."""
    nodes = docker.nodes(LABEL, name)
    if ownership.of(name, nodes) is not ownership.Stands.OURS:
        place.gone(name)
    _wake(name, nodes)


def delete(name: str) -> None:
    """Remove the cluster if it is there and ours, and with the last one the lab's network."""
    with docker.alone(name):
        stands = ownership.of(name, docker.nodes(LABEL, name))
        if stands in (ownership.Stands.OURS, ownership.Stands.HALF):
            generations.let_importers_move(name)
            _remove(name)
        if stands is ownership.Stands.FOREIGN:
            what = f"cluster {name} is left alone: what has that name now was not made by this checkout"
            print(docker.Trouble(what, f"if nobody needs it: kind delete cluster --name={name}"), file=sys.stderr)
        ownership.forget(name)
    network.remove()


def _make(name: str, config: Config, text: str) -> None:
    _refuse_without_memory(name)
    with network.in_use():
        ownership.begin(name, f"{place.SCRIPT_PREFIX}kind")
        done = _kind("create", name, "--config=-", stdin=text)
    if done.returncode:
        _withdraw(name, done)
        _explain(name, config, done)
    ownership.complete(name, attachment.addresses(docker.nodes(LABEL, name)))


def _remove(name: str) -> None:
    done = _kind("delete", name)
    if done.returncode:
        docker.fail(done)


def _kind(action: str, name: str, *options: str, stdin: str = "", timeout: int = TIMEOUT) -> docker.Done:
    """Run kind with Docker, though it would take podman as well, and with our kubeconfig instead of the user's."""
    settings = {"KIND_EXPERIMENTAL_PROVIDER": "docker", "KIND_EXPERIMENTAL_DOCKER_NETWORK": network.name()}
    command = ("kind", action, "cluster", f"--name={name}", f"--kubeconfig={place.kubeconfig(name)}", *options)
    return docker.ask(*command, stdin=stdin, settings=settings, timeout=timeout)


def _wake(name: str, nodes: list[docker.Node]) -> None:
    attachment.mend(nodes, ownership.addresses(name))
    readiness.wait(name, nodes)


def _withdraw(name: str, failed: docker.Done) -> None:
    """Claim nothing where nothing is left of ours: another checkout may take the name before we try again.

    kind removes what it began, and begins nothing where the name is taken.
    """
    if "already exist for a cluster" in failed.stderr or not docker.nodes(LABEL, name):
        ownership.forget(name)
    network.remove()


def _refuse_without_memory(name: str) -> None:
    shortage = limits.memory(limits.read())
    if shortage and shortage.fatal:
        sys.exit(str(docker.Trouble(f"cluster {name} is not begun: {shortage.what}", shortage.fix)))


def _refuse_other_config(name: str, config: Config) -> None:
    """Adopt nothing that was made from another configuration: the name carries only a part of the hash."""
    wanted = config["nodes"][0]["labels"]
    for member in readiness.members(name):
        found = readiness.labels(member, wanted)
        if found != wanted:
            what = (
                f"cluster {name} was made from another configuration\n"
                f"  {member['metadata']['name']} has: {_written(found)}\n  the stack file asks for: {_written(wanted)}"
            )
            fix = f"remove it with `kind delete cluster --name={name}` and run again, or give the cluster another name"
            sys.exit(str(docker.Trouble(what, fix)))


def _refuse_foreign(name: str, config: Config) -> NoReturn:
    wanted = config["nodes"][0]["labels"]
    inside = ("docker", "exec", f"{name}-control-plane", "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")
    asked = docker.ask(*inside, "get", "--raw=/api/v1/nodes")
    members = [] if asked.returncode else readiness.parse(asked.stdout)
    found = _written(readiness.labels(members[0], wanted)) if members else "unknown: it does not answer"
    what = (
        f"there is a cluster {name} that this checkout did not make: another checkout or a person did\n"
        f"  it has: {found}\n  the stack file asks for: {_written(wanted)}"
    )
    fix = (
        "go on in that checkout, or give the stack or the cluster another name here;"
        f" if nobody needs it, remove it with `kind delete cluster --name={name}` and run again"
    )
    sys.exit(str(docker.Trouble(what, fix)))


def _written(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items())) or "no such label"


def _explain(name: str, config: Config, failed: docker.Done) -> NoReturn:
    """End with what a failed creation means to the person who wrote the stack file."""
    port = ports.taken(failed.stderr)
    if port in _published(config):
        sys.exit(str(ports.conflict(name, port)))
    if docker.trouble(failed.stderr):
        docker.fail(failed)
    if image := re.search(r'failed to pull image "(.+?)".*Command Output: ([^\n]*)', failed.stderr, re.DOTALL):
        what = f"cluster {name} cannot get its node image {image[1]}: {image[2]}"
        key = f"clusters.{generations.logical(name)}.image"
        fix = f"set {key} or images.node to an image that `docker pull` gets or `docker images` shows"
        sys.exit(str(docker.Trouble(what, fix)))
    if shortages := limits.inotify(limits.read()):
        hint = docker.Trouble(f"This may be why: {'; '.join(short.what for short in shortages)}", shortages[0].fix)
        sys.exit(f"{docker.last_words(failed)}\n{hint}")
    docker.fail(failed)


def _published(config: Config) -> set[int]:
    return {mapping["hostPort"] for node in config["nodes"] for mapping in node.get("extraPortMappings", [])}


if __name__ == "__main__":
    place.run({"create": lambda name: create(name, sys.stdin.read()), "ready": ready, "start": start, "delete": delete})
