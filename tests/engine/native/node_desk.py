"""One native cluster, made and removed by the jobs of its provider, and what of it is on this machine."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mesh_federation import document
from mesh_federation.clusters.settings import ClusterSpec, LabNetwork, ProviderSettings
from mesh_federation.native.sandbox import ProcessId, Sandbox
from mesh_federation.toolchain.install import Toolchain
from tests.checkout import PROJECT, eventually

SECONDS = 300
"""Bounds a job that hangs; a few seconds are usual."""
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "coredns",
            "mesh_federation.native.agent")  # fmt: skip
"""What runs on every node, by a word of its command line."""


@dataclass(frozen=True)
class NodeDesk:
    """A place for one cluster.

    Attributes:
        home: folder for everything that runs.
        toolchain: the machine's.
        kubernetes: release of the control plane.
        stack: name of the stack.
    """

    home: Path
    toolchain: Toolchain
    kubernetes: str
    stack: str = "trial"

    @property
    def name(self) -> str:
        """The cluster's real name."""
        return f"east-{self.stack}"

    @property
    def sandbox(self) -> Sandbox:
        """The sandbox of its stack."""
        return Sandbox(self.home / "native" / self.stack)

    @property
    def files(self) -> Path:
        """What the node keeps."""
        return self.sandbox.shared / self.name

    @property
    def folder(self) -> Path:
        """What this machine keeps of the cluster."""
        return self.home / "clusters" / self.name

    def job(self, action: str) -> subprocess.CompletedProcess[str]:
        """Run a job to its end."""
        started = self.begin(action)
        out, errors = started.communicate(timeout=SECONDS)
        return subprocess.CompletedProcess(started.args, started.returncode, out, errors)

    def done(self, action: str) -> None:
        """Run a job, which must succeed."""
        ended = self.job(action)
        assert ended.returncode == 0, ended.stderr

    def begin(self, action: str) -> "subprocess.Popen[str]":
        """Start a job, in a process group of its own."""
        network = LabNetwork("native", "172.30.0.0/16")
        spec = ClusterSpec(
            pod_subnet="10.10.0.0/16", service_subnet="10.255.10.0/24", kubernetes_version=self.kubernetes,
            network=network, pool="172.30.128.0/22",
        )  # fmt: skip
        settings = ProviderSettings(self.name, "east", self.stack, "label", spec)
        return subprocess.Popen(
            [sys.executable, "-m", "mesh_federation.jobs", "native", action], text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=PROJECT,
            env={**os.environ, **self.toolchain.environment(), "MESH_HOME": str(self.home), "PYTHONPATH": str(PROJECT),
                 "JOB": document.write(settings)},
        )  # fmt: skip

    def kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run kubectl on the cluster."""
        command = [f"{self.toolchain.bin}/kubectl", f"--kubeconfig={self.folder}/kubeconfig", "--request-timeout=5s"]
        return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)

    def answers(self) -> bool:
        """Say whether the API server is ready."""
        return self.kubectl("get", "--raw=/readyz").returncode == 0

    def node(self) -> ProcessId:
        """Return the first process of the node."""
        file = self.folder / "node.json"
        return document.read(ProcessId, file.read_text(encoding="utf-8"), str(file))

    def programs(self) -> dict[str, int]:
        """Return the processes of what runs on the node, by the words in `PROGRAMS`."""
        found: dict[str, int] = {}
        for pid in self.processes():
            with suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
                found |= {name: pid for name in PROGRAMS if name in words or words[0].rpartition("/")[2] == name}
        return found

    def processes(self) -> list[int]:
        """Return all processes of the sandbox, by their numbers on this machine."""
        running = self.sandbox.init
        return [pid for pid in every_process() if running and _shares(running, pid)]

    def all(self) -> set[ProcessId]:
        """Return all processes of the sandbox: a namespace lasts as long as a process, or a mount, is in it."""
        found = set()
        for pid in self.processes():
            with suppress(OSError):
                found.add(ProcessId.of(pid))
        return found

    def remove(self) -> None:
        """Take everything away, however a test ended."""
        self.job("delete")
        self.sandbox.stop()


def every_process() -> Iterator[int]:
    """Yield the numbers of all processes of this machine."""
    return (int(entry.name) for entry in Path("/proc").glob("[0-9]*"))


def alive(process: ProcessId) -> bool:
    """Say whether a process runs; one that waits for its parent to notice its end does not."""
    with suppress(OSError):
        state = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        return process.runs() and state not in "ZX"
    return False


def kill_when(
    job: "subprocess.Popen[str]", condition: Callable[[], bool], number: signal.Signals = signal.SIGKILL
) -> str:
    """Send a signal to a job and what it started in its group, as soon as something is so; return what it said."""
    eventually(lambda: condition() or job.poll() is not None, SECONDS)
    assert job.poll() is None, job.communicate()
    os.killpg(job.pid, number)
    return job.communicate(timeout=SECONDS)[1]


def _shares(first: ProcessId, pid: int) -> bool:
    try:
        return first.shares(pid)
    except OSError:
        return False
