"""kind clusters: real nodes in Docker containers; kind's configuration is JSON."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, NotRequired, TypedDict

from mesh_federation.clusters import docker
from mesh_federation.clusters.container_provider import ContainerConfig, ContainerProvider
from mesh_federation.clusters.docker_provider import DockerProvider
from mesh_federation.clusters.local_cluster import ContainerCluster
from mesh_federation.clusters.provider import ClusterSpec, Document, LoadBalancer
from mesh_federation.process import ProcessResult

if TYPE_CHECKING:
    from mesh_federation.stack.config import Cluster

TIMEOUT = 900
"""Seconds for kind to do one thing, its wait left out: enough for a node image over a slow line."""
DOCKER = {"KIND_EXPERIMENTAL_PROVIDER": "docker"}
"""kind would take podman as well."""


class _PortMapping(TypedDict):
    hostPort: int


class _ConfiguredNode(TypedDict):
    labels: dict[str, str]
    extraPortMappings: NotRequired[list[_PortMapping]]


class _Config(TypedDict):
    """The part of kind's configuration that counts here."""

    nodes: list[_ConfiguredNode]


def config(text: str) -> ContainerConfig:
    """Read kind's configuration; all its nodes carry the same labels."""
    read: _Config = json.loads(text)
    mappings = [mapping for node in read["nodes"] for mapping in node.get("extraPortMappings", [])]
    return ContainerConfig(text, read["nodes"][0]["labels"], frozenset(mapping["hostPort"] for mapping in mappings))


def _kind(cluster: ContainerCluster, action: str, *options: str, stdin: str = "") -> ProcessResult:
    """Run kind with Docker, and with our kubeconfig instead of the user's."""
    variables = {**DOCKER, "KIND_EXPERIMENTAL_DOCKER_NETWORK": cluster.settings.network.name}
    command = ("kind", action, "cluster", f"--name={cluster.name}", f"--kubeconfig={cluster.kubeconfig}", *options)
    return docker.run(*command, stdin=stdin, variables=variables, timeout=TIMEOUT)


def _kubeconfig(cluster: ContainerCluster) -> ProcessResult:
    return docker.run("kind", "get", "kubeconfig", f"--name={cluster.name}", variables=DOCKER, timeout=TIMEOUT)


def _logs(name: str) -> str:
    first = f"{name}-control-plane"
    return f"`docker logs {first}` and `docker exec {first} journalctl --unit=kubelet`"


KIND = ContainerProvider(
    program="kind",
    config=config,
    make=lambda cluster, text: _kind(cluster, "create", "--config=-", stdin=text),
    remove=lambda cluster: _kind(cluster, "delete"),
    kubeconfig=_kubeconfig,
    removal=lambda name: f"kind delete cluster --name={name}",
    lasting=lambda name, nodes: nodes,
    members=lambda name, nodes: nodes,
    kubectl=lambda name: (
        "docker", "exec", f"{name}-control-plane", "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf"
    ),
    logs=_logs,
    taken="already exist for a cluster",
    unpulled=r'failed to pull image "(.+?)".*Command Output: ([^\n]*)',
)  # fmt: skip


class Kind(DockerProvider):
    """kind clusters: upstream Kubernetes in containers."""

    name = "kind"
    load_balancers = (LoadBalancer.METALLB, LoadBalancer.NONE)
    node_image = "kindest/node"

    def config(self, spec: ClusterSpec, labels: Mapping[str, str]) -> Document:
        """Write kind.x-k8s.io/v1alpha4; the subnets are those of walk-through 000 section 2.1."""
        given = {"image": spec.image, "labels": dict(labels)}
        node: Document = {key: value for key, value in given.items() if value}
        first: Document = {"role": "control-plane", **node}
        if spec.ports:
            first["extraPortMappings"] = [
                {
                    "containerPort": port.container,
                    "hostPort": port.host,
                    "listenAddress": port.address,
                    "protocol": port.protocol,
                }
                for port in spec.ports
            ]
        return {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "networking": {"podSubnet": spec.pod_subnet, "serviceSubnet": spec.service_subnet},
            "nodes": [first, *({"role": "worker", **node} for _ in range(spec.nodes - 1))],
        }

    def node_names(self, name: str, count: int) -> tuple[str, ...]:
        """Return the names that kind gives."""
        workers = (f"{name}-worker{index if index > 1 else ''}" for index in range(1, count))
        return (f"{name}-control-plane", *workers)

    def api_server(self, cluster: "Cluster", name: str) -> str:
        """Return the first node's name: in its certificate, known at preview, the same after a restart.

        Docker resolves it in the lab's network, and a kind node passes its pods' questions on to Docker.
        """
        return f"https://{name}-control-plane:6443"
