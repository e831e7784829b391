"""Providers whose nodes are Docker containers: what kind and k3d have in common."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mesh_federation.clusters import docker, machine_limits
from mesh_federation.clusters.provider import ClusterSpec, Document, LabNetwork, PortMapping, Provider

if TYPE_CHECKING:
    from mesh_federation.stack.config import Cluster, Federation

CONFIG_LABEL = "mesh-federation/config"
"""Label on every node: a hash of what its cluster was made from; no other configuration adopts the cluster."""


class DockerProvider(Provider):
    """Makes clusters of containers by a program that reads a configuration file."""

    memory = 2 * machine_limits.NODE_MEMORY / machine_limits.GIB
    keys = frozenset({"image", "nodes", "ports", "readyWithinSeconds"})
    programs = {"docker": docker.INSTALL["docker"]}
    in_docker = True
    boots = True

    def spec(self, federation: "Federation", cluster: "Cluster") -> ClusterSpec:
        """Return everything but the Kubernetes release, which the node image decides."""
        return ClusterSpec(
            pod_subnet=str(cluster.pod_subnet),
            service_subnet=str(cluster.service_subnet),
            nodes=cluster.nodes,
            image=cluster.image or federation.images.node or "",
            load_balancer=cluster.load_balancer.value,
            ports=tuple(PortMapping(p.container, p.host, str(p.address), p.protocol) for p in cluster.ports),
            ready_within_seconds=cluster.ready_within_seconds,
            network=LabNetwork(federation.lab.network, str(federation.lab.subnet)),
        )

    def identity(self, spec: ClusterSpec) -> Document:
        """Return the configuration without its hash."""
        return self.config(spec, {})

    def input(self, spec: ClusterSpec, label: str) -> Document:
        """Return the configuration with its hash."""
        return self.config(spec, {CONFIG_LABEL: label})

    @abstractmethod
    def config(self, spec: ClusterSpec, labels: Mapping[str, str]) -> Document:
        """Return the configuration that the program reads.

        Args:
            spec: what the stack file says.
            labels: of every node.
        """
