"""A provider of clusters: what it can do, and the actions of its job.

The stack's schema, rules, plan, doctor and toolchain follow from it. Jobs import this module too, so it needs nothing
but the standard library. docs/architecture.md says how to add a provider.
"""

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mesh_federation.clusters.local_cluster import LocalCluster
from mesh_federation.clusters.settings import ClusterSpec
from mesh_federation.stack.problem import Problem

if TYPE_CHECKING:
    from mesh_federation.stack.config import Cluster, Federation

Document = dict[str, object]
Connect = Callable[[str, int, float], socket.socket]
"""Returns a socket that is connected to an address and a port, with a time limit in seconds; raises OSError."""


def connect_directly(address: str, port: int, seconds: float) -> socket.socket:
    """Connect through this machine's own network."""
    return socket.create_connection((address, port), timeout=seconds)


class LoadBalancer(StrEnum):
    """What gives Services of type LoadBalancer their address."""

    METALLB = "metallb"
    SERVICELB = "servicelb"
    SIMULATED = "simulated"
    NATIVE = "native"
    NONE = "none"


class Provider(ABC):
    """Makes clusters of one sort, or uses clusters that others made.

    Attributes:
        name: value of `provisioner` in the stack file, and name of its job.
        load_balancers: that work on its clusters; the first is the default.
        memory: GiB of free memory with which two clusters come up.
        keys: keys under `clusters` that only some providers act on, and this one does.
        runs_pods: pods really run; elsewhere they exist in the API server alone.
        upstream_envoy: proxies may be Envoy as its own project builds it, without Istio's extensions.
        ours: this program makes its clusters, and deletes them.
        in_docker: nodes are containers in the lab's Docker network.
        boots: nodes get ready some time after a cluster was made; `ready` waits for them.
        longest_name: characters of a real name; None if host names and labels are the only limits.
        node_image: repository of its node images, which no other provider can use; None if it has none.
    """

    name: ClassVar[str]
    load_balancers: ClassVar[tuple[LoadBalancer, ...]]
    memory: ClassVar[float]
    keys: ClassVar[frozenset[str]] = frozenset()
    runs_pods: ClassVar[bool] = True
    upstream_envoy: ClassVar[bool] = False
    ours: ClassVar[bool] = True
    in_docker: ClassVar[bool] = False
    boots: ClassVar[bool] = False
    longest_name: ClassVar[int | None] = None
    node_image: ClassVar[str | None] = None

    @abstractmethod
    def spec(self, federation: "Federation", cluster: "Cluster") -> ClusterSpec:
        """Return what the stack file says of a cluster, as far as this provider acts on it."""

    @abstractmethod
    def identity(self, spec: ClusterSpec) -> Document:
        """Return everything of a spec that cannot change in place: another identity is another cluster."""

    @abstractmethod
    def node_names(self, name: str, count: int) -> tuple[str, ...]:
        """Return the names of a cluster's nodes; empty if they are not ours to label.

        Args:
            name: the cluster's real name.
            count: of its nodes.
        """

    @abstractmethod
    def api_server(self, federation: "Federation", cluster: "Cluster", name: str) -> str:
        """Return the address at which pods of other clusters reach the API server; empty for that of the kubeconfig.

        Args:
            federation: the model.
            cluster: as declared.
            name: its real name.
        """

    def connector(self, home: Path, stack: str) -> Connect:
        """Return how this machine connects to the gateways of the clusters of a stack.

        Args:
            home: folder for everything that runs.
            stack: name of the Pulumi stack.
        """
        return connect_directly

    def obstacles(self) -> tuple[Problem, ...]:
        """Return what keeps its clusters from running on this machine: `up` refuses to begin, and doctor tells it."""
        return ()

    @abstractmethod
    def create(self, cluster: LocalCluster) -> None:
        """Make a cluster and write its kubeconfig, whatever an earlier attempt left behind.

        Raises:
            SystemExit: it cannot be made; the text says why, and what to do.
        """

    def update(self, cluster: LocalCluster, previous: str) -> None:
        """Follow a change of the settings of a cluster; called only if clusters are not `ours`.

        Args:
            cluster: which.
            previous: what the last `create` or `update` printed.
        """
        raise NotImplementedError

    def ready(self, cluster: LocalCluster) -> None:
        """Wait until the nodes of a new cluster are ready; called only if nodes have to boot (`boots`)."""
        raise NotImplementedError

    @abstractmethod
    def start(self, cluster: LocalCluster) -> None:
        """Start what of a cluster does not run.

        Raises:
            SystemExit: it does not start; with the status GONE if it is no longer there.
        """

    @abstractmethod
    def delete(self, cluster: LocalCluster) -> None:
        """Remove a cluster and its files; one that is already gone is no error."""
