"""Simulated clusters: real control planes whose nodes only exist on paper (kwok).

Every step can be repeated: create adopts a cluster that runs, starts one that stopped, and makes a half-made one anew.
"""

import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from mesh_federation import process
from mesh_federation.clusters import journal, machine_limits, workdir
from mesh_federation.clusters.local_cluster import LocalCluster
from mesh_federation.clusters.provider import Document, LoadBalancer, Provider
from mesh_federation.clusters.settings import ClusterSpec
from mesh_federation.clusters.workdir import Workdir

if TYPE_CHECKING:
    from mesh_federation.stack.config import Cluster, Federation

PORTS = ("kubeApiserverPort", "etcdPort", "etcdPeerPort", "kubeControllerManagerPort", "kubeSchedulerPort",
         "kwokControllerPort")  # fmt: skip
FIRST_PORT, SLOTS = 20000, 1500
"""Below the ephemeral range, so that no outgoing connection takes one; kwokctl's own choice races."""

BINARIES = {
    "etcdBinary": "etcd",
    "kubeApiserverBinary": "kube-apiserver",
    "kubeControllerManagerBinary": "kube-controller-manager",
    "kubeSchedulerBinary": "kube-scheduler",
    "kwokControllerBinary": "kwok",
}
TIMEOUT = 120
"""Seconds for a control plane to answer; 5 are usual."""
UNUSABLE = ',"'
"""What kwok takes for the end of a path, or for a quote, in the list of files that it is given."""
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

    def api_server(self, cluster: "Cluster", name: str) -> str:
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
        with _reserved_ports(cluster) as ports:
            balancer = cluster.folder / "load-balancer.json"
            balancer.write_text(json.dumps(LOAD_BALANCER, indent=2), encoding="utf-8")
            written = json.dumps(_control_plane(cluster, ports, balancer), indent=2)
            _control_plane_file(cluster).write_text(written, encoding="utf-8")
            files = (f"--config={_control_plane_file(cluster)}", f"--kubeconfig={cluster.kubeconfig}")
            _kwokctl(cluster, "create", "cluster", "--wait=60s", *files)
        _kwokctl(cluster, "scale", "node", f"--replicas={cluster.spec.nodes}")
        _prove(cluster)
        (cluster.folder / "made").touch()

    def start(self, cluster: LocalCluster) -> None:
        """Start a control plane whose processes are gone, for example after a reboot; a running one is left alone."""
        if not _is_there(cluster):
            cluster.exit_as_gone()
        _restore_kubeconfig(cluster)
        if not cluster.answers():
            _forget_strangers(cluster)
            _kwokctl(cluster, "stop", "cluster")
            _kwokctl(cluster, "start", "cluster", "--wait=60s")
        _prove(cluster)

    def delete(self, cluster: LocalCluster) -> None:
        """Remove the cluster and what it wrote; one that is already gone is no error."""
        if cluster.folder.exists():
            _forget_strangers(cluster)
            _kwokctl(cluster, "delete", "cluster")
            _end_unrecorded(cluster)
            shutil.rmtree(cluster.folder)
        slots = _slots(cluster.workdir)
        with workdir.locked(slots / ".lock"):  # clusters are deleted side by side
            for slot in slots.glob("[0-9]*"):
                if os.readlink(slot) == str(cluster.folder):
                    slot.unlink()


def _refuse_what_cannot_work(cluster: LocalCluster) -> None:
    """End before anything is made where kwok cannot work; its own error names no cause."""
    home = cluster.workdir.home
    if odd := next((character for character in str(home) if character in UNUSABLE), ""):
        sys.exit(
            f"cluster {cluster.name} is not created: kwok cannot work in {home}, because of the {odd} in its name\n"
            "  -> rename the folder, or set MESH_HOME to one without"
        )
    home.mkdir(parents=True, exist_ok=True)
    if shortage := machine_limits.disk(home):
        sys.exit(f"cluster {cluster.name} is not created: {shortage.what}\n  -> {shortage.fix}")


def _restore_kubeconfig(cluster: LocalCluster) -> None:
    """Write the kubeconfig again as kwokctl has it: the file may be lost, or another cluster's by now."""
    kept = _kept(cluster) / "kubeconfig.yaml"
    if kept.exists():
        workdir.write_secret(cluster.kubeconfig, kept.read_text(encoding="utf-8"))


def _kept(cluster: LocalCluster) -> Path:
    """Return the folder in which kwokctl keeps a cluster."""
    return cluster.workdir.home / "kwok" / "clusters" / cluster.name


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


def _forget_strangers(cluster: LocalCluster) -> None:
    """Drop kwokctl's records of processes whose numbers are others' since, as after a reboot: it would end those."""
    if Path("/proc/self/exe").exists():
        for file in (_kept(cluster) / "pids").glob("*.pid"):
            if not _is_of(cluster, Path("/proc") / file.read_text(encoding="utf-8").strip()):
                file.unlink()


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
    try:
        done = process.run(command, variables={"KWOK_WORKDIR": str(folder)}, timeout=TIMEOUT, umask=OWNERS_ONLY)
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


def _control_plane(cluster: LocalCluster, ports: dict[str, int], balancer: Path) -> dict[str, object]:
    """Return kwokctl's configuration. Stages in it would replace the built-in ones, so ours go to the controller.

    kwokctl's etcd answers every user of the machine, in plain text, with each Secret of the cluster: here it asks for
    a certificate of the cluster's own authority, of which kwokctl makes one.
    """
    binaries = {option: shutil.which(program) or program for option, program in BINARIES.items()}
    pki = _kept(cluster) / "pki"
    own = {"ca": f"{pki}/ca.crt", "certificate": f"{pki}/admin.crt", "key": f"{pki}/admin.key"}
    clients, peers = (f"https://127.0.0.1:{ports[port]}" for port in ("etcdPort", "etcdPeerPort"))
    etcd = [
        *_instead({
            "listen-client-urls": clients, "advertise-client-urls": clients,
            "listen-peer-urls": peers, "initial-advertise-peer-urls": peers, "initial-cluster": f"node0={peers}",
        }),
        *_asks_for_certificates("", own),
        *_asks_for_certificates("peer-", own),
    ]  # fmt: skip
    api_server = [
        *_instead({"etcd-servers": clients}),
        _extra("etcd-cafile", own["ca"]),
        _extra("etcd-certfile", own["certificate"]),
        _extra("etcd-keyfile", own["key"]),
        _extra("service-cluster-ip-range", cluster.spec.service_subnet),
    ]
    return {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": {
            "runtime": "binary",
            "bindAddress": "127.0.0.1",
            "kubeVersion": f"v{cluster.spec.kubernetes_version}",
            **binaries,
            **ports,
        },
        "componentsPatches": [
            {"name": "etcd", "extraArgs": etcd},
            {"name": "kube-apiserver", "extraArgs": api_server},
            {"name": "kwok-controller", "extraArgs": [_extra("config", str(balancer))]},
        ],
    }


def _extra(option: str, value: object) -> dict[str, object]:
    return {"key": option, "value": value}


def _instead(options: dict[str, str]) -> list[dict[str, object]]:
    """Return what kwokctl writes in the place of its own values: programs add up some options that come twice."""
    return [_extra(option, value) | {"override": True} for option, value in options.items()]


def _asks_for_certificates(whom: str, own: dict[str, str]) -> list[dict[str, object]]:
    """Return etcd's options for one of its two listeners."""
    return [
        _extra(f"{whom}cert-file", own["certificate"]),
        _extra(f"{whom}key-file", own["key"]),
        _extra(f"{whom}trusted-ca-file", own["ca"]),
        _extra(f"{whom}client-cert-auth", "true"),
    ]


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


def _slots(workdir: Workdir) -> Path:
    return workdir.shared / "ports"


@contextmanager
def _reserved_ports(cluster: LocalCluster) -> Iterator[dict[str, int]]:
    """Reserve six free ports for as long as the cluster exists, against every other cluster of this user.

    A reservation is a link from the slot to the cluster's folder; it lapses when that folder is gone.
    """
    slots = _slots(cluster.workdir)
    slots.mkdir(parents=True, exist_ok=True)
    first = int(sha256(str(cluster.folder).encode()).hexdigest()[:8], 16)
    with workdir.locked(slots / ".lock"):
        for slot in ((first + step) % SLOTS for step in range(SLOTS)):
            link = slots / str(slot)
            numbers = [FIRST_PORT + slot * len(PORTS) + place for place in range(len(PORTS))]
            if (link.is_symlink() and link.exists()) or not all(map(_is_free, numbers)):
                continue
            link.unlink(missing_ok=True)
            link.symlink_to(cluster.folder)
            break
        else:
            sys.exit(f"no free ports between {FIRST_PORT} and {FIRST_PORT + SLOTS * len(PORTS)} for {cluster.name}")
    yield dict(zip(PORTS, numbers, strict=True))


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
