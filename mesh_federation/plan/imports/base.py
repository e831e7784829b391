"""What imports of every mode have in common: their sources, and the DestinationRule of their host.

Sources: walk-throughs 000 to 002 (objects), pitfalls 13, 14, 15 and 19.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

from mesh_federation.plan.istio_api import NETWORKING, manifest, server_name
from mesh_federation.plan.objects import Body, Fill, PlannedObject, object_name
from mesh_federation.plan.routing_api import RoutingApi
from mesh_federation.stack.config import (
    ConnectionPool,
    Export,
    Failover,
    Federation,
    Import,
    NamespacedName,
    Port,
    is_address,
)

TLS_MODE = {"security.istio.io/tlsMode": "istio"}
"""Without it a proxy sends plaintext to the gateway's TLS port, and is reset (pitfall 13)."""
SOME_ADDRESS = "192.0.2.1"
"""An address for examples, which nobody has (RFC 5737)."""


@dataclass(frozen=True)
class Source:
    """One exporting cluster of an imported service.

    Attributes:
        cluster: its name.
        network: its Istio network.
        port: on which callers reach it: of its gateway, or of an egress gateway of their own cluster.
        endpoint_count: number of endpoints: one per known address of its gateway, or one if none is known.
        via_egress: callers reach it through an egress gateway of their own cluster.
        locality: of its endpoints as the importer sees them.
        weight: share in percent; None where local pods and all gateways are called alike.
        principal: SPIFFE identity of the service's workloads.
    """

    cluster: str
    network: str
    port: int
    endpoint_count: int
    via_egress: bool
    locality: str
    weight: int | None
    principal: str


@dataclass(frozen=True)
class ImportPlan(ABC):
    """One service that a cluster makes reachable, from one or several clusters. A subclass is a mode.

    Attributes:
        mode: its name in the stack file.
        role: prefix of its objects' names; a service may be imported under both of its names.
        joins_service: a Service of the importing cluster has the host, so others lose it after the entries are created.
        has_service: a Service has the host, and so the objects of the import are in its namespace.
        joins_global_host: a global host of the importing cluster has the host.
        releases_host: objects that had the host before lose it to the owner.
        cluster: the importing one.
        locality: its own.
        service: the service.
        api: by which endpoints and gateways are described.
        host: name under which it is called.
        has_own_host: the stack file gives it that name.
        exported_host: name by which the exporters' gateways pass calls on.
        namespace: of its objects: of the pods here that answer too, or Istio's.
        ports: of the export, or those of them that the imports list.
        labels: of its endpoints, by which they are selected.
        sources: exporting clusters, sorted by name.
        own: SPIFFE identities of the pods of the importing cluster that answer too.
        callers: namespaces of the importing cluster whose workloads the exports admit; `*` is all.
        connection_pool: of the importing proxies.
        failover: between localities.
    """

    mode: ClassVar[Literal["remote", "local", "global"]]
    role: ClassVar[str] = "import"
    joins_service: ClassVar[bool] = False
    has_service: ClassVar[bool] = False
    joins_global_host: ClassVar[bool] = False
    releases_host: ClassVar[bool] = True

    cluster: str
    locality: str
    service: NamespacedName
    api: RoutingApi
    host: str
    has_own_host: bool
    exported_host: str
    namespace: str
    ports: tuple[Port, ...]
    labels: dict[str, str]
    sources: tuple[Source, ...]
    own: tuple[str, ...]
    callers: tuple[str, ...]
    connection_pool: ConnectionPool | None
    failover: Failover | None

    @classmethod
    @abstractmethod
    def has_local_endpoints(cls, federation: Federation, link: Import) -> bool:
        """Say whether pods of the importing cluster answer calls of an import of this mode too."""

    @classmethod
    def endpoint_labels(cls, federation: Federation, link: Import, export: Export) -> dict[str, str]:
        """Return the labels of an import's endpoints: those of the exported pods."""
        return export.workload_labels

    @classmethod
    def namespaces_of_rules(cls, namespace: str, callers: Sequence[str]) -> tuple[str, ...]:
        """Return the namespaces of callers in which an import has rules; none where its own rule is for all who see it.

        Args:
            namespace: of the service.
            callers: namespaces of callers that the exports name; `*` is all.
        """
        return ()

    @property
    @abstractmethod
    def objects(self) -> tuple[PlannedObject, ...]:
        """Everything that this import creates in the importing cluster."""

    @property
    def owner(self) -> str:
        """The one object that has the host: two of them are undefined in Istio (pitfall 14)."""
        return f"ServiceEntry {self.namespace}/{self.name}"

    @property
    def visible_to(self) -> tuple[str, ...]:
        """Namespaces of the importing cluster that see the host; `*` is all."""
        return self.callers

    @property
    def name(self) -> str:
        """Name of the objects of this import."""
        own = (self.host,) if self.has_own_host else ()
        return object_name(self.role, self.service, *own)

    @property
    def pinned(self) -> list[str]:
        """Every identity that callers accept, as certificates have it (pitfall 19)."""
        return sorted({f"spiffe://{identity}" for identity in (*self.own, *(s.principal for s in self.sources))})

    @property
    def called_sources(self) -> list[Source]:
        """Sources that get endpoints: Istio would take one of weight 0 for one of weight 1.

        Beside pods here the weights are those of localities, in the DestinationRule.
        """
        return [source for source in self.sources if self.own or source.weight]

    @property
    def destination_rule(self) -> PlannedObject | None:
        """The rule for identities, connection pool, shares and failover; None where nothing needs one."""
        policy = self._traffic_policy(self._policy())
        return self._rule(self.namespace, self.visible_to, policy) if policy else None

    def _rule(self, namespace: str, visible_to: Sequence[str], policy: Body) -> PlannedObject:
        spec = {"host": self.host, "exportTo": list(visible_to), "trafficPolicy": policy}
        return PlannedObject(manifest(NETWORKING, "DestinationRule", self.name, namespace, spec))

    def server_name(self, port: Port) -> str:
        """Return the name by which callers ask the exporters' gateways for a port."""
        return server_name(self.exported_host, port.exported_number)

    def _traffic_policy(self, policy: Body) -> Body:
        """Return a policy for each port where callers have a name of their own for the service.

        A port's settings replace those of the whole host.
        """
        if all(self.server_name(each) == server_name(self.host, each.number) for each in self.ports):
            return policy
        ports = [{"port": {"number": each.number}, **policy, "tls": self._renamed(each)} for each in self.ports]
        return {**policy, "portLevelSettings": ports}

    def _renamed(self, port: Port) -> Body:
        """Ask for the service by the name and the number that its gateway knows, and pin its identities."""
        return {"mode": "ISTIO_MUTUAL", "sni": self.server_name(port), "subjectAltNames": self.pinned}

    def _policy(self) -> Body:
        """Return what is declared of calls. Failover does nothing without outlier detection (istio#48084)."""
        policy: Body = {}
        if pool := self.connection_pool:
            policy["connectionPool"] = _pool(pool)
        if failover := self.failover:
            policy["outlierDetection"] = {
                "consecutive5xxErrors": failover.consecutive_errors,
                "interval": f"{failover.interval_seconds}s",
                "baseEjectionTime": f"{failover.base_ejection_seconds}s",
                "maxEjectionPercent": 100,
            }
        if setting := self._locality_setting():
            policy["loadBalancer"] = {"localityLbSetting": setting}
        return policy

    def _locality_setting(self) -> Body:
        """Return how localities share calls or replace each other; a rule of the model keeps the two apart."""
        if failover := self.failover:
            own = self.locality.split("/")[0]
            return {"enabled": True, **({"failover": [{"from": own, "to": failover.to}]} if failover.to else {})}
        weights = {source.locality: source.weight for source in self.sources if source.weight is not None}
        if self.own and weights:
            return {"enabled": True, "distribute": [_distribution(self.locality, weights)]}
        return {}

    def endpoint(self, source: Source, address: str) -> Body:
        """Describe a source's gateway as an endpoint of the service: every port name leads to the gateway's port.

        Without an address istiod looks for the gateway of the endpoint's network, and knows its port too.
        """
        reached: Body = {"address": address, "ports": {port.name: source.port for port in self.ports}}
        return {
            **({} if self.api.finds_gateways_by_network else reached),
            "network": source.network,
            "locality": source.locality,
            "labels": self._labels(source),
        }

    def _labels(self, source: Source) -> dict[str, str]:
        return {**self.labels, **TLS_MODE}


class EntriesImport(ImportPlan):
    """An import whose remote instances join the endpoints of another object's host: one WorkloadEntry for each."""

    def _traffic_policy(self, policy: Body) -> Body:
        """Pin identities where a Service has the host: a ServiceEntry has a field for them."""
        pinned = {"mode": "ISTIO_MUTUAL", "subjectAltNames": self.pinned}
        return {**({"tls": pinned} if self.has_service else {}), **super()._traffic_policy(policy)}

    @property
    def objects(self) -> tuple[PlannedObject, ...]:
        """The entries, created once callers accept their identities: until then every call of them would fail."""
        rules = self.rules
        return *self._entries(tuple(each.name for each in rules)), *rules

    @property
    def rules(self) -> tuple[PlannedObject, ...]:
        """The DestinationRules of the host."""
        return (self.destination_rule,) if self.destination_rule else ()

    def _entries(self, after: tuple[str, ...]) -> Iterator[PlannedObject]:
        """Plan one entry per address of each source's gateway."""
        for source in self.called_sources:
            for index in range(source.endpoint_count):
                number = (str(index + 1),) if index else ()
                name = object_name(self.role, self.service, source.cluster, *number)
                weight = {} if self.own else {"weight": source.weight}
                spec = {**self.endpoint(source, ""), **weight}
                compute = partial(self._address, source, index)
                address = Fill(("spec", "address"), (source.cluster,), compute, example=SOME_ADDRESS)
                fills = () if self.api.finds_gateways_by_network else (address,)
                yield PlannedObject(manifest(NETWORKING, "WorkloadEntry", name, self.namespace, spec), fills, after)

    def _address(self, source: Source, index: int, addresses: Sequence[str]) -> str:
        return self.entry_address(source, addresses[index])

    def entry_address(self, source: Source, address: str) -> str:
        """Return an address that a WorkloadEntry can have.

        Raises:
            ValueError: it is a host name, which istiod would ignore without a word (pitfall 15).
        """
        if is_address(address):
            return address
        raise ValueError(
            f"{self.cluster} imports {self.service} as {self.mode}, but the gateway of {source.cluster} got the host"
            f" name {address} from its load balancer, and endpoints beside pods are IP addresses.\n"
            f"-> give that gateway an IP address (clusters.{source.cluster}.gateway.addresses), or write `api: gateway`"
        )


def _distribution(own: str, weights: Mapping[str, int]) -> Body:
    """Send each source its share and leave the rest to the own locality; Istio takes no share of 0."""
    here = own if own.count("/") == 2 else f"{own}/*"
    to = {here: 100 - sum(weights.values()), **weights}
    return {"from": here, "to": {locality: share for locality, share in to.items() if share}}


def _pool(pool: ConnectionPool) -> Body:
    tcp: Body = {}
    if pool.max_connections is not None:
        tcp["maxConnections"] = pool.max_connections
    if pool.connect_timeout_seconds is not None:
        tcp["connectTimeout"] = f"{pool.connect_timeout_seconds}s"
    http: Body = {}
    if pool.max_requests_per_connection is not None:
        http["maxRequestsPerConnection"] = pool.max_requests_per_connection
    return {key: value for key, value in {"tcp": tcp, "http": http}.items() if value}
