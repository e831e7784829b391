"""The network of a sandbox, with real interfaces."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh_federation.native import support
from mesh_federation.native.sandbox import INTERPRETER, PACKAGES, Sandbox

JOIN = """
from mesh_federation.native import network
from mesh_federation.native.namespaces import NamespaceKind, unshare
unshare(NamespaceKind.NETWORK | NamespaceKind.MOUNT)
network.join_bridge("west-1", "192.0.2.9", "192.0.2.0/24", "198.51.100.0/24")
print("joined", flush=True)
input()
"""


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox in which nothing runs."""
    if obstacles := support.obstacles():
        pytest.skip(f"NOTHING was run in a sandbox: {obstacles[0]}")
    made = Sandbox(tmp_path / "sandbox")
    made.start(os.environ["PATH"].split(os.pathsep), "192.0.2.0/24")
    yield made
    made.stop()


def joins(sandbox: Sandbox) -> "subprocess.Popen[str]":
    """Start a process that joins the network as a node, and then waits."""
    return subprocess.Popen(
        sandbox.command(INTERPRETER, "-s", "-c", JOIN), env={**os.environ, "PYTHONPATH": str(PACKAGES)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_node_joins_while_the_network_of_its_killed_predecessor_lasts(sandbox: Sandbox) -> None:
    with joins(sandbox) as predecessor:
        assert predecessor.stdout and predecessor.stdout.readline() == "joined\n"
        node = joins(sandbox)
        told, complaint = node.communicate(input="\n", timeout=30)
        assert told == "joined\n", complaint
        predecessor.communicate(input="\n", timeout=30)
