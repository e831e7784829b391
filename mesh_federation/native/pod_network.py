"""Networks of pods: namespaces of their own, joined to the node's by a pair of interfaces and a route each."""

import hashlib
import ipaddress
import os
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mesh_federation.native.namespaces import NamespaceKind, enter, unshare

KINDS = {"net": NamespaceKind.NETWORK, "ipc": NamespaceKind.IPC, "uts": NamespaceKind.UTS}
"""Namespaces that the containers of a pod share, by their name in /proc."""
DEFAULT_SYSCTLS = {"net.ipv4.ip_unprivileged_port_start": "0"}
"""As container runtimes have it: every user of a pod may listen on any of its ports."""

T = TypeVar("T")


class NetworkError(Exception):
    """A network that could not be made; the text says why."""


class Addresses:
    """The addresses of a subnet for pods. One that was given back is the last to be used again."""

    def __init__(self, subnet: str) -> None:
        """Take the CIDR of pods; its first host address is the node's own."""
        hosts = ipaddress.ip_network(subnet).hosts()
        self.node = str(next(hosts))
        self._unused, self._free, self._lock = hosts, deque[str](), threading.Lock()

    def take(self) -> str:
        """Return an address that no pod has. Raises NetworkError."""
        with self._lock:
            fresh = next(self._unused, None)
            if fresh is not None:
                return str(fresh)
            if self._free:
                return self._free.popleft()
        raise NetworkError("all addresses of the pods' subnet are in use")

    def give_back(self, address: str) -> None:
        """Take an address back from a pod that is gone."""
        with self._lock:
            self._free.append(address)


@dataclass(frozen=True)
class PodNetwork:
    """The namespaces of a pod, open as file descriptors: they end when these are closed and its processes are gone.

    Attributes:
        address: the pod's.
        descriptors: by the kinds in `KINDS`.
        ended: can be read from when the pod has ended.
    """

    address: str
    descriptors: Mapping[str, int]
    ended: int

    def enter(self) -> None:
        """Move the calling thread, and what it starts, into the pod's namespaces. Raises OSError."""
        for kind, descriptor in self.descriptors.items():
            enter(Path(f"/proc/self/fd/{descriptor}"), KINDS[kind])

    def close(self) -> None:
        """Let the namespaces end, and all who use them; the kernel then takes the interfaces away."""
        os.eventfd_write(self.ended, 1)
        for descriptor in (*self.descriptors.values(), self.ended):
            os.close(descriptor)


def connect(address: str, gateway: str, uid: str, hostname: str, sysctls: Mapping[str, str]) -> PodNetwork:
    """Make the namespaces of a pod and connect them to the node's network, in which this process runs.

    Each pod has a route of its own and no bridge: with a bridge, replies of Services would bypass the node's
    connection tracking.

    Args:
        address: of the pod.
        gateway: address of the node in the pods' subnet.
        uid: of the pod; the name of the node's interface follows from it.
        hostname: of the pod.
        sysctls: of its network.

    Raises:
        NetworkError: a namespace, an interface or a sysctl was refused.
    """
    link = "v" + hashlib.sha256(uid.encode()).hexdigest()[:12]  # 15 characters at most
    node = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        network = in_own_thread(lambda: _inside(address, gateway, link, hostname, node, sysctls))
    finally:
        os.close(node)
    _ip(f"link set {link} up\nroute add {address}/32 dev {link} src {gateway}\n")
    return network


def in_own_thread(work: Callable[[], T]) -> T:
    """Run a function in a thread that ends with it: namespaces that it enters are nobody else's."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # raised again where it belongs
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _inside(address: str, gateway: str, link: str, hostname: str, node: int, sysctls: Mapping[str, str]) -> PodNetwork:
    try:
        unshare(NamespaceKind.NETWORK | NamespaceKind.IPC | NamespaceKind.UTS)
        descriptors = {kind: os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY) for kind in KINDS}
    except OSError as error:
        raise NetworkError(f"namespaces: {error}") from None
    network = PodNetwork(address, descriptors, os.eventfd(0))
    try:
        socket.sethostname(hostname)
        for name, value in {**DEFAULT_SYSCTLS, **sysctls}.items():
            with open(f"/proc/sys/{name.replace('.', '/')}", "w", encoding="utf-8") as file:
                file.write(value)
        _ip(
            f"link add eth0 type veth peer name {link} netns /proc/self/fd/{node}\n"
            f"link set lo up\naddr add {address}/32 dev eth0\nlink set eth0 up\n"
            f"route add {gateway} dev eth0 scope link\nroute add default via {gateway}\n",
            node,
        )
    except OSError as error:
        network.close()
        raise NetworkError(f"{error}") from None
    except NetworkError:
        network.close()
        raise
    return network


def _ip(commands: str, *descriptors: int) -> None:
    """Run commands of `ip` in the calling thread's network."""
    done = subprocess.run(
        ["ip", "-batch", "-"], input=commands, capture_output=True, text=True, check=False, pass_fds=descriptors
    )
    if done.returncode:
        raise NetworkError(f"ip failed: {done.stderr.strip()}")
