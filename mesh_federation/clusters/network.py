"""The lab's Docker network: made with declared addresses, shared by all clusters, removed with the last of them.

Environment:
    LAB_NETWORK, LAB_SUBNET, LAB_NODE_RANGE: its name and its addresses; nodes take theirs from the range.
"""

import fcntl
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TypedDict

from mesh_federation.clusters import docker, workdir

OURS = "mesh-federation"
"""Label on networks that we made, and so remove."""


class _Pools(TypedDict):
    Config: list[dict[str, str]] | None


class _Network(TypedDict):
    """The part of `docker network inspect` that counts here."""

    Name: str
    IPAM: _Pools
    Labels: dict[str, str] | None


def name() -> str:
    """Return the network's name."""
    return os.environ["LAB_NETWORK"]


@contextmanager
def in_use() -> Iterator[None]:
    """Make the network if it is not there, and let nobody remove it while nodes are put into it."""
    with _shared(_users()):
        with workdir.locked(docker.locks() / f"network-{name()}.making"):
            _make()
        yield


def remove() -> None:
    """Remove the network with its last cluster; one that we did not make stays."""
    with workdir.locked(_users()):
        network = _inspect()
        if network is None or OURS not in (network["Labels"] or {}):
            return
        # Stopped clusters count: `docker network inspect` lists only containers that run.
        if docker.run("docker", "ps", "--all", "--quiet", f"--filter=network={name()}").strip():
            return
        removed = docker.ask("docker", "network", "rm", name())
        if removed.returncode and not re.search("not found|no such network|active endpoints", removed.stderr, re.I):
            docker.fail(removed)


def _make() -> None:
    subnet = ip_network(os.environ["LAB_SUBNET"])
    network = _inspect()
    if network is not None:
        if subnet not in _subnets(network):
            sys.exit(str(_other_subnet(network, subnet)))
        return
    options = (f"--subnet={subnet}", f"--ip-range={os.environ['LAB_NODE_RANGE']}", f"--label={OURS}")
    made = docker.ask("docker", "network", "create", *options, name())
    if made.returncode and "overlap" in made.stderr.lower():
        sys.exit(str(_overlap(subnet)))
    if made.returncode:
        docker.fail(made)


Subnet = IPv4Network | IPv6Network


def _other_subnet(network: _Network, subnet: Subnet) -> docker.Trouble:
    found = ", ".join(map(str, _subnets(network))) or "no subnet"
    return docker.Trouble(
        f"Docker network {name()} (lab.network) has {found}, but lab.subnet is {subnet}:"
        " gateways' addresses are computed from lab.subnet, so nobody would reach them",
        "set lab.subnet to what the network has, or lab.network to another name, or remove it:"
        f" docker network rm {name()}",
    )


def _overlap(subnet: Subnet) -> docker.Trouble:
    """Name the networks that already have part of the lab's subnet."""
    refused = f"Docker network {name()} cannot have {subnet} (lab.subnet)"
    others = {
        network["Name"]: taken for network in _inspect_all() for taken in _subnets(network) if _overlaps(taken, subnet)
    }
    if not others:
        return docker.Trouble(
            f"{refused}: this machine uses part of it elsewhere",
            "set lab.subnet to a private range that `ip route` does not show",
        )
    listed = " and ".join(f"network {other} has {taken}" for other, taken in others.items())
    return docker.Trouble(
        f"{refused}: {listed}, which overlaps",
        f"set lab.subnet to a free range, or remove what is in the way: docker network rm {' '.join(others)}",
    )


def _overlaps(one: Subnet, other: Subnet) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return isinstance(other, IPv6Network) and one.overlaps(other)


def _inspect() -> _Network | None:
    asked = docker.ask("docker", "network", "inspect", name())
    if asked.returncode and re.search("not found|no such network", asked.stderr, re.I):
        return None
    if asked.returncode:
        docker.fail(asked)
    found: list[_Network] = json.loads(asked.stdout)
    return found[0]


def _inspect_all() -> list[_Network]:
    names = docker.run("docker", "network", "ls", "--format={{.Name}}").split()
    found: list[_Network] = json.loads(docker.run("docker", "network", "inspect", *names))
    return found


def _subnets(network: _Network) -> list[Subnet]:
    return [ip_network(pool["Subnet"], strict=False) for pool in network["IPAM"]["Config"] or [] if "Subnet" in pool]


@contextmanager
def _shared(path: Path) -> Iterator[None]:
    """Hold a lock together with others: whoever wants it alone waits for all of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield


def _users() -> Path:
    return docker.locks() / f"network-{name()}"
