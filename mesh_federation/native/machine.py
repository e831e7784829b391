"""The node of a native cluster: one process, first of its own namespaces, that starts and watches everything in them.

It joins the network of the sandbox, starts the control plane, then the cluster's DNS server, kube-proxy and the agent
that runs pods; each is started again when it ends. It also passes connections from this machine to the API server.
Whoever starts it hands over two sockets: one that listens on this machine, and one for reports. The node ends with its
starter until that one says that it has recorded the node.
"""

import asyncio
import fcntl
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from mesh_federation import document, process
from mesh_federation.native import network
from mesh_federation.native.agent_settings import AgentSettings
from mesh_federation.native.api_server import wait_until_ready
from mesh_federation.native.namespaces import Mount, NamespaceKind, make_private, mount, unshare
from mesh_federation.native.node_settings import API_PORT, KUBELET_PORT, LOCK, NodeReport, NodeSettings
from mesh_federation.native.sandbox import INTERPRETER
from mesh_federation.stack.problem import ProblemError

SECONDS_TO_START = 120
ATTEMPTS = 3
"""To start a program of the control plane that ends at its start."""
RESTART_SECONDS = 1.0
"""Until a program that ended is started again."""


@dataclass(frozen=True)
class NodeProgram:
    """A program that must not end.

    Attributes:
        command: its command line.
        log: file for its output.
    """

    command: tuple[str, ...]
    log: Path

    @classmethod
    def of(cls, pid: int) -> "NodeProgram":
        """Describe a running program, by its process.

        Raises:
            OSError: it does not run.
        """
        entry = Path(f"/proc/{pid}")
        words = (entry / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        return cls(tuple(map(os.fsdecode, words)), Path(os.readlink(entry / "fd" / "1")))


class Supervisor:
    """Starts programs, and starts each again when it ends."""

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._programs: dict[int, NodeProgram] = {}
        self._lock = threading.Lock()

    def start(self, program: NodeProgram) -> None:
        """Start a program."""
        with self._lock, program.log.open("ab") as log:
            self._programs[os.posix_spawnp(
                program.command[0], program.command, os.environ, setsid=True,
                file_actions=[(os.POSIX_SPAWN_DUP2, log.fileno(), stream) for stream in (1, 2)],
            )] = program  # fmt: skip

    def adopt(self, pid: int) -> None:
        """Take over a program that another one started; it may have ended.

        Raises:
            OSError: it is not there.
        """
        with self._lock:
            self._programs[pid] = NodeProgram.of(pid)

    def watch(self) -> None:
        """Wait for the end of processes, for ever: those of this supervisor are started again."""
        while True:
            try:
                pid, _ = os.waitpid(-1, 0)
            except ChildProcessError:  # all have ended, and are about to start
                time.sleep(RESTART_SECONDS)
                continue
            with self._lock:
                program = self._programs.pop(pid, None)
            if program:
                again = threading.Timer(RESTART_SECONDS, self.start, [program])
                again.daemon = True
                again.start()


def main(settings: NodeSettings, listener: socket.socket, reports: socket.socket) -> None:
    """Make the node's namespaces, and run the node in them; returns at once."""
    try:
        unshare(NamespaceKind.MOUNT | NamespaceKind.NETWORK | NamespaceKind.UTS | NamespaceKind.IPC)
        make_private()
        socket.sethostname(settings.cluster)
        network.join_bridge(settings.cluster, settings.address, settings.subnet, settings.pod_subnet)
        unshare(NamespaceKind.PID)
    except (OSError, ProblemError) as error:
        report(reports, NodeReport(str(error), ""))
        return
    if os.fork() == 0:
        run(settings, listener, reports)


def run(settings: NodeSettings, listener: socket.socket, reports: socket.socket) -> None:
    """Run the node, as the first process of its namespaces; ends with them."""
    os.setsid()
    os.umask(0o022)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    mount("proc", Path("/proc"), "proc", Mount.NO_SUID | Mount.NO_DEVICES | Mount.NO_EXECUTION)
    mount("tmpfs", Path("/run"), "tmpfs", Mount.NO_SUID | Mount.NO_DEVICES, "mode=755")
    threading.Thread(target=_end_with_starter, args=[reports], daemon=True).start()
    (Path(settings.folder) / "logs").mkdir(exist_ok=True)
    with (Path(settings.folder) / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a node whose starter was killed may still be ending
        report(reports, NodeReport("", ""))  # by which its process is known
        supervisor = Supervisor()
        try:
            kubeconfig = _start_control_plane(settings)
            _adopt_control_plane(settings, supervisor)
        except (OSError, process.ProgramTimeout) as error:
            report(reports, NodeReport(str(error), ""))
            os._exit(1)
        for program in _programs(settings):
            supervisor.start(program)
        threading.Thread(target=asyncio.run, args=[_relay(listener)], daemon=True).start()
        report(reports, NodeReport("", kubeconfig))
        supervisor.watch()


def _end_with_starter(reports: socket.socket) -> None:
    """End the node if its starter ends before it says that it has recorded the node: nobody would know of it."""
    if not reports.recv(1):
        os._exit(1)
    reports.close()


def report(reports: socket.socket, message: NodeReport) -> None:
    """Send a report; the node ends if nobody waits for it."""
    try:
        reports.send(document.write(message).encode())
    except OSError:
        os._exit(1)


def _start_control_plane(settings: NodeSettings) -> str:
    """Create the control plane, or start the one that is there; returns its kubeconfig.

    Raises:
        OSError: kwokctl fails.
        ProgramTimeout: it takes too long.
    """
    settings.control_plane.write_text(settings.configuration, encoding="utf-8")
    made = Path(settings.folder) / "made"
    if made.exists():
        for stale in (settings.kept / "pids").glob("*.pid"):
            stale.unlink()  # numbers of processes of other namespaces
        _kwokctl(settings, "start", "cluster")
    else:
        files = (f"--config={settings.control_plane}", f"--kubeconfig={settings.kubeconfig}")
        _kwokctl(settings, "create", "cluster", *files)
        made.touch()
    view = ["kubectl", "config", "view", "--raw", "--flatten", "--minify", "--output=json"]
    kubeconfig = process.run([*view, f"--kubeconfig={settings.kubeconfig}"], timeout=SECONDS_TO_START).stdout
    wait_until_ready(settings)
    return kubeconfig


def _adopt_control_plane(settings: NodeSettings, supervisor: Supervisor) -> None:
    """Have the programs of the control plane watched; one that ended meanwhile, as on a busy machine, starts again.

    Raises:
        OSError: one ends again and again, or kwokctl fails.
        ProgramTimeout: it takes too long.
    """
    waiting = set((settings.kept / "pids").glob("*.pid"))
    for attempts_left in reversed(range(ATTEMPTS)):
        for file in list(waiting):
            try:
                supervisor.adopt(int(file.read_text(encoding="ascii")))
                waiting.remove(file)
            except OSError:
                if not attempts_left:
                    raise
        if not waiting:
            return
        _forget_ended()
        for file in waiting:
            file.unlink(missing_ok=True)
        _kwokctl(settings, "start", "cluster", "--wait=60s")


def _forget_ended() -> None:
    """Collect the processes that have ended: kwokctl takes them for running as long as their numbers are there."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _kwokctl(settings: NodeSettings, *words: str) -> None:
    command = ["kwokctl", f"--name={settings.cluster}", *words]
    variables = {"KWOK_WORKDIR": str(settings.kwok)}
    done = process.run(command, variables=variables, timeout=SECONDS_TO_START, umask=0o077)
    if done.returncode:
        raise OSError(f"{' '.join(command)} failed ({done.returncode}):\n{done.stderr[-2000:]}")


def _programs(settings: NodeSettings) -> Sequence[NodeProgram]:
    """Return everything that a node runs beside its control plane; writes their files."""
    folder = Path(settings.folder)
    logs = folder / "logs"
    proxy, dns, agent = folder / "kube-proxy.json", folder / "Corefile", folder / "agent.json"
    proxy.write_text(json.dumps(_kube_proxy(settings)), encoding="utf-8")
    dns.write_text(COREFILE.format(**dns_settings(settings)), encoding="utf-8")
    agent.write_text(document.write(_agent(settings)), encoding="utf-8")
    return (
        NodeProgram(("kube-proxy", f"--config={proxy}"), logs / "kube-proxy.log"),
        NodeProgram(("coredns", "-conf", str(dns)), logs / "coredns.log"),
        NodeProgram((INTERPRETER, "-s", "-m", "mesh_federation.native.agent", str(agent)), logs / "agent.log"),
    )


def _agent(settings: NodeSettings) -> AgentSettings:
    return AgentSettings(
        cluster=settings.cluster,
        node=settings.cluster,
        node_address=settings.address,
        pod_subnet=settings.pod_subnet,
        pool=settings.pool,
        api_server=f"https://127.0.0.1:{API_PORT}",
        api_address=str(IPv4Network(settings.service_subnet)[1]),
        authority=str(settings.pki / "ca.crt"),
        certificate=str(settings.pki / "admin.crt"),
        key=str(settings.pki / "admin.key"),
        kubelet_port=KUBELET_PORT,
        dns=settings.dns,
        cluster_domain=settings.cluster_domain,
        images=settings.images,
        folder="/run/agent",
    )


def _kube_proxy(settings: NodeSettings) -> Mapping[str, object]:
    """Return kube-proxy's configuration. It must not write limits of connection tracking: they are the machine's."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": settings.pod_subnet,
        "hostnameOverride": settings.cluster,
        "clientConnection": {"kubeconfig": str(settings.kubeconfig)},
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "nodePortAddresses": [f"{settings.address}/32"],
        "nftables": {"minSyncPeriod": "0s"},
    }


COREFILE = """.:53 {{
    bind {address}
    errors
    kubernetes {domain} in-addr.arpa {{
        kubeconfig {kubeconfig}
        ttl 5
    }}
    cache 5
}}
"""


def dns_settings(settings: NodeSettings) -> dict[str, str]:
    """Return what CoreDNS's configuration is filled with."""
    return {"address": settings.dns, "domain": settings.cluster_domain, "kubeconfig": str(settings.kubeconfig)}


async def _relay(listener: socket.socket) -> None:
    """Pass connections of a listening socket to the API server; the socket is one of this machine's own network."""
    listener.setblocking(False)
    async with await asyncio.start_server(_pass_on, sock=listener) as server:
        await server.serve_forever()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", API_PORT)
    except OSError:
        writer.close()
        return
    await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()


if __name__ == "__main__":
    main(
        document.read(NodeSettings, sys.argv[1], "settings"),
        socket.socket(fileno=int(sys.argv[2])),
        socket.socket(fileno=int(sys.argv[3])),
    )
