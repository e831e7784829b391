"""Makes and removes a kind cluster: real nodes in Docker containers.

usage: python3 -m components.provisioners.kind create|start|delete

Environment:
    CLUSTER: the real name. MESH_HOME: see place.py.
    LAB_NETWORK, LAB_SUBNET, LAB_NODE_RANGE: the Docker network with its addresses; nodes take theirs from the range.
Standard input of create: kind's configuration.

The cluster's name carries a hash of its configuration, so one that exists under the name was made from the same.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from components.provisioners import place

LABEL = "mesh-federation"
"""On Docker networks that we made, and so remove."""

USERS = "{{range .Containers}}{{.Name}} {{end}}"

TIMEOUT = 600
"""Seconds for a cluster to come up; 40 are usual."""
START_TIMEOUT = 120
"""Seconds for the API server of a started cluster to answer; 15 are usual."""


def create(name: str, config: str) -> None:
    """Create the cluster, or adopt it when it answers; a half-made one is made anew."""
    if place.answers(name):
        return
    _network()
    if name in _run("kind", "get", "clusters").split():
        delete(name)
    place.folder(name).mkdir(parents=True, exist_ok=True)
    files = (f"--kubeconfig={place.kubeconfig(name)}", "--config=-")
    _run("kind", "create", "cluster", f"--name={name}", "--wait=180s", *files, stdin=config)


def start(name: str) -> None:
    """Start the node containers of a cluster whose machine was restarted, and wait until it answers."""
    if place.answers(name):
        return
    nodes = _run("kind", "get", "nodes", f"--name={name}").split()
    if not nodes:
        place.gone(name)
    _run("docker", "start", *nodes)
    deadline = time.monotonic() + START_TIMEOUT
    while not place.answers(name):
        if time.monotonic() > deadline:
            sys.exit(f"{name} was started but does not answer after {START_TIMEOUT} s: see `docker logs {nodes[0]}`")
        time.sleep(0.5)


def delete(name: str) -> None:
    """Remove the cluster, and with the last one the lab's network; what is already gone is no error."""
    _run("kind", "delete", "cluster", f"--name={name}")
    shutil.rmtree(place.folder(name), ignore_errors=True)
    with _alone_with_network() as network:
        ours = _run("docker", "network", "ls", f"--filter=label={LABEL}", "--format={{.Name}}").split()
        if network in ours and not _run("docker", "network", "inspect", network, f"--format={USERS}").strip():
            _run("docker", "network", "rm", network)


def _network() -> None:
    """Make the lab's Docker network, once for all clusters."""
    addresses = (f"--subnet={os.environ['LAB_SUBNET']}", f"--ip-range={os.environ['LAB_NODE_RANGE']}")
    with _alone_with_network() as network:
        if network not in _run("docker", "network", "ls", "--format={{.Name}}").split():
            _run("docker", "network", "create", *addresses, f"--label={LABEL}", network)


@contextmanager
def _alone_with_network() -> Iterator[str]:
    network = os.environ["LAB_NETWORK"]
    with place.locked(place.home() / "locks" / f"network-{network}"):
        yield network


def _run(*command: str, stdin: str = "") -> str:
    environment = {**os.environ, "KIND_EXPERIMENTAL_DOCKER_NETWORK": os.environ.get("LAB_NETWORK", "")}
    try:
        done = subprocess.run(
            command, env=environment, input=stdin, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except FileNotFoundError:
        sys.exit(f"{command[0]} is not on PATH: provisioner kind needs Docker and kind (`./mesh doctor` tells)")
    except subprocess.TimeoutExpired:
        sys.exit(f"{' '.join(command)} did not end within {TIMEOUT} s")
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed ({done.returncode}):\n{done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    place.run({"create": lambda name: create(name, sys.stdin.read()), "start": start, "delete": delete})
