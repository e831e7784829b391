"""kind clusters: upstream Kubernetes in Docker containers; kind's configuration is written as JSON."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mesh_federation.clusters import docker
from mesh_federation.clusters.container_provider import ContainerProvider
from mesh_federation.clusters.local_cluster import LocalCluster
from mesh_federation.clusters.provider import Document, LoadBalancer
from mesh_federation.clusters.settings import ClusterSpec
from mesh_federation.process import ProcessResult

if TYPE_CHECKING:
    from mesh_federation.stack.config import Cluster, Federation

TIMEOUT = 900
"""Seconds for kind to do one thing, its wait left out: enough for a node image over a slow line."""
DOCKER = {"KIND_EXPERIMENTAL_PROVIDER": "docker"}
"""kind would take podman as well."""


class Kind(ContainerProvider):
    """kind, of Kubernetes' own project."""

    name = program = "kind"
    load_balancers = (LoadBalancer.METALLB, LoadBalancer.NONE)
    node_image = "kindest/node"
    container_label = "io.x-k8s.kind.cluster"
    name_in_use = "already exist for a cluster"
    image_not_pulled = r'failed to pull image "(.+?)".*Command Output: ([^\n]*)'

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
            **({"kubeadmConfigPatches": [_with_domain(spec.cluster_domain)]} if spec.cluster_domain else {}),
            "nodes": [first, *({"role": "worker", **node} for _ in range(spec.nodes - 1))],
        }

    def node_names(self, name: str, count: int) -> tuple[str, ...]:
        """Return the names that kind gives."""
        workers = (f"{name}-worker{index if index > 1 else ''}" for index in range(1, count))
        return (f"{name}-control-plane", *workers)

    def api_server(self, federation: "Federation", cluster: "Cluster", name: str) -> str:
        """Return the first node's name: in its certificate, known at preview, the same after a restart.

        Docker resolves it in the lab's network, and a kind node passes its pods' questions on to Docker.
        """
        return f"https://{name}-control-plane:6443"

    def make(self, cluster: LocalCluster, config: str) -> ProcessResult:
        """Make a cluster; kind writes the kubeconfig."""
        return _kind(cluster, "create", "--config=-", stdin=config)

    def remove(self, cluster: LocalCluster) -> ProcessResult:
        """Remove a cluster."""
        return _kind(cluster, "delete")

    def removal(self, name: str) -> str:
        """Return the command by which a person removes a cluster."""
        return f"kind delete cluster --name={name}"

    def read_kubeconfig(self, cluster: LocalCluster) -> ProcessResult:
        """Print the kubeconfig of a cluster."""
        return docker.run("kind", "get", "kubeconfig", f"--name={cluster.name}", variables=DOCKER, timeout=TIMEOUT)

    def kubectl_inside(self, name: str) -> tuple[str, ...]:
        """Return the words that run kubectl in the first node."""
        return ("docker", "exec", f"{name}-control-plane", "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")

    def logs(self, name: str) -> str:
        """Name the logs of the first node and of its kubelet."""
        first = f"{name}-control-plane"
        return f"`docker logs {first}` and `docker exec {first} journalctl --unit=kubelet`"


def _with_domain(cluster_domain: str) -> str:
    """Return a patch of kubeadm's configuration, from which kubelets and CoreDNS get the domain."""
    return json.dumps({"kind": "ClusterConfiguration", "networking": {"dnsDomain": cluster_domain}})


def _kind(cluster: LocalCluster, action: str, *options: str, stdin: str = "") -> ProcessResult:
    """Run kind with Docker, and with our kubeconfig instead of the user's."""
    variables = {**DOCKER, "KIND_EXPERIMENTAL_DOCKER_NETWORK": cluster.settings.network.name}
    command = ("kind", action, "cluster", f"--name={cluster.name}", f"--kubeconfig={cluster.kubeconfig}", *options)
    return docker.run(*command, stdin=stdin, variables=variables, timeout=TIMEOUT)
