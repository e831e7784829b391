"""The network of a sandbox, with real interfaces."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh_federation.native import support
from mesh_federation.native.sandbox import INTERPRETER, Sandbox, environment

NODE = """
import errno, socket
from mesh_federation.native import network, pod_network
from mesh_federation.native.namespaces import NamespaceKind, unshare
unshare(NamespaceKind.NETWORK | NamespaceKind.MOUNT)
network.join_bridge("west-1", "192.0.2.9", "192.0.2.0/24", "198.51.100.0/24")
"""

JOIN = """
print("joined", flush=True)
input()
"""

DIAL = """
pod = pod_network.connect("198.51.100.5", "198.51.100.1", "pod", "pod", {})

def dial(address):
    with socket.socket() as caller:
        caller.settimeout(30)
        return errno.errorcode[caller.connect_ex((address, 15020))]

def dial_often():
    pod.enter()
    print({dial(address) for address in ("203.0.113.7", "198.51.100.9") for _ in range(20)})

pod_network.in_own_thread(dial_often)
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


def starts(sandbox: Sandbox, script: str) -> "subprocess.Popen[str]":
    """Start a process that joins the network as a node, and then runs a script of Python."""
    return subprocess.Popen(
        sandbox.command(INTERPRETER, "-s", "-c", NODE + script), env=environment(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_node_joins_while_the_network_of_its_killed_predecessor_lasts(sandbox: Sandbox) -> None:
    with starts(sandbox, JOIN) as predecessor:
        assert predecessor.stdout and predecessor.stdout.readline() == "joined\n"
        node = starts(sandbox, JOIN)
        told, complaint = node.communicate(input="\n", timeout=30)
        assert told == "joined\n", complaint
        predecessor.communicate(input="\n", timeout=30)


def test_a_node_refuses_at_once_whatever_it_has_no_route_for(sandbox: Sandbox) -> None:
    node = starts(sandbox, DIAL)
    told, complaint = node.communicate(timeout=120)
    assert told == "{'ECONNREFUSED'}\n", complaint
