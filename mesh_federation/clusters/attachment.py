"""Nodes in the lab's Docker network: what keeps one from its work, and how it gets back the address it was made with.

A node's certificates and manifests carry its address. Docker keeps none for a container that is stopped or cut off, and
hands them out anew when it restarts itself. kind's own images then settle on the new one; other images cannot.
"""

import sys
import time
from collections.abc import Mapping

from mesh_federation.clusters import docker, network
from mesh_federation.clusters.local_cluster import LocalCluster
from mesh_federation.process import ProcessResult
from mesh_federation.stack.problem import Problem

SWAP_SECONDS = 20
"""For nodes of other clusters, which took each other's addresses when Docker restarted, to give them back."""


def addresses(network: str, nodes: list[docker.NodeContainer]) -> dict[str, str]:
    """Return each node's address in a network, by the container's id; empty where it has none now."""
    address = f'{{{{with index .NetworkSettings.Networks "{network}"}}}}{{{{.IPAddress}}}}{{{{end}}}}'
    listed = docker.output("docker", "inspect", f"--format={{{{.Id}}}} {address}", *(node.id for node in nodes))
    rows = (line.partition(" ") for line in listed.splitlines())
    return {id: found.strip() for id, _, found in rows}


def mend(cluster: LocalCluster, nodes: list[docker.NodeContainer], made_with: Mapping[str, str]) -> None:
    """Restart every node that cannot work, in the network and under the address it was made with; say which and why.

    Args:
        cluster: whose nodes they are.
        nodes: its containers.
        made_with: address that each was made with, by the container's id.
    """
    settings = cluster.settings.network
    now = addresses(settings.name, nodes)
    ours = [node for node in nodes if node.id in made_with]
    ailing = {node: ails for node in ours if (ails := _ailment(settings.name, node, now[node.id], made_with[node.id]))}
    if not ailing:
        return
    with network.in_use(settings, cluster.workdir):
        for node in ailing:  # all of them first: one may have the address of another
            _leave(settings.name, node)
        for node, ails in ailing.items():
            rejoined = _rejoin(settings.name, node, made_with[node.id])
            print(f"{node.name} {ails}: restarted {rejoined}", file=sys.stderr)


def _ailment(network: str, node: docker.NodeContainer, address: str, made_with: str) -> str:
    if not node.running:
        return "did not run"
    if not address:
        return f"was cut off from Docker network {network}"
    if address != made_with and not _settles(node):
        return f"had address {address}, which it was not made with"
    return ""


def _rejoin(network: str, node: docker.NodeContainer, address: str) -> str:
    """Put a node back under its address, or under a new one where it can live with that; says which."""
    done = _join(network, node, f"--ip={address}")
    settles = _taken(done) and _settles(node)
    deadline = time.monotonic() + SWAP_SECONDS
    while _taken(done) and not settles:
        if time.monotonic() >= deadline:
            sys.exit(str(_held(network, node, address)))
        time.sleep(0.5)
        _leave(network, node)  # the last try may have connected it without starting it
        done = _join(network, node, f"--ip={address}")
    if _taken(done):
        _leave(network, node)
        done, address = _join(network, node), ""
    if done.returncode:
        docker.fail(done)
    return f"with its address {address}" if address else "with a new address"


def _join(network: str, node: docker.NodeContainer, *options: str) -> ProcessResult:
    joined = docker.run("docker", "network", "connect", *options, network, node.name)
    return joined if joined.returncode else docker.run("docker", "restart", node.name)


def _leave(network: str, node: docker.NodeContainer) -> None:
    docker.run("docker", "network", "disconnect", "--force", network, node.name)  # not in it: no matter


def _taken(done: ProcessResult) -> bool:
    return done.returncode != 0 and "already in use" in done.stderr


def _settles(node: docker.NodeContainer) -> bool:
    """Say whether a node settles on another address by itself: an image that does notes the one it has."""
    return docker.run("docker", "cp", f"{node.name}:/kind/old-ipv4", "-").returncode == 0


def _held(network: str, node: docker.NodeContainer, address: str) -> Problem:
    row = '{{range .Containers}}{{.IPv4Address}} {{.Name}}{{"\\n"}}{{end}}'
    rows = docker.output("docker", "network", "inspect", f"--format={row}", network).splitlines()
    holder = next((row.partition(" ")[2] for row in rows if row.startswith(f"{address}/")), "another container")
    what = (
        f"{node.name} cannot start: its certificates are for address {address} in Docker network {network},"
        f" which {holder} has now"
    )
    return Problem("", "address-taken", what, f"docker network disconnect {network} {holder}, then run this again")
