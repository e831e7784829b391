"""Providers whose nodes are Docker containers, made by a program such as kind or k3d: all have one lifecycle."""

import json
import re
import sys
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from mesh_federation.clusters import (
    attachment,
    docker,
    generations,
    machine_limits,
    network,
    ownership,
    readiness,
    refusals,
    workdir,
)
from mesh_federation.clusters.local_cluster import LocalCluster
from mesh_federation.clusters.ownership import OwnershipState
from mesh_federation.clusters.provider import Document, Provider
from mesh_federation.clusters.refusals import MissingImage
from mesh_federation.clusters.settings import ClusterSpec, LabNetwork, PortMapping, ProviderSettings
from mesh_federation.process import ProcessResult
from mesh_federation.stack.problem import Problem

if TYPE_CHECKING:
    from mesh_federation.stack.config import Cluster, Federation

CONFIG_LABEL = "mesh-federation/config"
"""Label on every node: a hash of what its cluster was made from; no other configuration adopts the cluster."""


class ContainerProvider(Provider):
    """Makes clusters by a program that reads a configuration file and runs each node as a container.

    Attributes:
        program: its name.
        container_label: by which it marks the containers of a cluster.
        name_in_use: its error text if the name of a cluster is in use.
        image_not_pulled: pattern of its error text if it cannot get an image: the image, and why.
        image_variables: environment variables that name images of its own, by a part of the image's name.
    """

    memory = 2 * machine_limits.NODE_MEMORY / machine_limits.GIB
    keys = frozenset({"image", "nodes", "ports", "readyWithinSeconds"})
    in_docker = True
    boots = True

    program: ClassVar[str]
    container_label: ClassVar[str]
    name_in_use: ClassVar[str]
    image_not_pulled: ClassVar[str]
    image_variables: ClassVar[Mapping[str, str]] = {}

    def obstacles(self) -> tuple[Problem, ...]:
        """Return what keeps Docker from being used."""
        return docker.obstacles()

    @abstractmethod
    def config(self, spec: ClusterSpec, labels: Mapping[str, str]) -> Document:
        """Return the configuration that the program reads.

        Args:
            spec: what the stack file says.
            labels: of every node.
        """

    @abstractmethod
    def make(self, cluster: LocalCluster, config: str) -> ProcessResult:
        """Make a cluster from a configuration, and write its kubeconfig."""

    @abstractmethod
    def remove(self, cluster: LocalCluster) -> ProcessResult:
        """Remove a cluster."""

    @abstractmethod
    def removal(self, name: str) -> str:
        """Return the command by which a person removes a cluster."""

    @abstractmethod
    def read_kubeconfig(self, cluster: LocalCluster) -> ProcessResult:
        """Print the kubeconfig of a cluster."""

    @abstractmethod
    def kubectl_inside(self, name: str) -> tuple[str, ...]:
        """Return the words that run kubectl inside a cluster, whoever made it."""

    @abstractmethod
    def logs(self, name: str) -> str:
        """Say where to look when a cluster does not come up."""

    def in_start_order(self, name: str, containers: list[docker.NodeContainer]) -> list[docker.NodeContainer]:
        """Return the containers of a cluster that stay as long as it does, in the order in which they must start."""
        return containers

    def kubernetes_nodes(self, name: str, containers: list[docker.NodeContainer]) -> list[docker.NodeContainer]:
        """Return the containers of a cluster that are Kubernetes nodes."""
        return containers

    def spec(self, federation: "Federation", cluster: "Cluster") -> ClusterSpec:
        """Return everything but the Kubernetes release, which the node image decides."""
        return ClusterSpec(
            pod_subnet=str(cluster.pod_subnet),
            service_subnet=str(cluster.service_subnet),
            cluster_domain=cluster.own_domain,
            nodes=cluster.nodes,
            image=cluster.image or federation.images.node or "",
            load_balancer=cluster.load_balancer.value,
            ports=tuple(PortMapping(p.container, p.host, str(p.address), p.protocol) for p in cluster.ports),
            ready_within_seconds=cluster.ready_within_seconds,
            network=LabNetwork(federation.lab.network, str(federation.lab.subnet)),
        )

    def identity(self, spec: ClusterSpec) -> Document:
        """Return the configuration, without the label that its hash is in."""
        return self.config(spec, {})

    def labelled(self, settings: ProviderSettings) -> Document:
        """Return the configuration of one cluster, with the label."""
        return self.config(settings.spec, _labels(settings))

    def create(self, cluster: LocalCluster) -> None:
        """Make the cluster, or adopt the one that this checkout made from the same configuration."""
        with docker.alone(cluster.name, cluster.workdir):
            containers = self.containers(cluster.name)
            match ownership.of(cluster, containers):
                case OwnershipState.OURS:
                    self._wake(cluster, containers)
                    refusals.other_config(cluster, _labels(cluster.settings), self.removal(cluster.name))
                case OwnershipState.FOREIGN:
                    listed = docker.run(*self.kubectl_inside(cluster.name), "get", "--raw=/api/v1/nodes")
                    refusals.foreign(cluster, listed, _labels(cluster.settings), self.removal(cluster.name))
                case OwnershipState.INCOMPLETE:
                    self._remove(cluster)
                    self._make(cluster)
                case OwnershipState.ABSENT:
                    self._make(cluster)

    def ready(self, cluster: LocalCluster) -> None:
        """Wait until every node of a new cluster is ready."""
        self._wait(cluster, self.containers(cluster.name))

    def start(self, cluster: LocalCluster) -> None:
        """Start what stopped, reconnect what lost its network, and wait until every node is ready."""
        containers = self.containers(cluster.name)
        if ownership.of(cluster, containers) is not OwnershipState.OURS:
            cluster.exit_as_gone()
        self._wake(cluster, containers)

    def delete(self, cluster: LocalCluster) -> None:
        """Remove the cluster if it is there and ours, and with the last one the lab's network."""
        with docker.alone(cluster.name, cluster.workdir):
            state = ownership.of(cluster, self.containers(cluster.name))
            if state in (OwnershipState.OURS, OwnershipState.INCOMPLETE):
                generations.let_importers_move(cluster)
                self._remove(cluster)
            if state is OwnershipState.FOREIGN:
                what = f"cluster {cluster.name} is left alone: what has that name now was not made by this checkout"
                print(
                    Problem("", "cluster-kept", what, f"if nobody needs it: {self.removal(cluster.name)}"),
                    file=sys.stderr,
                )
            ownership.forget(cluster)
        network.remove(cluster.settings.network, cluster.workdir)

    def containers(self, name: str) -> list[docker.NodeContainer]:
        """Return all containers of a cluster, stopped ones too."""
        return docker.nodes(self.container_label, name)

    def missing_image(self, words: str) -> MissingImage | None:
        """Recognize in the program's error text that it cannot get an image."""
        found = re.search(self.image_not_pulled, words, re.DOTALL)
        if not found:
            return None
        variable = next((variable for part, variable in self.image_variables.items() if part in found[1]), "")
        return MissingImage(found[1], found[2].strip(), self.program, variable)

    def _make(self, cluster: LocalCluster) -> None:
        _refuse_without_memory(cluster.name)
        lab = cluster.settings.network
        with network.in_use(lab, cluster.workdir):
            ownership.begin(cluster, self.name)
            done = self.make(cluster, json.dumps(self.labelled(cluster.settings), indent=2, sort_keys=True))
        if done.returncode:
            self._withdraw(cluster, done)
            refusals.explain(cluster, done, self.missing_image(done.stderr), self.container_label)
        containers = self.in_start_order(cluster.name, self.containers(cluster.name))
        ownership.complete(cluster, attachment.addresses(lab.name, containers))

    def _remove(self, cluster: LocalCluster) -> None:
        done = self.remove(cluster)
        if done.returncode:
            docker.fail(done)

    def _wake(self, cluster: LocalCluster, containers: list[docker.NodeContainer]) -> None:
        if not cluster.kubeconfig.exists():
            read = self.read_kubeconfig(cluster)
            if read.returncode:
                docker.fail(read)
            workdir.write_secret(cluster.kubeconfig, read.stdout)
        attachment.mend(cluster, self.in_start_order(cluster.name, containers), ownership.addresses(cluster))
        self._wait(cluster, containers)

    def _wait(self, cluster: LocalCluster, containers: list[docker.NodeContainer]) -> None:
        readiness.wait(cluster, self.kubernetes_nodes(cluster.name, containers), self.logs(cluster.name))

    def _withdraw(self, cluster: LocalCluster, failed: ProcessResult) -> None:
        """Claim nothing where nothing is left of ours: another checkout may take the name before we try again.

        Such programs remove what they began, and begin nothing where the name is in use.
        """
        if self.name_in_use in failed.stderr or not self.containers(cluster.name):
            ownership.forget(cluster)
        network.remove(cluster.settings.network, cluster.workdir)


def _labels(settings: ProviderSettings) -> Mapping[str, str]:
    return {CONFIG_LABEL: settings.label}


def _refuse_without_memory(name: str) -> None:
    shortage = machine_limits.memory(machine_limits.read())
    if shortage and shortage.fatal:
        sys.exit(str(Problem("", "machine-limits", f"cluster {name} is not created: {shortage.what}", shortage.fix)))
