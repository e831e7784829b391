"""Simulated clusters: real control planes whose nodes only exist on paper (kwok).

Every step can be repeated: create adopts a cluster that runs, starts one that stopped, and makes a half-made one anew.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mesh_federation import process
from mesh_federation.clusters import journal, machine_limits, reserved_ports, workdir
from mesh_federation.clusters.control_plane import BINARIES, PORTS, ControlPlane
from mesh_federation.clusters.local_cluster import LocalCluster
from mesh_federation.clusters.provider import Document, LoadBalancer, Provider
from mesh_federation.clusters.settings import ClusterSpec

if TYPE_CHECKING:
    from mesh_federation.stack.config import Cluster, Federation

TIMEOUT = 120
"""Seconds for a control plane to answer; 5 are usual."""
UNUSABLE = ',"'
"""What kwok takes for the end of a path, or for a quote, in the list of files that it is given."""
COLLECTING = {"GOGC": "100"}
"""Go's default for control planes, which stay: with the setting of the engine they would take twice the memory."""
OWNERS_ONLY = 0o077
"""As umask: kwokctl writes the keys of a cluster for everybody to read."""


class Kwok(Provider):
    """Simulated clusters: real control planes as processes of this machine, without containers."""

    name = "kwok"
    load_balancers = (LoadBalancer.SIMULATED, LoadBalancer.NONE)
    memory = 2
    keys = frozenset({"nodes"})
    runs_pods = False

    def spec(self, federation: "Federation", cluster: "Cluster") -> ClusterSpec:
        """Take the subnets too, although no pod has an address: changing them is then as it is on real clusters."""
        return ClusterSpec(
            pod_subnet=str(cluster.pod_subnet),
            service_subnet=str(cluster.service_subnet),
            nodes=cluster.nodes,
            kubernetes_version=cluster.kubernetes_version,
        )

    def identity(self, spec: ClusterSpec) -> Document:
        """Return all of it."""
        return {
            "kubernetesVersion": spec.kubernetes_version,
            "nodes": spec.nodes,
            "podSubnet": spec.pod_subnet,
            "serviceSubnet": spec.service_subnet,
        }

    def node_names(self, name: str, count: int) -> tuple[str, ...]:
        """Return the names that kwokctl gives."""
        return tuple(f"node-{index:06}" for index in range(count))

    def api_server(self, federation: "Federation", cluster: "Cluster", name: str) -> str:
        """Return none: it listens on this machine's loopback address alone, and no istiod reads it."""
        return ""

    def create(self, cluster: LocalCluster) -> None:
        """Bring the cluster up, whatever an earlier attempt left behind."""
        if _is_there(cluster):
            self.start(cluster)
            return
        self.delete(cluster)
        _refuse_what_cannot_work(cluster)
        journal.record(cluster, self.name)
        made = _control_plane(cluster, reserved_ports.reserve(cluster))
        _control_plane_file(cluster).write_text(made.configuration, encoding="utf-8")
        _stages_file(cluster).write_text(json.dumps(LOAD_BALANCER, indent=2), encoding="utf-8")
        files = (f"--config={_control_plane_file(cluster)}", f"--kubeconfig={cluster.kubeconfig}")
        _kwokctl(cluster, "create", "cluster", "--wait=60s", *files)
        _start_what_ended(cluster)
        _kwokctl(cluster, "scale", "node", f"--replicas={cluster.spec.nodes}")
        _prove(cluster)
        (cluster.folder / "made").touch()

    def start(self, cluster: LocalCluster) -> None:
        """Start processes that are gone, all of them after a reboot; a control plane that runs is left alone."""
        if not _is_there(cluster):
            cluster.exit_as_gone()
        _restore_kubeconfig(cluster)
        if not cluster.answers():
            _forget_strangers(cluster)
            _kwokctl(cluster, "stop", "cluster")
            _kwokctl(cluster, "start", "cluster", "--wait=60s")
        _start_what_ended(cluster)
        _prove(cluster)

    def delete(self, cluster: LocalCluster) -> None:
        """Remove the cluster and what it wrote; one that is already gone is no error."""
        if cluster.folder.exists():
            _forget_strangers(cluster)
            _kwokctl(cluster, "delete", "cluster")
            _end_unrecorded(cluster)
            shutil.rmtree(cluster.folder)
        reserved_ports.release(cluster)


def _refuse_what_cannot_work(cluster: LocalCluster) -> None:
    """End before anything is made where kwok cannot work; its own error names no cause."""
    home = cluster.workdir.home
    if odd := next((character for character in str(home) if character in UNUSABLE), ""):
        sys.exit(
            f"cluster {cluster.name} is not created: kwok cannot work in {home}, because of the {odd} in its name\n"
            "  -> rename the folder, or set MESH_HOME to one without"
        )
    machine_limits.refuse_full_disk(cluster.name, home)


def _restore_kubeconfig(cluster: LocalCluster) -> None:
    """Write the kubeconfig again as kwokctl has it: the file may be lost, or another cluster's by now."""
    kept = _kept(cluster) / "kubeconfig.yaml"
    if kept.exists():
        workdir.write_secret(cluster.kubeconfig, kept.read_text(encoding="utf-8"))


def _kept(cluster: LocalCluster) -> Path:
    """Return the folder in which kwokctl keeps a cluster."""
    return cluster.workdir.home / "kwok" / "clusters" / cluster.name


def _control_plane(cluster: LocalCluster, ports: Sequence[int]) -> ControlPlane:
    """Return the control plane. Stages in its configuration would replace the built-in ones of its controller."""
    return ControlPlane(
        pki=_kept(cluster) / "pki",
        kubernetes_version=cluster.spec.kubernetes_version,
        service_subnet=cluster.spec.service_subnet,
        ports=dict(zip(PORTS, ports, strict=True)),
        options={},
        arguments={"kwok-controller": {"config": str(_stages_file(cluster))}},
    )


def _stages_file(cluster: LocalCluster) -> Path:
    """Return the file with what the controller simulates beside nodes and pods."""
    return cluster.folder / "load-balancer.json"


def _control_plane_file(cluster: LocalCluster) -> Path:
    """Return the file with kwokctl's configuration."""
    return cluster.folder / "control-plane.json"


def _is_there(cluster: LocalCluster) -> bool:
    """Say whether the cluster was made to its end and nobody has removed its files."""
    return (cluster.folder / "made").exists() and _kept(cluster).exists()


def _end_unrecorded(cluster: LocalCluster) -> None:
    """End what kwokctl started and does not know: it starts a process first and records its number then, if it lives.

    A pager or a backup that names the cluster's folder is none of ours: the program must be one of the control plane.
    """
    for entry in Path("/proc").glob("[0-9]*"):
        if _is_of(cluster, entry):
            with suppress(OSError):  # processes come and go
                os.kill(int(entry.name), signal.SIGKILL)


def _strangers(cluster: LocalCluster) -> list[Path]:
    """Return kwokctl's records of processes that are no more, or whose numbers are others' since, as after a reboot.

    None are found where processes cannot be told from each other.
    """
    if not Path("/proc/self/exe").exists():
        return []
    records = (_kept(cluster) / "pids").glob("*.pid")
    return [file for file in records if not _is_of(cluster, Path("/proc") / file.read_text(encoding="utf-8").strip())]


def _forget_strangers(cluster: LocalCluster) -> None:
    """Drop records of processes that are not the cluster's: kwokctl would end those that have the numbers now."""
    for file in _strangers(cluster):
        file.unlink()


def _start_what_ended(cluster: LocalCluster) -> None:
    """Start again what ended by itself: the controller manager does if the API server needs more than 10 s.

    kwokctl starts all programs at once and looks after none of them.
    """
    if _strangers(cluster):
        _forget_strangers(cluster)
        _kwokctl(cluster, "start", "cluster", "--wait=60s")


def _is_of(cluster: LocalCluster, entry: Path) -> bool:
    """Say whether a process, by its folder in /proc, is one of a cluster's control plane; others' are not shown."""
    with suppress(OSError):
        program = os.readlink(entry / "exe").removesuffix(" (deleted)")
        return program in _programs(cluster) and f"{_kept(cluster)}/" in (entry / "cmdline").read_text(errors="replace")
    return False


def _programs(cluster: LocalCluster) -> set[str]:
    """Return the programs of a cluster's control plane, by their real paths; none where none was ever started."""
    try:
        options = json.loads(_control_plane_file(cluster).read_text(encoding="utf-8"))["options"]
    except (OSError, ValueError):  # killed before it was written
        return set()
    return {os.path.realpath(options[option]) for option in BINARIES}


def _kwokctl(cluster: LocalCluster, *arguments: str) -> None:
    folder = cluster.workdir.home / "kwok"
    command = ["kwokctl", f"--name={cluster.name}", *arguments]
    variables = {"KWOK_WORKDIR": str(folder), **COLLECTING}
    try:
        done = process.run(command, variables=variables, timeout=TIMEOUT, umask=OWNERS_ONLY)
    except process.ProgramTimeout as late:
        sys.exit(f"{late}; its logs are below {folder}{_full_disk(cluster)}")
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed ({done.returncode}):\n{done.stderr[-2000:]}{_full_disk(cluster)}")


def _prove(cluster: LocalCluster) -> None:
    if not cluster.answers():
        logs = _kept(cluster) / "logs"
        sys.exit(f"the control plane of {cluster.name} does not answer; its logs are in {logs}{_full_disk(cluster)}")


def _full_disk(cluster: LocalCluster) -> str:
    """Name a full disk beside whatever it has led to; nothing where there is room."""
    shortage = machine_limits.disk(cluster.workdir.home)
    return f"\n{shortage.what}\n  -> {shortage.fix}" if shortage else ""


LOAD_BALANCER = {
    "apiVersion": "kwok.x-k8s.io/v1alpha1",
    "kind": "Stage",
    "metadata": {"name": "load-balancer"},
    "spec": {
        "resourceRef": {"apiGroup": "v1", "kind": "Service"},
        "selector": {
            "matchExpressions": [
                {"key": ".spec.type", "operator": "In", "values": ["LoadBalancer"]},
                {"key": '.metadata.annotations["metallb.universe.tf/loadBalancerIPs"]', "operator": "Exists"},
                {"key": ".status.loadBalancer.ingress", "operator": "DoesNotExist"},
            ]
        },
        "next": {
            "patches": [
                {
                    "subresource": "status",
                    "root": "status",
                    "template": "loadBalancer:\n  ingress:\n"
                    '  - ip: {{ index .metadata.annotations "metallb.universe.tf/loadBalancerIPs" | Quote }}\n',
                }
            ]
        },
    },
}
"""Gives a Service of type LoadBalancer the address that its annotation asks for, as MetalLB does."""
