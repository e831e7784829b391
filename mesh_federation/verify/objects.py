"""Kubernetes objects: the fields that checks read."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from mesh_federation.plan import gateway_addresses
from mesh_federation.stack.config import NamespacedName

PROXY = "istio-proxy"
"""The container that Istio's injection adds, and the only one of a gateway."""


class KubernetesPart(BaseModel):
    """Part of a Kubernetes object."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, extra="ignore")


class ObjectMetadata(KubernetesPart):
    """Metadata of an object."""

    name: str
    namespace: str = ""
    labels: Mapping[str, str] = {}
    uid: str = ""
    deletion_timestamp: datetime | None = None

    @property
    def reference(self) -> NamespacedName:
        """Namespace and name."""
        return NamespacedName(self.namespace, self.name)


class PodContainer(KubernetesPart):
    """A container of a pod."""

    name: str


class PodSpec(KubernetesPart):
    """Specification of a pod."""

    service_account_name: str = "default"
    containers: tuple[PodContainer, ...]
    init_containers: tuple[PodContainer, ...] = ()


class PodCondition(KubernetesPart):
    """A condition of a pod."""

    type: str
    status: str


class PodStatus(KubernetesPart):
    """Status of a pod."""

    phase: str = ""
    pod_ip: str = Field(default="", alias="podIP")
    conditions: tuple[PodCondition, ...] = ()


class Pod(KubernetesPart):
    """A pod."""

    metadata: ObjectMetadata
    spec: PodSpec
    status: PodStatus = PodStatus()

    @property
    def is_running(self) -> bool:
        """Whether it runs and is not being deleted."""
        return self.status.phase == "Running" and self.metadata.deletion_timestamp is None

    @property
    def is_ready(self) -> bool:
        """Whether it is ready."""
        return any((each.type, each.status) == ("Ready", "True") for each in self.status.conditions)

    @property
    def has_proxy(self) -> bool:
        """Whether it has a proxy, so that it is in the mesh."""
        return PROXY in {each.name for each in (*self.spec.containers, *self.spec.init_containers)}

    @property
    def own_containers(self) -> list[str]:
        """Names of its containers except Istio's."""
        return [each.name for each in self.spec.containers if each.name != PROXY]

    @property
    def account(self) -> NamespacedName:
        """Its ServiceAccount."""
        return NamespacedName(self.metadata.namespace, self.spec.service_account_name)

    @property
    def title(self) -> str:
        """Namespace and name as text."""
        return str(self.metadata.reference)


class FilterPatch(KubernetesPart):
    """A patch of an EnvoyFilter."""

    apply_to: str = ""
    patch: Mapping[str, object] = {}


class EnvoyFilterSpec(KubernetesPart):
    """Specification of an EnvoyFilter."""

    config_patches: tuple[FilterPatch, ...] = ()


class EnvoyFilter(KubernetesPart):
    """An EnvoyFilter."""

    metadata: ObjectMetadata
    spec: EnvoyFilterSpec = EnvoyFilterSpec()

    @property
    def binds(self) -> bool:
        """Whether it changes what proxies accept, or replaces whole parts of them."""
        parts = ("FILTER_CHAIN", "CLUSTER", "LISTENER")
        return any(
            each.apply_to in parts and (each.patch.get("operation") != "MERGE" or "transport_socket" in str(each.patch))
            for each in self.spec.config_patches
        )


class ServicePort(KubernetesPart):
    """A port of a Service."""

    port: int
    node_port: int | None = None
    name: str = ""
    protocol: str = "TCP"


class ServiceSpec(KubernetesPart):
    """Specification of a Service."""

    cluster_ip: str = Field(default="", alias="clusterIP")
    ports: tuple[ServicePort, ...] = ()


class IngressAddress(KubernetesPart):
    """An address from a load balancer."""

    ip: str = ""
    hostname: str = ""


class LoadBalancerStatus(KubernetesPart):
    """All addresses from a load balancer."""

    ingress: tuple[IngressAddress, ...] = ()


class ServiceStatus(KubernetesPart):
    """Status of a Service."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


class Service(KubernetesPart):
    """A Service."""

    metadata: ObjectMetadata
    spec: ServiceSpec
    status: ServiceStatus = ServiceStatus()

    @property
    def addresses(self) -> list[str]:
        """Addresses from its load balancer."""
        return gateway_addresses.assigned(each.model_dump() for each in self.status.load_balancer.ingress)

    @property
    def node_ports(self) -> list[int]:
        """Its node ports, sorted."""
        return sorted(each.node_port for each in self.spec.ports if each.node_port)


class Namespace(KubernetesPart):
    """A namespace."""

    metadata: ObjectMetadata

    @property
    def is_injected(self) -> bool:
        """Whether Istio injects a proxy into its new pods."""
        labels = self.metadata.labels
        return labels.get("istio-injection") == "enabled" or "istio.io/rev" in labels


class KubernetesSecret(KubernetesPart):
    """A Secret: base64 by key; excluded from repr."""

    data: Mapping[str, str] = Field(default={}, repr=False)


class DeploymentStatus(KubernetesPart):
    """Status of a Deployment."""

    available_replicas: int = 0


class Deployment(KubernetesPart):
    """A Deployment."""

    status: DeploymentStatus = DeploymentStatus()


class ApiResource(KubernetesPart):
    """One kind that an API server serves."""

    kind: str


class ApiResources(KubernetesPart):
    """The kinds that an API server serves in one API version."""

    resources: tuple[ApiResource, ...] = ()


class EntryPort(KubernetesPart):
    """A port of a ServiceEntry."""

    number: int


class ServiceEntrySpec(KubernetesPart):
    """Hosts and ports of a ServiceEntry."""

    hosts: tuple[str, ...] = ()
    ports: tuple[EntryPort, ...] = ()


class ServiceEntry(KubernetesPart):
    """A ServiceEntry."""

    spec: ServiceEntrySpec = ServiceEntrySpec()


class EndpointPort(KubernetesPart):
    """A port of an EndpointSlice."""

    port: int | None = None
    name: str = ""


class EndpointSlice(KubernetesPart):
    """An EndpointSlice."""

    ports: tuple[EndpointPort, ...] = ()


class GatewayPort(KubernetesPart):
    """A port of a Gateway."""

    number: int = 0


class GatewayServer(KubernetesPart):
    """A server of a Gateway: a port and its hosts."""

    port: GatewayPort = GatewayPort()
    hosts: tuple[str, ...] = ()


class GatewaySpec(KubernetesPart):
    """Specification of a Gateway; without a selector it applies to all pods."""

    selector: Mapping[str, str] = {}
    servers: tuple[GatewayServer, ...] = ()


class IstioGateway(KubernetesPart):
    """A Gateway of Istio's own API."""

    metadata: ObjectMetadata
    spec: GatewaySpec = GatewaySpec()

    @property
    def hosts(self) -> str:
        """Its hosts and ports as text."""
        return ", ".join(f"{host} on {each.port.number}" for each in self.spec.servers for host in each.hosts)


class GatewayAddress(KubernetesPart):
    """An address of a Gateway of the Gateway API."""

    value: str = ""


class StandardListener(KubernetesPart):
    """A listener of a Gateway of the Gateway API."""

    hostname: str = "*"
    port: int = 0


class StandardGatewaySpec(KubernetesPart):
    """Specification of a Gateway of the Gateway API."""

    addresses: tuple[GatewayAddress, ...] = ()
    listeners: tuple[StandardListener, ...] = ()


class StandardGateway(KubernetesPart):
    """A Gateway of the Gateway API."""

    metadata: ObjectMetadata
    spec: StandardGatewaySpec = StandardGatewaySpec()

    @property
    def hosts(self) -> str:
        """Its hosts and ports as text."""
        return ", ".join(f"{each.hostname} on {each.port}" for each in self.spec.listeners)


class StandardGateways(KubernetesPart):
    """A list of Gateways of the Gateway API."""

    items: tuple[StandardGateway, ...] = ()


class MutualTls(KubernetesPart):
    """A mode of mutual TLS."""

    mode: str = "UNSET"


class PeerAuthenticationSpec(KubernetesPart):
    """Specification of a PeerAuthentication."""

    selector: Mapping[str, object] | None = None
    mtls: MutualTls | None = None
    port_level_mtls: Mapping[str, MutualTls] = {}


class PeerAuthentication(KubernetesPart):
    """A PeerAuthentication."""

    metadata: ObjectMetadata
    spec: PeerAuthenticationSpec = PeerAuthenticationSpec()

    @property
    def permissive(self) -> list[str]:
        """Modes that allow plaintext, each with its port; UNSET inherits the mesh's mode."""
        modes = {
            "": self.spec.mtls or MutualTls(),
            **{f" on port {k}": v for k, v in self.spec.port_level_mtls.items()},
        }
        return [f"{each.mode}{where}" for where, each in modes.items() if each.mode not in ("UNSET", "STRICT")]


class PolicySource(KubernetesPart):
    """Callers that a rule of an AuthorizationPolicy is about; further conditions are not read."""

    principals: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()


class PolicyFrom(KubernetesPart):
    """One source of a rule."""

    source: PolicySource = PolicySource()


class PolicyRule(KubernetesPart):
    """A rule of an AuthorizationPolicy."""

    sources: tuple[PolicyFrom, ...] = Field(default=(), alias="from")


class PolicySelector(KubernetesPart):
    """Pods that an AuthorizationPolicy is about."""

    match_labels: Mapping[str, str] = {}


class AuthorizationPolicySpec(KubernetesPart):
    """Specification of an AuthorizationPolicy."""

    action: str = "ALLOW"
    selector: PolicySelector = PolicySelector()
    rules: tuple[PolicyRule, ...] = ()


class AuthorizationPolicy(KubernetesPart):
    """An AuthorizationPolicy."""

    metadata: ObjectMetadata
    spec: AuthorizationPolicySpec = AuthorizationPolicySpec()

    @property
    def selected(self) -> Mapping[str, str]:
        """Labels of the pods that it is about."""
        return self.spec.selector.match_labels

    @property
    def sources(self) -> list[PolicySource | None]:
        """Callers of all its rules; None stands for every caller."""
        found: list[PolicySource | None] = []
        for rule in self.spec.rules:
            found += [each.source for each in rule.sources] or [None]
        return found
