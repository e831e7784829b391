"""A provider of clusters: what it can do, which the stack's schema, rules, plan, doctor and toolchain follow.

Jobs import this module too, so it needs nothing but the standard library. docs/architecture.md says how to add one.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from mesh_federation.stack.config import Cluster, Federation

Document = dict[str, object]


class LoadBalancer(StrEnum):
    """What gives Services of type LoadBalancer their address."""

    METALLB = "metallb"
    SERVICELB = "servicelb"
    SIMULATED = "simulated"
    NONE = "none"


@dataclass(frozen=True)
class LabNetwork:
    """The lab's Docker network, which all clusters of containers share.

    Attributes:
        name: `lab.network` of the stack file.
        subnet: `lab.subnet` of the stack file.
    """

    name: str
    subnet: str

    @property
    def node_range(self) -> str:
        """The lower half of the subnet: Docker gives nodes addresses of it, load balancers use the upper half."""
        return str(next(IPv4Network(self.subnet).subnets()))


@dataclass(frozen=True)
class PortMapping:
    """A port of a cluster's first node that this machine publishes.

    Attributes:
        container: port on the node.
        host: port on this machine.
        address: of this machine.
        protocol: TCP, UDP or SCTP.
    """

    container: int
    host: int
    address: str
    protocol: str


@dataclass(frozen=True)
class ClusterSpec:
    """What the stack file says of one cluster, as far as its provider acts on it.

    Attributes:
        pod_subnet: CIDR of its pods.
        service_subnet: CIDR of its Services.
        nodes: how many.
        kubernetes_version: release of its control plane; empty if the node image decides.
        image: of its nodes; empty for the provider's own.
        load_balancer: what gives its Services addresses; empty if the provider has only one.
        ports: that this machine publishes.
        ready_within_seconds: time until all its nodes must be ready; 0 if they always are.
        network: Docker network of its nodes.
        kubeconfig: path of the kubeconfig of a cluster that exists already.
        context: in that kubeconfig; empty for its current one.
    """

    pod_subnet: str = ""
    service_subnet: str = ""
    nodes: int = 0
    kubernetes_version: str = ""
    image: str = ""
    load_balancer: str = ""
    ports: tuple[PortMapping, ...] = ()
    ready_within_seconds: int = 0
    network: LabNetwork | None = None
    kubeconfig: str = ""
    context: str = ""


class Provider(ABC):
    """Makes clusters of one sort, or uses clusters that others made.

    Attributes:
        name: value of `provisioner` in the stack file, and name of its job.
        load_balancers: that work on its clusters; the first is the default.
        memory: GiB of free memory with which two clusters come up.
        keys: keys under `clusters` that only some providers act on, and this one does.
        programs: programs that it needs and the toolchain does not install, with what to do where one is missing.
        runs_pods: pods really run; elsewhere they exist in the API server alone.
        ours: this program makes its clusters, and deletes them.
        in_docker: nodes are containers in the lab's Docker network.
        boots: nodes get ready some time after a cluster was made; job action `ready` waits for them.
        longest_name: characters of a real name; None if host names and labels are the only limits.
        node_image: repository of its node images, which no other provider can use; None if it has none.
    """

    name: ClassVar[str]
    load_balancers: ClassVar[tuple[LoadBalancer, ...]]
    memory: ClassVar[float]
    keys: ClassVar[frozenset[str]] = frozenset()
    programs: ClassVar[Mapping[str, str]] = {}
    runs_pods: ClassVar[bool] = True
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

    def input(self, spec: ClusterSpec, label: str) -> Document:
        """Return the standard input of the provider's job.

        Args:
            spec: what the stack file says.
            label: hash of the identity.
        """
        return self.identity(spec)

    @abstractmethod
    def node_names(self, name: str, count: int) -> tuple[str, ...]:
        """Return the names of a cluster's nodes; empty if they are not ours to label.

        Args:
            name: the cluster's real name.
            count: of its nodes.
        """

    @abstractmethod
    def api_server(self, cluster: "Cluster", name: str) -> str:
        """Return the address at which pods of other clusters reach the API server; empty for that of the kubeconfig.

        Args:
            cluster: as declared.
            name: its real name.
        """
