"""Objects of Kubernetes, as far as checks look at them."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from mesh_federation.plan import gateway_addresses
from mesh_federation.stack.config import NamespacedName

PROXY = "istio-proxy"
"""The container that Istio's injection adds, and the only one of a gateway."""


class Seen(BaseModel):
    """Part of something that a cluster holds."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, extra="ignore")


class Metadata(Seen):
    """What names an object."""

    name: str
    namespace: str = ""
    labels: Mapping[str, str] = {}
    uid: str = ""
    deletion_timestamp: datetime | None = None

    @property
    def reference(self) -> NamespacedName:
        """Both names."""
        return NamespacedName(self.namespace, self.name)


class Container(Seen):
    """A container of a pod."""

    name: str


class PodSpec(Seen):
    """What a pod is to be."""

    service_account_name: str = "default"
    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...] = ()


class Condition(Seen):
    """Something that holds or does not."""

    type: str
    status: str


class PodStatus(Seen):
    """What a pod is."""

    phase: str = ""
    pod_ip: str = Field(default="", alias="podIP")
    conditions: tuple[Condition, ...] = ()


class Pod(Seen):
    """A pod."""

    metadata: Metadata
    spec: PodSpec
    status: PodStatus = PodStatus()

    @property
    def is_running(self) -> bool:
        """Say whether it runs and is there to stay."""
        return self.status.phase == "Running" and self.metadata.deletion_timestamp is None

    @property
    def is_ready(self) -> bool:
        """Say whether it takes calls."""
        return any((each.type, each.status) == ("Ready", "True") for each in self.status.conditions)

    @property
    def has_proxy(self) -> bool:
        """Say whether it is in the mesh."""
        return PROXY in {each.name for each in (*self.spec.containers, *self.spec.init_containers)}

    @property
    def own_containers(self) -> list[str]:
        """Names of the containers that are not Istio's."""
        return [each.name for each in self.spec.containers if each.name != PROXY]

    @property
    def account(self) -> NamespacedName:
        """Its ServiceAccount."""
        return NamespacedName(self.metadata.namespace, self.spec.service_account_name)

    @property
    def title(self) -> str:
        """Namespace and name."""
        return str(self.metadata.reference)


class ServicePort(Seen):
    """A port of a Service."""

    port: int
    node_port: int | None = None
    name: str = ""
    protocol: str = "TCP"


class ServiceSpec(Seen):
    """What a Service is to be."""

    cluster_ip: str = Field(default="", alias="clusterIP")
    ports: tuple[ServicePort, ...] = ()


class Ingress(Seen):
    """An address that a load balancer gave."""

    ip: str = ""
    hostname: str = ""


class LoadBalancerStatus(Seen):
    """What a load balancer gave."""

    ingress: tuple[Ingress, ...] = ()


class ServiceStatus(Seen):
    """What a Service got."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


class Service(Seen):
    """A Service."""

    metadata: Metadata
    spec: ServiceSpec
    status: ServiceStatus = ServiceStatus()

    @property
    def host(self) -> str:
        """Its name in its own cluster."""
        return self.metadata.reference.host

    @property
    def addresses(self) -> list[str]:
        """What its load balancer gave it."""
        return gateway_addresses.given(each.model_dump() for each in self.status.load_balancer.ingress)

    @property
    def node_ports(self) -> list[int]:
        """Ports on which every node of its cluster serves it."""
        return sorted(each.node_port for each in self.spec.ports if each.node_port)


class Namespace(Seen):
    """A namespace."""

    metadata: Metadata

    @property
    def is_injected(self) -> bool:
        """Say whether its new pods get a proxy."""
        labels = self.metadata.labels
        return labels.get("istio-injection") == "enabled" or "istio.io/rev" in labels


class Secret(Seen):
    """A Secret: base64 by key; never shown."""

    data: Mapping[str, str] = Field(default={}, repr=False)


class DeploymentStatus(Seen):
    """What a Deployment is."""

    available_replicas: int = 0


class Deployment(Seen):
    """A Deployment."""

    status: DeploymentStatus = DeploymentStatus()


class Kind(Seen):
    """A kind of objects."""

    kind: str


class Kinds(Seen):
    """What an API server serves of one version of an API."""

    resources: tuple[Kind, ...] = ()


class EntryPort(Seen):
    """A port of a ServiceEntry."""

    number: int


class ServiceEntrySpec(Seen):
    """What a ServiceEntry says, as far as its names go."""

    hosts: tuple[str, ...] = ()
    ports: tuple[EntryPort, ...] = ()


class ServiceEntry(Seen):
    """A ServiceEntry."""

    spec: ServiceEntrySpec = ServiceEntrySpec()


class EndpointPort(Seen):
    """A port behind a Service."""

    port: int | None = None
    name: str = ""


class Slices(Seen):
    """An EndpointSlice: pods behind a Service."""

    ports: tuple[EndpointPort, ...] = ()


class GatewayPort(Seen):
    """A port on which a Gateway takes calls."""

    number: int = 0


class Server(Seen):
    """What a Gateway takes."""

    port: GatewayPort = GatewayPort()
    hosts: tuple[str, ...] = ()


class GatewaySpec(Seen):
    """Which pods a Gateway tells what to take; without a selector, all of them."""

    selector: Mapping[str, str] = {}
    servers: tuple[Server, ...] = ()


class Gateway(Seen):
    """A Gateway of Istio's own API."""

    metadata: Metadata
    spec: GatewaySpec = GatewaySpec()

    @property
    def offers(self) -> str:
        """What it takes, for a person."""
        return ", ".join(f"{host} on {each.port.number}" for each in self.spec.servers for host in each.hosts)


class GatewayAddress(Seen):
    """Of whom a Gateway of the Gateway API is served."""

    value: str = ""


class Listener(Seen):
    """What a Gateway of the Gateway API takes."""

    hostname: str = "*"
    port: int = 0


class StandardGatewaySpec(Seen):
    """By whom a Gateway of the Gateway API is served, where it says so."""

    addresses: tuple[GatewayAddress, ...] = ()
    listeners: tuple[Listener, ...] = ()


class StandardGateway(Seen):
    """A Gateway of the Gateway API."""

    metadata: Metadata
    spec: StandardGatewaySpec = StandardGatewaySpec()

    @property
    def offers(self) -> str:
        """What it takes, for a person."""
        return ", ".join(f"{each.hostname} on {each.port}" for each in self.spec.listeners)


class StandardGateways(Seen):
    """A list of them."""

    items: tuple[StandardGateway, ...] = ()


class MutualTls(Seen):
    """How calls must come."""

    mode: str = "UNSET"


class PeerAuthenticationSpec(Seen):
    """How calls must come to some pods, or to some of their ports."""

    mtls: MutualTls | None = None
    port_level_mtls: Mapping[str, MutualTls] = {}


class PeerAuthentication(Seen):
    """A PeerAuthentication."""

    metadata: Metadata
    spec: PeerAuthenticationSpec = PeerAuthenticationSpec()

    @property
    def lets_in(self) -> list[str]:
        """Where it takes calls without mutual TLS, and how; what is not set is as the mesh has it."""
        modes = {
            "": self.spec.mtls or MutualTls(),
            **{f" on port {k}": v for k, v in self.spec.port_level_mtls.items()},
        }
        return [f"{each.mode}{where}" for where, each in modes.items() if each.mode not in ("UNSET", "STRICT")]
