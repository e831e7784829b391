"""Nodes in the lab's Docker network: what keeps one from its work, and how it gets back the address it was made with.

A node's certificates and manifests carry its address. Docker keeps none for a container that is stopped or cut off, and
hands them out anew when it restarts itself. kind's own images then settle on the new one; other images cannot.
"""

import sys
import time
from collections.abc import Mapping

from mesh_federation.clusters import docker, network

SWAP_SECONDS = 20
"""For nodes of other clusters, which took each other's addresses when Docker restarted, to give them back."""


def addresses(nodes: list[docker.Node]) -> dict[str, str]:
    """Return each node's address in the network, by the container's id; empty where it has none now."""
    address = f'{{{{with index .NetworkSettings.Networks "{network.name()}"}}}}{{{{.IPAddress}}}}{{{{end}}}}'
    listed = docker.run("docker", "inspect", f"--format={{{{.Id}}}} {address}", *(node.id for node in nodes))
    rows = (line.partition(" ") for line in listed.splitlines())
    return {id: found.strip() for id, _, found in rows}


def mend(nodes: list[docker.Node], made_with: Mapping[str, str]) -> None:
    """Restart every node that cannot work, in the network and under the address it was made with; say which and why."""
    now = addresses(nodes)
    ours = [node for node in nodes if node.id in made_with]
    ailing = {node: ails for node in ours if (ails := _ailment(node, now[node.id], made_with[node.id]))}
    if not ailing:
        return
    with network.in_use():
        for node in ailing:  # all of them first: one may have the address of another
            _leave(node)
        for node, ails in ailing.items():
            print(f"{node.name} {ails}: restarted {_rejoin(node, made_with[node.id])}", file=sys.stderr)


def _ailment(node: docker.Node, address: str, made_with: str) -> str:
    if not node.running:
        return "did not run"
    if not address:
        return f"was cut off from Docker network {network.name()}"
    if address != made_with and not _settles(node):
        return f"had address {address}, which it was not made with"
    return ""


def _rejoin(node: docker.Node, address: str) -> str:
    """Put a node back under its address, or under a new one where it can live with that; says which."""
    done = _join(node, f"--ip={address}")
    settles = _taken(done) and _settles(node)
    deadline = time.monotonic() + SWAP_SECONDS
    while _taken(done) and not settles:
        if time.monotonic() >= deadline:
            sys.exit(str(_held(node, address)))
        time.sleep(0.5)
        _leave(node)  # the last try may have connected it without starting it
        done = _join(node, f"--ip={address}")
    if _taken(done):
        _leave(node)
        done, address = _join(node), ""
    if done.returncode:
        docker.fail(done)
    return f"with its address {address}" if address else "with a new address"


def _join(node: docker.Node, *options: str) -> docker.Done:
    joined = docker.ask("docker", "network", "connect", *options, network.name(), node.name)
    return joined if joined.returncode else docker.ask("docker", "restart", node.name)


def _leave(node: docker.Node) -> None:
    docker.ask("docker", "network", "disconnect", "--force", network.name(), node.name)  # not in it: no matter


def _taken(done: docker.Done) -> bool:
    return done.returncode != 0 and "already in use" in done.stderr


def _settles(node: docker.Node) -> bool:
    """Say whether a node settles on another address by itself: an image that does notes the one it has."""
    return docker.ask("docker", "cp", f"{node.name}:/kind/old-ipv4", "-").returncode == 0


def _held(node: docker.Node, address: str) -> docker.Trouble:
    row = '{{range .Containers}}{{.IPv4Address}} {{.Name}}{{"\\n"}}{{end}}'
    rows = docker.run("docker", "network", "inspect", f"--format={row}", network.name()).splitlines()
    holder = next((row.partition(" ")[2] for row in rows if row.startswith(f"{address}/")), "another container")
    what = (
        f"{node.name} cannot start: its certificates are for address {address} in Docker network {network.name()},"
        f" which {holder} has now"
    )
    return docker.Trouble(what, f"docker network disconnect {network.name()} {holder}, then run this again")
