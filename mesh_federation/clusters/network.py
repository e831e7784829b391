"""The lab's Docker network: made with declared addresses, shared by all clusters, removed with the last of them."""

import fcntl
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TypedDict

from mesh_federation.clusters import docker
from mesh_federation.clusters.settings import LabNetwork
from mesh_federation.clusters.workdir import Workdir, locked
from mesh_federation.stack.problem import Problem

OURS = "mesh-federation"
"""Label on networks that we made, and so remove."""


class _Pools(TypedDict):
    Config: list[dict[str, str]] | None


class _Network(TypedDict):
    """The part of `docker network inspect` that counts here."""

    Name: str
    IPAM: _Pools
    Labels: dict[str, str] | None


@contextmanager
def in_use(network: LabNetwork, workdir: Workdir) -> Iterator[None]:
    """Make the network if it is not there, and let nobody remove it while nodes are put into it."""
    with locked(_users(network, workdir), fcntl.LOCK_SH):  # whoever removes it waits for all who use it
        with locked(docker.locks(workdir) / f"network-{network.name}.making"):
            _make(network)
        yield


def remove(network: LabNetwork, workdir: Workdir) -> None:
    """Remove the network with its last cluster; one that we did not make stays."""
    with locked(_users(network, workdir)):
        present = _inspect(network)
        if present is None or OURS not in (present["Labels"] or {}):
            return
        # Stopped clusters count: `docker network inspect` lists only containers that run.
        if docker.output("docker", "ps", "--all", "--quiet", f"--filter=network={network.name}").strip():
            return
        removed = docker.run("docker", "network", "rm", network.name)
        if removed.returncode and not re.search("not found|no such network|active endpoints", removed.stderr, re.I):
            docker.fail(removed)


def _make(network: LabNetwork) -> None:
    subnet = ip_network(network.subnet)
    present = _inspect(network)
    if present is not None:
        if subnet not in _subnets(present):
            sys.exit(str(_other_subnet(present, subnet)))
        return
    options = (f"--subnet={subnet}", f"--ip-range={network.node_range}", f"--label={OURS}")
    made = docker.run("docker", "network", "create", *options, network.name)
    if made.returncode and "overlap" in made.stderr.lower():
        sys.exit(str(_overlap(network.name, subnet)))
    if made.returncode:
        docker.fail(made)


Subnet = IPv4Network | IPv6Network


def _other_subnet(network: _Network, subnet: Subnet) -> Problem:
    found = ", ".join(map(str, _subnets(network))) or "no subnet"
    return Problem(
        "",
        "network-subnet",
        f"Docker network {network['Name']} (lab.network) has {found}, but lab.subnet is {subnet}:"
        " gateways' addresses are computed from lab.subnet, so nobody would reach them",
        "set lab.subnet to what the network has, or lab.network to another name, or remove it:"
        f" docker network rm {network['Name']}",
    )


def _overlap(name: str, subnet: Subnet) -> Problem:
    """Name the networks that already have part of the lab's subnet."""
    refused = f"Docker network {name} cannot have {subnet} (lab.subnet)"
    others = {
        network["Name"]: taken for network in _inspect_all() for taken in _subnets(network) if _overlaps(taken, subnet)
    }
    if not others:
        return Problem(
            "",
            "network-overlap",
            f"{refused}: this machine uses part of it elsewhere",
            "set lab.subnet to a private range that `ip route` does not show",
        )
    listed = " and ".join(f"network {other} has {taken}" for other, taken in others.items())
    return Problem(
        "",
        "network-overlap",
        f"{refused}: {listed}, which overlaps",
        f"set lab.subnet to a free range, or remove what is in the way: docker network rm {' '.join(others)}",
    )


def _overlaps(one: Subnet, other: Subnet) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return isinstance(other, IPv6Network) and one.overlaps(other)


def _inspect(network: LabNetwork) -> _Network | None:
    done = docker.run("docker", "network", "inspect", network.name)
    if done.returncode and re.search("not found|no such network", done.stderr, re.I):
        return None
    if done.returncode:
        docker.fail(done)
    found: list[_Network] = json.loads(done.stdout)
    return found[0]


def _inspect_all() -> list[_Network]:
    names = docker.output("docker", "network", "ls", "--format={{.Name}}").split()
    found: list[_Network] = json.loads(docker.output("docker", "network", "inspect", *names))
    return found


def _subnets(network: _Network) -> list[Subnet]:
    return [ip_network(pool["Subnet"], strict=False) for pool in network["IPAM"]["Config"] or [] if "Subnet" in pool]


def _users(network: LabNetwork, workdir: Workdir) -> Path:
    return docker.locks(workdir) / f"network-{network.name}"
