"""Clusters that the table of pods runs on: one native node made here, or any cluster by its kubeconfig."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mesh_federation import document
from mesh_federation.toolchain import pins
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.install import Toolchain
from tests.engine.native.private_machine import AGENT_SETTINGS, KUBECONFIG, MachineSettings

CHECKOUT = Path(__file__).resolve().parents[3]
OTHER_CLUSTER = "POD_TABLE_KUBECONFIG"
"""Environment variable with the kubeconfig of a cluster with a real kubelet, to compare with."""
SECONDS = 60
"""For anything that is waited for; seconds are usual, and a loaded machine takes longer."""


@dataclass
class PodCluster:
    """A cluster with one node.

    Attributes:
        kubectl: how kubectl is run.
        native: whether its node is one of processes.
        machine: number of the machine's first process, 0 for another cluster.
        agent: the agent's process.
    """

    kubectl: tuple[str, ...]
    native: bool
    machine: int = 0
    agent: "subprocess.Popen[bytes] | None" = None
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run kubectl to its end."""
        return subprocess.run(
            [*self.kubectl, *arguments], input=stdin, capture_output=True, text=True, timeout=SECONDS, check=False,
            env={**os.environ, **self.environment},
        )  # fmt: skip

    def output(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl, which must succeed, and return what it printed."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def get(self, namespace: str, pod: str) -> dict[str, object]:
        """Return a pod."""
        found = json.loads(self.output("get", "pod", pod, "-n", namespace, "-o", "json"))
        assert isinstance(found, dict)
        return found

    def wait(self, namespace: str, what: str, condition: str) -> None:
        """Wait until a condition of `kubectl wait --for` holds."""
        done = self.run("wait", what, "-n", namespace, f"--for={condition}", f"--timeout={SECONDS - 10}s")
        assert done.returncode == 0, f"{what}: {condition} never held: {done.stderr}\n{self._explained(namespace)}"

    def lines(self, *arguments: str, until: str, begun: Callable[[], object] = lambda: None) -> str:
        """Return what kubectl prints until a text comes, or until the limit of time; call `begun` at the first line."""
        process = subprocess.Popen(
            [*self.kubectl, *arguments], stdout=subprocess.PIPE, text=True, env={**os.environ, **self.environment},
            start_new_session=True,
        )  # fmt: skip

        def end() -> None:  # nsenter starts kubectl as a child, which would go on alone
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        limit = threading.Timer(SECONDS, end)
        limit.start()
        seen = ""
        assert process.stdout
        for line in process.stdout:
            if not seen:
                begun()
            seen += line
            if until in line:
                break
        limit.cancel()
        end()
        process.wait()
        return seen

    def start_agent(self) -> None:
        """Start the agent in the machine."""
        command = [os.path.realpath(sys.executable), "-S", "-m", "mesh_federation.native.agent", str(AGENT_SETTINGS)]
        self.agent = subprocess.Popen(
            [*entered(self.machine), *command], env={**os.environ, "PYTHONPATH": str(CHECKOUT)}
        )

    def inside(self, *command: str) -> str:
        """Run a command in the machine and return what it printed."""
        done = subprocess.run(
            [*entered(self.machine), *command], capture_output=True, text=True, check=False, timeout=SECONDS
        )
        return done.stdout

    def _explained(self, namespace: str) -> str:
        pods = self.run("get", "pods", "-n", namespace, "-o", "jsonpath={.items[*].status}").stdout
        return pods + self.run("get", "events", "-n", namespace).stdout


def entered(machine: int) -> tuple[str, ...]:
    """Return how a command is run in a machine."""
    return ("nsenter", f"--target={machine}", "--user", "--mount", "--net", "--pid", "--ipc", "--uts", "--")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[PodCluster]:
    """Make a native node, or take the cluster that the environment names."""
    if other := os.environ.get(OTHER_CLUSTER):
        yield PodCluster(("kubectl", f"--kubeconfig={other}"), native=False)
        return
    if os.geteuid():
        pytest.skip("NOTHING was run on a native node: this machine of the tests' own needs root")
    toolchain: Toolchain = request.getfixturevalue("toolchain")
    if toolchain.images is None:
        pytest.skip("NOTHING was run on a native node: no images are there; run `./mesh install native` first")
    shown = {str(Path(sys.base_prefix)), os.path.realpath(toolchain.bin.parent)}
    settings = MachineSettings(
        shown=tuple(sorted(folder for folder in shown if folder.startswith("/root/"))),
        programs=str(toolchain.bin), images=str(toolchain.images),
        kubernetes=pins.load(Host.current()).versions["kubernetes"],
    )  # fmt: skip
    path = tmp_path_factory.mktemp("machine") / "settings.json"
    path.write_text(document.write(settings), encoding="utf-8")
    program = Path(__file__).with_name("private_machine.py")
    process = subprocess.Popen(
        [os.path.realpath(sys.executable), str(program), str(path)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )  # fmt: skip
    assert process.stdout
    machine = int(process.stdout.readline())
    try:
        assert process.stdout.readline().strip() == "ready", "the machine did not start"
        kubectl = (*entered(machine), f"{toolchain.bin}/kubectl", f"--kubeconfig={KUBECONFIG}")
        found = PodCluster(kubectl, True, machine)
        found.start_agent()
        yield found
    finally:
        os.kill(machine, signal.SIGKILL)
        process.wait()
