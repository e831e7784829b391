"""Nodes of native clusters: processes in the private namespaces of a sandbox."""

import contextlib
import shutil
import signal
import subprocess
from pathlib import Path

import psutil

from mesh_federation import document
from mesh_federation.clusters.provider import Connect
from mesh_federation.native.dialer import Dialer
from mesh_federation.native.sandbox import ProcessId, Sandbox
from tests.traffic.nodes import Nodes

FIREWALL = "of-a-test"
"""Name of a table of rules."""


class Processes(Nodes):
    """Nodes that are processes of this machine."""

    @property
    def sandbox(self) -> Sandbox:
        """What all nodes run in."""
        return Sandbox(self.checkout.home / "native" / self.checkout.stack)

    @property
    def connect(self) -> Connect:
        """A process in the network connects."""
        return Dialer(self.sandbox, self.checkout.folder).connect

    def names(self) -> list[str]:
        """Names of the clusters that have a folder in the sandbox."""
        shared = self.sandbox.shared
        return sorted(folder.name for folder in shared.iterdir()) if shared.exists() else []

    def of(self, cluster: str) -> str:
        """A node is called as its cluster."""
        return self.checkout.real_name(cluster)

    def run(self, node: str, *command: str) -> str:
        """Run a program in the node's namespaces."""
        namespaces = ("--user", "--mount", "--net", "--pid")
        enter = ["nsenter", f"--target={self._first(node).pid}", "--setuid=0", "--setgid=0", *namespaces, "--"]
        done = subprocess.run([*enter, *command], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self, node: str) -> None:
        """Kill the first process of its namespaces, and all others with it."""
        self._first(node).kill()

    def remove(self, node: str) -> None:
        """Kill it, and remove what it keeps in the sandbox."""
        self.stop(node)
        shutil.rmtree(self.sandbox.shared / node)

    def pause(self, node: str) -> None:
        """Stop each process."""
        self._signal(node, signal.SIGSTOP)

    def resume(self, node: str) -> None:
        """Let each go on."""
        self._signal(node, signal.SIGCONT)

    def drop(self, node: str, source: str) -> None:
        """Add a rule before connections are tracked."""
        chain = f"add table ip {FIREWALL}; add chain ip {FIREWALL} in {{ type filter hook prerouting priority raw; }}"
        self.run(node, "nft", f"{chain}; add rule ip {FIREWALL} in ip saddr {source} drop")

    def accept(self, node: str, source: str) -> None:
        """Delete the table of the rule."""
        self.run(node, "nft", f"delete table ip {FIREWALL}")

    def restart_all(self) -> None:
        """Kill the sandbox, and everything in it ends."""
        running = self.sandbox.init
        assert running
        running.kill()

    def on_machine(self) -> set[str]:
        """Processes that have files of this checkout mounted, and ports that are reserved for its clusters."""
        processes = {f"process {process.pid}" for process in psutil.process_iter() if self._sees_checkout(process.pid)}
        return processes | {f"port {slot.name}" for slot in self.checkout.reservations()}

    def _first(self, node: str) -> ProcessId:
        record = self.checkout.home / "clusters" / node / "node.json"
        return document.read(ProcessId, record.read_text(encoding="utf-8"), str(record))

    def _signal(self, node: str, number: signal.Signals) -> None:
        first = psutil.Process(self._first(node).pid)
        for process in (first, *first.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _sees_checkout(self, pid: int) -> bool:
        with contextlib.suppress(OSError):
            return str(self.checkout.home) in Path(f"/proc/{pid}/mountinfo").read_text(encoding="utf-8")
        return False
