"""Settings of the jobs that make, start and delete clusters: which cluster, and what the stack file says of it."""

from dataclasses import dataclass
from ipaddress import IPv4Network

CLUSTER_DOMAIN = "cluster.local"
"""Kubernetes' default for the domain of the DNS names of Services."""


@dataclass(frozen=True)
class ClusterSettings:
    """A cluster of a stack.

    Attributes:
        name: its real name, with the generation.
        logical: the name under which people declared it.
        stack: name of the Pulumi stack.
    """

    name: str
    logical: str
    stack: str


@dataclass(frozen=True)
class LabNetwork:
    """The lab's Docker network, which all clusters of containers share.

    Attributes:
        name: `lab.network` of the stack file.
        subnet: `lab.subnet`.
    """

    name: str
    subnet: str

    @property
    def node_range(self) -> str:
        """The lower half, from which Docker takes the addresses of nodes; load balancers use the upper half."""
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
    """What the stack file says of one cluster, as far as its provider acts on it; the rest is left out.

    Attributes:
        pod_subnet: CIDR of its pods.
        service_subnet: CIDR of its Services.
        cluster_domain: domain of their DNS names; left out for Kubernetes' default.
        nodes: how many.
        kubernetes_version: release of its control plane.
        image: of its nodes; left out for the provider's own.
        load_balancer: what gives its Services addresses.
        ports: that this machine publishes.
        ready_within_seconds: time until all its nodes must be ready.
        network: of its nodes and gateways; for containers, a Docker network.
        pool: CIDR of the addresses of its load balancer in that network.
        kubeconfig: path of the kubeconfig of a cluster that exists already.
        context: in that kubeconfig; left out for its current one.
    """

    pod_subnet: str = ""
    service_subnet: str = ""
    cluster_domain: str = ""
    nodes: int = 0
    kubernetes_version: str = ""
    image: str = ""
    load_balancer: str = ""
    ports: tuple[PortMapping, ...] = ()
    ready_within_seconds: int = 0
    network: LabNetwork | None = None
    pool: str = ""
    kubeconfig: str = ""
    context: str = ""


@dataclass(frozen=True)
class ProviderSettings(ClusterSettings):
    """A cluster and all that its provider needs to make, start and delete it.

    Attributes:
        label: hash of what the cluster is made from.
        spec: what the stack file says of it.
    """

    label: str
    spec: ClusterSpec

    @property
    def network(self) -> LabNetwork:
        """Docker network of its nodes; only clusters of containers have one."""
        assert self.spec.network
        return self.spec.network
