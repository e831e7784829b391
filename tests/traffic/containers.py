"""Nodes of kind clusters: containers in a Docker network of their own."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import yaml

from mesh_federation.clusters.provider import Connect, connect_directly
from tests.checkout import eventually
from tests.traffic.nodes import Nodes

SQUATTER = "mesh-federation-squatter"
FREEZER = Path("/sys/fs/cgroup/freezer/docker")
LISTS = {"container": ("ps", "--all"), "network": ("network", "ls"), "volume": ("volume", "ls")}


class Containers(Nodes):
    """Nodes that are Docker containers."""

    @property
    def network(self) -> str:
        """Docker network of the nodes, as the checkout's overlay names it."""
        overlay = Path(self.checkout.ambient["MESH_OVERLAY"])
        return str(yaml.safe_load(overlay.read_text(encoding="utf-8"))["lab"]["network"])

    @property
    def connect(self) -> Connect:
        """This machine is in the network."""
        return connect_directly

    def names(self) -> list[str]:
        """Names of the containers in the checkout's network."""
        return docker("ps", "--all", f"--filter=network={self.network}", "--format={{.Names}}").split()

    def of(self, cluster: str) -> str:
        """Name of the container of a cluster's first node."""
        return f"{self.checkout.real_name(cluster)}-control-plane"

    def run(self, node: str, *command: str) -> str:
        """Run a program in the container."""
        return docker("exec", node, *command)

    def stop(self, node: str) -> None:
        """Stop the container."""
        docker("stop", node)

    def remove(self, node: str) -> None:
        """Remove the container with its volumes."""
        id = docker("inspect", "--format={{.Id}}", node).strip()
        eventually(lambda: is_removed(id))

    def pause(self, node: str) -> None:
        """Freeze the container."""
        docker("pause", node)

    def resume(self, node: str) -> None:
        """Thaw the container."""
        docker("unpause", node)

    def drop(self, node: str, source: str) -> None:
        """Add a rule before connections are tracked."""
        self.run(node, "iptables", "-t", "raw", "-I", "PREROUTING", "-s", source, "-j", "DROP")

    def accept(self, node: str, source: str) -> None:
        """Delete the rule."""
        self.run(node, "iptables", "-t", "raw", "-D", "PREROUTING", "-s", source, "-j", "DROP")

    def restart_all(self) -> None:
        """End Docker's daemon, and start it as it was started; skip where others would notice."""
        ours = set(docker("ps", "--quiet", f"--filter=network={self.network}").split())
        if psutil.Process(1).name() == "systemd":
            pytest.skip("a restart of Docker was NOT shown: here systemd starts it")
        if others := set(docker("ps", "--quiet").split()) - ours:
            pytest.skip(f"a restart of Docker was NOT shown: it would stop the containers {', '.join(sorted(others))}")
        [daemon] = [process for process in psutil.process_iter() if process.name() == "dockerd"]
        command, environment = daemon.cmdline(), daemon.environ()
        daemon.terminate()
        daemon.wait(120)
        subprocess.Popen(
            command, env=environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        eventually(lambda: subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0)

    def on_machine(self) -> set[str]:
        """Docker's containers, networks and volumes, whosever they are, by kind and id."""
        return {f"{kind} {id}" for kind, command in LISTS.items() for id in docker(*command, "--quiet").split()}

    def address(self, node: str) -> str:
        """Address of a node in the lab's network; empty where it is not in it."""
        networks = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return docker("inspect", f"--format={networks}", node).strip()

    def cut_off(self, node: str) -> None:
        """Take the container out of the network."""
        docker("network", "disconnect", self.network, node)

    @contextmanager
    def address_taken(self, node: str) -> Iterator[None]:
        """Let another container have a node's address, and the node run without it."""
        taken = self.address(node)
        image = docker("inspect", "--format={{.Config.Image}}", node).strip()
        docker("stop", node)
        self.cut_off(node)
        try:
            place = ["--network", self.network, "--ip", taken]
            docker("run", "--detach", "--rm", "--name", SQUATTER, *place, "--entrypoint=sleep", image, "infinity")
            docker("network", "connect", self.network, node)
            docker("start", node)
            assert self.address(node) != taken
            yield
        finally:
            docker("rm", "--force", "--volumes", SQUATTER)


def as_containers(nodes: Nodes) -> Containers:
    """Return nodes as containers, or skip: the fault is one that no other node has."""
    if not isinstance(nodes, Containers):
        pytest.skip("NOT shown here: only nodes in Docker have this fault; `make lab-test` shows it")
    return nodes


def is_removed(id: str) -> bool:
    """Try to remove a container, and say whether it is gone.

    With cgroup v1, what starts a pod freezes it for a moment. A node that is killed then stays: no signal ends a frozen
    process.
    """
    subprocess.run(["docker", "rm", "--force", "--volumes", id], capture_output=True, timeout=300, check=False)
    is_gone = id not in docker("ps", "--all", "--quiet", "--no-trunc")
    for state in () if is_gone else (FREEZER / id).rglob("freezer.state"):
        state.write_text("THAWED", encoding="ascii")
    return is_gone


def docker(*arguments: str) -> str:
    """Run Docker's command line; it must succeed."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
