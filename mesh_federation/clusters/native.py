"""Native clusters: real control planes beside real pods, which run as processes in private namespaces; no Docker.

All clusters of a stack share one sandbox (native/sandbox.py), which has a network of its own. The first cluster starts
it, and the last one ends it. Every step can be repeated: create adopts a cluster that runs, and starts one that
stopped.
"""

import json
import os
import shutil
import socket
import stat
import struct
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from mesh_federation import document
from mesh_federation.clusters import generations, journal, machine_limits, reserved_ports, workdir
from mesh_federation.clusters.addresses import gateway_address, node_range, pools
from mesh_federation.clusters.control_plane import PORTS, ControlPlane
from mesh_federation.clusters.local_cluster import LocalCluster
from mesh_federation.clusters.provider import Connect, Document, LoadBalancer, Provider
from mesh_federation.clusters.settings import CLUSTER_DOMAIN, ClusterSpec, LabNetwork
from mesh_federation.native.network import bridge_address
from mesh_federation.native.node_settings import API_PORT, LOCK, NodeReport, NodeSettings
from mesh_federation.native.root_filesystem import SHARED
from mesh_federation.native.sandbox import INTERPRETER, ProcessId, Sandbox, environment
from mesh_federation.stack.problem import Problem, ProblemError

if TYPE_CHECKING:
    from mesh_federation.stack.config import Cluster, Federation

OTHER_PORTS = (2379, 2380, 10257, 10259, 10247)
"""Ports of etcd, the controllers, the scheduler and kwok, on the node's own loopback address."""
SECONDS_TO_START = 150.0


class Native(Provider):
    """Clusters whose pods are processes of this machine, without containers."""

    name = "native"
    load_balancers = (LoadBalancer.NATIVE, LoadBalancer.NONE)
    memory = 2
    upstream_envoy = True

    def obstacles(self) -> tuple[Problem, ...]:
        """Return what keeps private namespaces from being made here."""
        from mesh_federation.native.support import obstacles  # few commands ask

        return obstacles()

    def spec(self, federation: "Federation", cluster: "Cluster") -> ClusterSpec:
        """Return subnets, release, and the part of the lab network that is the cluster's."""
        pool = pools(federation.lab.subnet, {*federation.in_lab, cluster.name})[cluster.name]
        return ClusterSpec(
            pod_subnet=str(cluster.pod_subnet),
            service_subnet=str(cluster.service_subnet),
            cluster_domain=cluster.own_domain,
            kubernetes_version=cluster.kubernetes_version,
            network=LabNetwork("native", str(federation.lab.subnet)),
            pool=str(pool),
        )

    def identity(self, spec: ClusterSpec) -> Document:
        """Return all of it."""
        return {
            "kubernetesVersion": spec.kubernetes_version,
            "podSubnet": spec.pod_subnet,
            "pool": spec.pool,
            "serviceSubnet": spec.service_subnet,
            **({"clusterDomain": spec.cluster_domain} if spec.cluster_domain else {}),
        }

    def node_names(self, name: str, count: int) -> tuple[str, ...]:
        """Return the one node, which is called as the cluster."""
        return (name,)

    def api_server(self, federation: "Federation", cluster: "Cluster", name: str) -> str:
        """Return the address of the node in the sandbox."""
        return f"https://{node_address(self.spec(federation, cluster), name)}:{API_PORT}"

    def connector(self, home: Path, stack: str) -> Connect:
        """Connect in the sandbox: this machine has no way to gateways."""
        from mesh_federation.native.dialer import Dialer  # verify alone connects

        return Dialer(_sandbox_of(home, stack)).connect

    def create(self, cluster: LocalCluster) -> None:
        """Bring the cluster up, whatever an earlier attempt left behind."""
        if not _was_made(cluster):
            self.delete(cluster)
            machine_limits.refuse_full_disk(cluster.name, cluster.workdir.home)
            journal.record(cluster, self.name)
        _bring_up(cluster)

    def start(self, cluster: LocalCluster) -> None:
        """Start a cluster whose processes are gone, for example after a reboot; a running one is left alone."""
        if not _was_made(cluster):
            cluster.exit_as_gone()
        ran = _node_process(cluster)
        _bring_up(cluster)
        if not ran:
            print(f"{cluster.name} did not run: restarted", file=sys.stderr)

    def delete(self, cluster: LocalCluster) -> None:
        """Remove the cluster and what it wrote, and with the last one the sandbox."""
        if cluster.folder.exists():
            generations.let_importers_move(cluster)
        sandbox = _sandbox(cluster)
        with workdir.locked(_lock(cluster)):
            if node := _node_process(cluster):
                node.kill()
            shutil.rmtree(_files(cluster), ignore_errors=True)
            shutil.rmtree(cluster.folder, ignore_errors=True)
            reserved_ports.release(cluster)
            if sandbox.shared.exists() and not any(sandbox.shared.iterdir()):
                sandbox.stop()


def _bring_up(cluster: LocalCluster) -> None:
    """Start the node unless it runs and its API server answers."""
    if node := _node_process(cluster):
        if cluster.answers():
            return
        node.kill()
    try:
        _start_sandbox(cluster)
        _start_node(cluster)
    except ProblemError as error:
        sys.exit(f"cluster {cluster.name} is not created: {error.problem}")
    if not cluster.answers():
        sys.exit(f"the control plane of {cluster.name} does not answer; its logs are in {_files(cluster)}")


def _start_sandbox(cluster: LocalCluster) -> None:
    """Start the stack's sandbox unless it runs.

    Raises:
        ProblemError: this machine cannot have one.
    """
    with workdir.locked(_lock(cluster)):
        _sandbox(cluster).start(_programs(cluster), cluster.settings.network.subnet)
        _sandbox(cluster).make_folder(cluster.name)  # by which the sandbox is in use


def _programs(cluster: LocalCluster) -> list[str]:
    """Return the folders with programs that the sandbox shows: those on PATH, and the toolchain's."""
    folders = {each for each in os.environ["PATH"].split(os.pathsep) if os.path.isabs(each) and os.path.isdir(each)}
    if os.geteuid() == 0:  # a sandbox of root could not read them
        folders = {each for each in folders if os.stat(each).st_mode & stat.S_IXOTH}
    named = {*folders, str(cluster.workdir.shared)}
    return sorted({*named, *map(os.path.realpath, named)} - {"/"})


def _start_node(cluster: LocalCluster) -> None:
    """Start the node of a cluster, wait until its API server answers, and record how it is reached.

    Raises:
        ProblemError: it does not come up.
    """
    settings = node_settings(cluster)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    ours.settimeout(SECONDS_TO_START)
    with ours, theirs, _listener(cluster) as listener:
        module = [INTERPRETER, "-s", "-m", "mesh_federation.native.machine", document.write(settings)]
        command = _sandbox(cluster).command(*module, str(listener.fileno()), str(theirs.fileno()))
        with (cluster.folder / "node.log").open("wb") as log:
            subprocess.Popen(
                command, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                pass_fds=(listener.fileno(), theirs.fileno()),
            )  # fmt: skip
        theirs.close()
        process, _ = _receive(ours, cluster)
        workdir.write(_record(cluster), json.dumps(asdict(process)))
        _, report = _receive(ours, cluster)
        server = f"https://127.0.0.1:{reserved_ports.reserve(cluster)[0]}"
        workdir.write_secret(cluster.kubeconfig, through(report.kubeconfig, server))
        (cluster.folder / "made").touch()
        ours.send(b"+")  # from now on it stays


def _receive(reports: socket.socket, cluster: LocalCluster) -> tuple[ProcessId, NodeReport]:
    """Return a report, and the process that sent it: the kernel tells its number on this machine.

    Raises:
        ProblemError: it says that something failed, or none comes.
    """
    size = struct.calcsize("3i")
    try:
        data, ancillary, _, _ = reports.recvmsg(2**18, socket.CMSG_SPACE(size))
    except TimeoutError:
        data, ancillary = b"", []
    if not data:
        raise _failed(cluster, (cluster.folder / "node.log").read_text(encoding="utf-8", errors="replace").strip())
    report = document.read(NodeReport, data.decode(), "report")
    if report.problem:
        raise _failed(cluster, report.problem)
    pid = struct.unpack("3i", ancillary[0][2][:size])[0]
    return ProcessId.of(pid), report


def _failed(cluster: LocalCluster, why: str) -> ProblemError:
    fix = f"look at the logs in {_files(cluster)}, then run `./mesh up` again"
    return ProblemError(Problem("", "node-failed", f"the node of {cluster.name} did not start", fix, why[-2000:]))


def _listener(cluster: LocalCluster) -> socket.socket:
    """Return a socket of this machine at which the API server will be reached."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    port = reserved_ports.reserve(cluster)[0]
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        what, fix = f"port {port} of 127.0.0.1 is taken", "end the program that listens on it"
        raise ProblemError(Problem("", "port-taken", what, fix, str(error))) from None
    listener.listen(128)
    return listener


def node_settings(cluster: LocalCluster) -> NodeSettings:
    """Return what the node is made from; it writes its files itself, as links in its folder may lead anywhere."""
    settings = NodeSettings(
        cluster=cluster.name,
        folder=str(SHARED / cluster.name),
        address=str(node_address(cluster.spec, cluster.name)),
        subnet=cluster.settings.network.subnet,
        pod_subnet=cluster.spec.pod_subnet,
        service_subnet=cluster.spec.service_subnet,
        cluster_domain=cluster.spec.cluster_domain or CLUSTER_DOMAIN,
        pool=cluster.spec.pool,
        images=cluster.folders.get("MESH_IMAGES", ""),
        configuration="",
    )
    return replace(settings, configuration=_control_plane(cluster, settings).configuration)


def _control_plane(cluster: LocalCluster, settings: NodeSettings) -> ControlPlane:
    """Return the control plane; its ports are the same on every node, each of which has a network of its own.

    kwok, which kwokctl always starts, has no node to simulate.
    """
    services = IPv4Network(settings.service_subnet)
    return ControlPlane(
        pki=settings.pki,
        kubernetes_version=cluster.spec.kubernetes_version,
        service_subnet=settings.service_subnet,
        ports=dict(zip(PORTS, (API_PORT, *OTHER_PORTS), strict=True)),
        options={
            "kubeApiserverCertSANs": [settings.address, str(services[1])],
        },
        arguments={
            "kube-apiserver": {
                "advertise-address": settings.address,
                "bind-address": "0.0.0.0",  # of the node's network namespace
                "enable-aggregator-routing": "true",  # webhooks are called at the addresses of pods
                "kubelet-client-certificate": f"{settings.pki}/admin.crt",
                "kubelet-client-key": f"{settings.pki}/admin.key",
                "kubelet-preferred-address-types": "InternalIP",
            },
            "kwok-controller": {
                "manage-all-nodes": "false",
                "manage-nodes-with-annotation-selector": "kwok.x-k8s.io/node=fake",
            },
        },
    )


def through(kubeconfig: str, server: str) -> str:
    """Return a kubeconfig with the address at which this machine reaches the API server.

    It has nothing else of the node's but certificates and a key: a kubeconfig can also name programs to run.
    """
    given = json.loads(kubeconfig)
    [cluster], [user] = given["clusters"], given["users"]
    name, authority = cluster["name"], cluster["cluster"]["certificate-authority-data"]
    credentials = {key: user["user"][key] for key in ("client-certificate-data", "client-key-data")}
    return json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": authority}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "users": [{"name": name, "user": credentials}],
    })  # fmt: skip


def node_address(spec: ClusterSpec, name: str) -> IPv4Address:
    """Choose the node's address: another one for each generation, in the lower half of the lab network."""
    assert spec.network
    lower = node_range(IPv4Network(spec.network.subnet), IPv4Network(spec.pool))
    chosen = gateway_address(lower, name.rpartition("-")[2])
    return chosen + 1 if chosen == bridge_address(spec.network.subnet) else chosen


def _was_made(cluster: LocalCluster) -> bool:
    """Say whether the cluster was made to its end and nobody has removed its files."""
    return (cluster.folder / "made").exists() and (_files(cluster) / "made").exists()


def _node_process(cluster: LocalCluster) -> ProcessId | None:
    """Return the first process of the cluster's node, whose record may be lost; None if it does not run."""
    with suppress(OSError, document.DocumentError):
        recorded = document.read(ProcessId, _record(cluster).read_text(encoding="utf-8"), str(_record(cluster)))
        if recorded.runs():
            return recorded
    return _sandbox(cluster).holder(f"{cluster.name}/{LOCK}")


def _record(cluster: LocalCluster) -> Path:
    return cluster.folder / "node.json"


def _sandbox(cluster: LocalCluster) -> Sandbox:
    return _sandbox_of(cluster.workdir.home, cluster.settings.stack)


def _sandbox_of(home: Path, stack: str) -> Sandbox:
    return Sandbox(home / "native" / stack)


def _files(cluster: LocalCluster) -> Path:
    """Return the folder in the sandbox with everything that the node keeps."""
    return _sandbox(cluster).shared / cluster.name


def _lock(cluster: LocalCluster) -> Path:
    return cluster.workdir.home / "locks" / f"native-{cluster.settings.stack}"
