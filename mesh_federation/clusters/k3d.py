"""k3d clusters: k3s nodes in Docker containers, and a proxy in front of their API server.

k3d's configuration is k3d.io/v1alpha5 as JSON. Where the user has set them, k3d reads K3D_IMAGE_LOADBALANCER and
K3D_IMAGE_TOOLS, which name its own images.

The API server's port on this machine is chosen by k3d when it makes the cluster, and stays through restarts. In the
lab's network it is k3d-NAME-serverlb:6443, which is in its certificate (pitfall 46).
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, NotRequired, TypedDict

from mesh_federation.clusters import docker, workdir
from mesh_federation.clusters.container_provider import ContainerConfig, ContainerProvider
from mesh_federation.clusters.docker_provider import DockerProvider
from mesh_federation.clusters.local_cluster import ContainerCluster
from mesh_federation.clusters.provider import ClusterSpec, Document, LoadBalancer
from mesh_federation.process import ProcessResult

if TYPE_CHECKING:
    from mesh_federation.stack.config import Cluster

TIMEOUT = 900
"""Seconds for k3d to do one thing, until its API server answers: enough for images over a slow line."""
STARTS = ("server", "agent", "serverlb")
"""What containers are to a cluster, by their names, in the order in which they must start: agents and the proxy look
the server up by its name, which Docker knows only while it runs. Others are k3d's own, and go when a cluster is up."""
NODES = ("server", "agent")
"""Those that are Kubernetes nodes."""


class _Labelled(TypedDict):
    label: str


class _K3s(TypedDict):
    nodeLabels: list[_Labelled]


class _Options(TypedDict):
    k3s: _K3s


class _Published(TypedDict):
    port: str


class _Config(TypedDict):
    """The part of k3d's configuration that counts here."""

    options: _Options
    ports: NotRequired[list[_Published]]


def config(text: str) -> ContainerConfig:
    """Read k3d's configuration: labels are KEY=VALUE, ports ADDRESS:HOST:CONTAINER/PROTOCOL."""
    read: _Config = json.loads(text)
    labels = dict(each["label"].split("=", 1) for each in read["options"]["k3s"]["nodeLabels"])
    return ContainerConfig(text, labels, frozenset(int(each["port"].split(":")[1]) for each in read.get("ports", [])))


def _make(cluster: ContainerCluster, text: str) -> ProcessResult:
    made = _k3d(cluster, "cluster", "create", "--config=-", stdin=text)
    if made.returncode:
        # It removes what it began, but for this where no node was made yet; Docker keeps one that is in use.
        docker.run("docker", "volume", "rm", "--force", f"k3d-{cluster.name}-images")
        return made
    read = _k3d(cluster, "kubeconfig", "get")
    if read.returncode:
        return read
    workdir.write_secret(cluster.kubeconfig, read.stdout)
    return _registered(cluster)


def _registered(cluster: ContainerCluster) -> ProcessResult:
    """Wait until the API server knows every node: k3d waits for the server alone, and nodes are labelled next."""
    nodes = (f"node/{node.name}" for node in _parts(cluster.name, K3D.containers(cluster.name), NODES))
    within = f"--timeout={cluster.settings.ready_within_seconds}s"
    return cluster.kubectl.run("wait", "--for=create", within, *nodes)


def _k3d(cluster: ContainerCluster, noun: str, verb: str, *options: str, stdin: str = "") -> ProcessResult:
    """Run k3d with files of the cluster's own: it also cleans up kubeconfigs, by default the user's."""
    variables = {
        "KUBECONFIG": str(cluster.kubeconfig),
        "XDG_CONFIG_HOME": str(cluster.folder),
        "TMPDIR": str(cluster.folder),  # it leaves a copy of the configuration there
        "LOG_LEVEL": "warning",  # what it logs below that goes to standard output, between the lines of a kubeconfig
    }
    return docker.run("k3d", noun, verb, cluster.name, *options, stdin=stdin, variables=variables, timeout=TIMEOUT)


def _parts(name: str, nodes: list[docker.Node], wanted: tuple[str, ...]) -> list[docker.Node]:
    """Return those containers that are what is wanted, in that order."""
    part = {node: node.name.removeprefix(f"k3d-{name}-").partition("-")[0] for node in nodes}
    found = [node for node in nodes if part[node] in wanted]
    return sorted(found, key=lambda node: (wanted.index(part[node]), node.name))


K3D = ContainerProvider(
    program="k3d",
    config=config,
    make=_make,
    remove=lambda cluster: _k3d(cluster, "cluster", "delete"),
    kubeconfig=lambda cluster: _k3d(cluster, "kubeconfig", "get"),
    removal=lambda name: f"k3d cluster delete {name}",
    lasting=lambda name, nodes: _parts(name, nodes, STARTS),
    members=lambda name, nodes: _parts(name, nodes, NODES),
    kubectl=lambda name: ("docker", "exec", f"k3d-{name}-server-0", "kubectl", "--kubeconfig=/output/kubeconfig.yaml"),
    logs=lambda name: f"`docker logs k3d-{name}-server-0` and `docker logs k3d-{name}-serverlb`",
    taken="a cluster with that name already exists",
    unpulled=r"docker failed to pull the image '(.+?)': ([^\n]*)",
    helpers={"k3d-proxy": "K3D_IMAGE_LOADBALANCER", "k3d-tools": "K3D_IMAGE_TOOLS"},
)


class K3dProvider(DockerProvider):
    """k3d clusters: k3s in containers."""

    name = "k3d"
    load_balancers = (LoadBalancer.SERVICELB, LoadBalancer.METALLB, LoadBalancer.NONE)
    longest_name = 32
    node_image = "rancher/k3s"

    def config(self, spec: ClusterSpec, labels: Mapping[str, str]) -> Document:
        """Write k3d.io/v1alpha5, after walk-through 003 section 5, with subnets of its own (pitfall 43).

        The walk-through's taint keeps pods off the server, so a cluster of one node could run none: it is left out. So
        are its memory limits, which istiod hardly fits in (pitfall 44).
        """
        assert spec.network
        arguments = [
            f"--cluster-cidr={spec.pod_subnet}",
            f"--service-cidr={spec.service_subnet}",
            "--disable=traefik",  # traffic comes in by Istio
        ]
        if spec.load_balancer != LoadBalancer.SERVICELB:
            arguments.append("--disable=servicelb")  # two load balancers would give one Service addresses in turns
        k3s: Document = {"extraArgs": [{"arg": argument, "nodeFilters": ["server:*"]} for argument in arguments]}
        if labels:  # not `all`, which means the proxy too
            k3s["nodeLabels"] = [
                {"label": f"{key}={value}", "nodeFilters": ["server:*", "agent:*"]} for key, value in labels.items()
            ]
        document: Document = {
            "apiVersion": "k3d.io/v1alpha5",
            "kind": "Simple",
            "servers": 1,
            "agents": spec.nodes - 1,
            "network": spec.network.name,
            "kubeAPI": {"hostIP": "127.0.0.1"},
            **({"image": spec.image} if spec.image else {}),
            "options": {
                "k3d": {"wait": True},
                "k3s": k3s,
                "kubeconfig": {"updateDefaultKubeconfig": False, "switchCurrentContext": False},
            },
        }
        if spec.ports:
            document["ports"] = [
                {
                    "port": f"{port.address}:{port.host}:{port.container}/{port.protocol.lower()}",
                    "nodeFilters": ["server:0:direct"],
                }
                for port in spec.ports
            ]
        return document

    def node_names(self, name: str, count: int) -> tuple[str, ...]:
        """Return the names that k3d gives."""
        return (f"k3d-{name}-server-0", *(f"k3d-{name}-agent-{index}" for index in range(count - 1)))

    def api_server(self, cluster: "Cluster", name: str) -> str:
        """Return the name of the proxy in front of the servers: it is in the certificate (5.4.8 on, pitfall 46)."""
        return f"https://k3d-{name}-serverlb:6443"
