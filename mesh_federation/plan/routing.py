"""What an export and an import mean, as bodies of Istio objects.

Sources: walk-throughs 000 to 002 (objects), pitfalls 10, 12, 13, 15, 19, 28 and 38; docs/decisions.md for the policy.
An import as remote is a ServiceEntry. An import as local adds WorkloadEntries to the Service that is there already; its
DestinationRule stands beside that Service, where Istio looks for the rules of every caller in the cluster. An import as
global adds them to the ServiceEntry of the global host (mesh_federation/plan/global_hosts.py).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from operator import attrgetter
from typing import Literal

from mesh_federation.jobs.export_check import DeclaredExport
from mesh_federation.plan import gateway_addresses, gateway_api, local_endpoints
from mesh_federation.plan.istio_values import GATEWAY_LABELS, NAMESPACE, exits
from mesh_federation.plan.samples import SAMPLES, Sample
from mesh_federation.stack.config import (
    Cluster,
    ConnectionPool,
    Export,
    Failover,
    Federation,
    Import,
    NamespacedName,
    Port,
    is_address,
)

Body = dict[str, object]
Spec = Mapping[str, object]

NETWORKING = "networking.istio.io/v1"
SECURITY = "security.istio.io/v1"
LONGEST_NAME = 63
IMPORT_LABEL = "mesh-federation/import"
"""On entries of a global host whose service the importing cluster does not run: no pod has it (pitfall 28)."""
TLS_MODE = {"security.istio.io/tlsMode": "istio"}
"""Without it a proxy sends plaintext to the gateway's TLS port, and is reset (pitfall 13)."""


@dataclass(frozen=True)
class Admission:
    """Who may call some pods from other meshes, and on which of their ports.

    Attributes:
        ports: of the pods, sorted.
        principals: SPIFFE principals, sorted; `domain/*` admits a whole cluster.
    """

    ports: tuple[int, ...]
    principals: tuple[str, ...]


@dataclass(frozen=True)
class ExportPlan:
    """One service that a cluster offers.

    Attributes:
        export: as declared.
        trust_domain: of the exporting cluster.
        allowed: SPIFFE principals of other meshes that may call, sorted; `domain/*` admits a whole cluster.
        targets: the port of the pods for each port of the export, in the order of these.
        admissions: to its pods: by this export, and by those that select the same pods.
        on_sample: a sample of this stack answers, so that all that is declared of the pods is known to be true.
        port: of the exporting cluster's gateway.
        hosts: under which the gateway offers it, sorted.
        api: of the object that offers it.
        revision: of the exporting cluster's istiod; empty for the default one.
    """

    export: Export
    trust_domain: str
    allowed: tuple[str, ...]
    targets: tuple[int, ...]
    admissions: tuple[Admission, ...]
    on_sample: bool
    port: int
    hosts: tuple[str, ...]
    api: Literal["istio", "gateway"]
    revision: str

    @property
    def name(self) -> str:
        """Name of the objects of this export."""
        return object_name("export", self.export.service)

    @property
    def principal(self) -> str:
        """SPIFFE identity of the service's pods."""
        return principal(self.trust_domain, self.export.identity)

    @property
    def is_global(self) -> bool:
        """Say whether the global host is offered."""
        return self.export.service.global_host in self.hosts


@dataclass(frozen=True)
class Source:
    """Where an imported service comes from: one exporting cluster.

    Attributes:
        cluster: its name.
        network: its Istio network.
        port: on which callers reach it: of its gateway, or of an egress gateway of their own cluster.
        doors: how many entries lead there: one an address of its gateway, as far as they are known; else one.
        via_egress: callers reach it through an egress gateway of their own cluster.
        locality: of its endpoints as the importer sees them.
        weight: share in percent; None where local pods and all doors are called alike.
        principal: SPIFFE identity of the service's workloads.
    """

    cluster: str
    network: str
    port: int
    doors: int
    via_egress: bool
    locality: str
    weight: int | None
    principal: str


@dataclass(frozen=True)
class ImportPlan:
    """One service that a cluster makes reachable, from one or several clusters.

    Attributes:
        cluster: the importing one.
        locality: its own.
        service: the service.
        mode: remote, local or global.
        by_network: endpoints have no address: the Gateway API says where the gateway of their network is.
        host: name under which it is called.
        namespace: of its objects: beside the pods here that answer too, or with istiod.
        ports: of the export, or those of them that the imports list.
        labels: of its endpoints; what selects them.
        sources: exporting clusters, sorted by name.
        own: SPIFFE identities of the pods of the importing cluster that answer too.
        callers: namespaces of the importing cluster whose workloads the exports admit; `*` is all.
        connection_pool: of the importing proxies.
        failover: between localities.
    """

    cluster: str
    locality: str
    service: NamespacedName
    mode: str
    by_network: bool
    host: str
    namespace: str
    ports: tuple[Port, ...]
    labels: dict[str, str]
    sources: tuple[Source, ...]
    own: tuple[str, ...]
    callers: tuple[str, ...]
    connection_pool: ConnectionPool | None
    failover: Failover | None

    @property
    def name(self) -> str:
        """Name of the objects of this import."""
        return object_name(self.role, self.service)

    @property
    def role(self) -> str:
        """What its objects are for: a service may be imported under both of its names."""
        return "import-global" if self.is_global else "import"

    @property
    def visible_to(self) -> tuple[str, ...]:
        """Namespaces of the importing cluster that see the name; `*` is all, as of the Service that it joins."""
        return ("*",) if self.is_local else self.callers

    @property
    def is_local(self) -> bool:
        """Say whether remote instances join a Service of the importing cluster."""
        return self.mode == "local"

    @property
    def is_global(self) -> bool:
        """Say whether remote instances join a global host."""
        return self.mode == "global"

    @property
    def owner(self) -> str:
        """The one object that has the host: two of them are undefined in Istio (pitfall 14)."""
        return f"Service {self.service}" if self.is_local else f"ServiceEntry {self.namespace}/{self.name}"

    @property
    def pinned(self) -> list[str]:
        """Every identity that callers accept, as it stands in certificates (pitfall 19)."""
        return sorted({f"spiffe://{identity}" for identity in (*self.own, *(s.principal for s in self.sources))})


def exports(federation: Federation, cluster: str) -> list[ExportPlan]:
    """Plan the exports of one cluster, sorted by service."""
    own = federation.clusters[cluster]
    return [
        ExportPlan(
            export=export,
            trust_domain=own.trust_domain,
            allowed=allowed_principals(federation, export),
            targets=target_ports(federation, export),
            admissions=_admissions(federation, export),
            on_sample=sample_of(federation, export) is not None,
            port=own.gateway.port,
            hosts=offered_hosts(federation, export),
            api="gateway" if any(link.api == "gateway" for link in _imports_of(federation, export)) else "istio",
            revision=federation.istio.revision,
        )
        for export in sorted(federation.exports, key=lambda export: export.service)
        if export.cluster == cluster
    ]


def offered_hosts(federation: Federation, export: Export) -> tuple[str, ...]:
    """Return the names under which a service is imported, sorted; its own where nobody in this stack imports it.

    Nothing is offered beyond: the global host needs an import as global, and its own name one as remote or local.
    """
    return tuple(sorted({link.host for link in _imports_of(federation, export)})) or (export.service.host,)


def _imports_of(federation: Federation, export: Export) -> list[Import]:
    return [link for link in federation.imports if (link.source, link.service) == (export.cluster, export.service)]


def allowed_principals(federation: Federation, export: Export) -> tuple[str, ...]:
    """Return the foreign principals that an export names, in the form that policies match."""
    allowed: set[str] = set()
    for consumer in export.to:
        domain = federation.clusters[consumer.cluster].trust_domain
        accounts = consumer.service_accounts
        allowed |= {f"{domain}/*"} if accounts is None else {principal(domain, account) for account in accounts}
    return tuple(sorted(allowed))


def sample_of(federation: Federation, export: Export) -> Sample | None:
    """Return the sample that answers for an export; None where the pods are not this stack's."""
    places = ((each.cluster, each.reference, each.sample) for each in federation.workloads)
    return next((SAMPLES[kind] for *place, kind in places if place == [export.cluster, export.service]), None)


def target_ports(federation: Federation, export: Export) -> tuple[int, ...]:
    """Return the ports of an export's pods: as declared, else the sample's, else the Service's, as Kubernetes does."""
    sample = sample_of(federation, export)
    return tuple(port.target_port or (sample.target if sample else port.number) for port in export.ports)


def _admissions(federation: Federation, export: Export) -> tuple[Admission, ...]:
    """Say who may call an export's pods where: the policies of all exports of the same pods stand in front of each."""
    callers: dict[int, set[str]] = defaultdict(set)
    for each in federation.exports:
        if covers_the_same(each, export):
            for port in target_ports(federation, each):
                callers[port].update(allowed_principals(federation, each))
    ports: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for port in sorted(callers):
        ports[tuple(sorted(callers[port]))].append(port)
    return tuple(sorted((Admission(tuple(opened), named) for named, opened in ports.items()), key=attrgetter("ports")))


def covers_the_same(export: Export, other: Export) -> bool:
    """Say whether the policies of two exports are for the same pods."""
    beside = export.cluster == other.cluster and export.service.namespace == other.service.namespace
    return beside and export.workload_labels == other.workload_labels


def imports(federation: Federation, cluster: str) -> list[ImportPlan]:
    """Plan the imports of one cluster: entries for one service and mode become one plan with several sources."""
    by_host = sorted(
        (link for link in federation.imports if link.cluster == cluster),
        key=lambda link: (link.service, link.mode, link.source),
    )
    grouped = groupby(by_host, key=lambda link: (link.service, link.mode))
    return [_import_plan(federation, list(links)) for _, links in grouped]


def _import_plan(federation: Federation, links: Sequence[Import]) -> ImportPlan:
    first = links[0]
    importer = federation.clusters[first.cluster]
    beside_pods = local_endpoints.answer(federation, first)
    offers = [_export_of(federation, link) for link in links]
    declared = [link.weight for link in links]
    weights = declared if beside_pods else shares(declared)
    return ImportPlan(
        cluster=first.cluster,
        locality=importer.locality,
        service=first.service,
        mode=first.mode,
        by_network=first.api == "gateway",
        host=first.host,
        namespace=first.service.namespace if beside_pods else NAMESPACE,
        ports=first.ports or offers[0].ports,
        labels=_labels(federation, first, offers[0]),
        sources=tuple(
            _source(federation, link, offer, weight) for link, offer, weight in zip(links, offers, weights, strict=True)
        ),
        own=_own(federation, importer, links, offers) if beside_pods else (),
        callers=_callers(first.cluster, offers),
        connection_pool=next((link.connection_pool for link in links if link.connection_pool), None),
        failover=next((link.failover for link in links if link.failover), None),
    )


def _export_of(federation: Federation, link: Import) -> Export:
    return next(e for e in federation.exports if (e.cluster, e.service) == (link.source, link.service))


def _labels(federation: Federation, link: Import, offer: Export) -> dict[str, str]:
    """Labels of an import's endpoints: those of the pods that they join, or one that nothing else has."""
    if link.mode != "global":
        return offer.workload_labels
    if not local_endpoints.answer(federation, link):
        return {IMPORT_LABEL: object_name("import", link.service)}
    return {
        local_endpoints.CANONICAL_NAME: local_endpoints.canonical_name(federation, link.cluster, link.service)
        or link.service.name
    }


def _own(
    federation: Federation, importer: Cluster, links: Sequence[Import], offers: Sequence[Export]
) -> tuple[str, ...]:
    """Identities of the pods here: of the account that an import, the own export or the source names, in this order."""
    own = local_endpoints.own_export(federation, importer.name, links[0].service)
    accounts = {
        NamespacedName(link.service.namespace, link.service_account or (own or offer).identity.name)
        for link, offer in zip(links, offers, strict=True)
    }
    return tuple(principal(importer.trust_domain, account) for account in sorted(accounts))


def _source(federation: Federation, link: Import, offer: Export, weight: int | None) -> Source:
    exporter = federation.clusters[link.source]
    via_egress = link.via == "egress"
    found = via_egress or link.api == "gateway"
    return Source(
        cluster=link.source,
        network=exporter.network,
        port=exits(federation, link.cluster)[link.source] if via_egress else exporter.gateway.port,
        doors=1
        if found
        else max(1, len(gateway_addresses.called(gateway_addresses.declared(exporter, federation.istio)))),
        via_egress=via_egress,
        locality=link.locality or exporter.locality,
        weight=weight,
        principal=principal(exporter.trust_domain, offer.identity),
    )


def _callers(cluster: str, offers: Sequence[Export]) -> tuple[str, ...]:
    """Only the namespaces whose callers an export names see the host; so the own gateway never offers it on."""
    consumers = [consumer for offer in offers for consumer in offer.to if consumer.cluster == cluster]
    if any(consumer.service_accounts is None for consumer in consumers):
        return ("*",)
    return tuple(sorted({account.namespace for c in consumers for account in c.service_accounts or ()}))


def shares(given: Sequence[int | None]) -> list[int]:
    """Return shares in percent that sum to 100: the given ones, or equal ones by largest remainder.

    `100 div n` is the mistake to avoid: three thirds of it make 99.
    """
    if all(weight is not None for weight in given):
        return [weight for weight in given if weight is not None]
    share, left = divmod(100, len(given))
    return [share + (1 if place < left else 0) for place in range(len(given))]


def principal(domain: str, account: NamespacedName) -> str:
    """Return a workload identity as Istio's policies write it: SPIFFE without the scheme."""
    return f"{domain}/ns/{account.namespace}/sa/{account.name}"


def upstream(host: str, port: int) -> str:
    """Return the name by which Envoy knows a port of a host that it calls."""
    return f"outbound|{port}||{host}"


def object_name(role: str, service: NamespacedName, *others: str) -> str:
    """Name an object after the service it serves: an RFC 1123 label, as istiod takes no dots in a Gateway's name.

    Where hyphens could make two services read alike, or the name grows too long, a few digits of a hash keep it unique.

    Args:
        role: what the object is for.
        service: the service.
        others: what else tells it apart from objects of the same role and service.
    """
    told = (service.namespace, service.name, *others)
    plain = "-".join((role, *told))
    if len(plain) <= LONGEST_NAME and "-" not in "".join(told):
        return plain
    digits = sha256("/".join(told).encode()).hexdigest()[:6]
    return f"{plain[: LONGEST_NAME - len(digits) - 1].rstrip('-')}-{digits}"


def gateway(plan: ExportPlan) -> Body:
    """Body of the Gateway that offers one service: its exact hosts, for `*.local` would offer all (pitfall 10)."""
    if plan.api == "gateway":
        name = object_name("passthrough", plan.export.service)
        return gateway_api.offer(name, plan.hosts, plan.port, plan.revision)
    return passing_on(plan.name, GATEWAY_LABELS, tls_port(plan.port), plan.hosts, "AUTO_PASSTHROUGH")


def tls_port(number: int, name: str = "tls") -> Body:
    """Return a port as Istio's Gateways write it."""
    return {"number": number, "name": name, "protocol": "TLS"}


def passing_on(name: str, selector: Mapping[str, str], port: Spec, hosts: Sequence[str], mode: str) -> Body:
    """Body of a Gateway of Istio's own API that passes TLS on without ending it.

    Args:
        name: of the object.
        selector: labels of the pods that pass it on.
        port: number, name and protocol.
        hosts: what callers may ask for.
        mode: by server names as proxies write them (AUTO_PASSTHROUGH), or by routes (PASSTHROUGH).
    """
    server = {"port": port, "hosts": list(hosts), "tls": {"mode": mode}}
    return manifest(NETWORKING, "Gateway", name, NAMESPACE, {"selector": selector, "servers": [server]})


def declaration(plan: ExportPlan) -> DeclaredExport:
    """Return what an export declares about a Service and its pods, for the job that compares it with them."""
    numbers = (str(port.number) for port in plan.export.ports)
    return DeclaredExport(
        service=str(plan.export.service),
        labels=plan.export.workload_labels,
        account=plan.export.identity.name,
        ports=dict(zip(numbers, plan.targets, strict=True)),
        by_service=plan.export.service.host in plan.hosts,
    )


def authorization(plan: ExportPlan) -> Body:
    """Body of the policy that refuses foreign callers that the export does not name, and all on ports that it does not.

    A DENY with exceptions, not an ALLOW: callers of the exporter's own mesh keep what they had.
    """
    selector = {"selector": {"matchLabels": plan.export.workload_labels}}
    spec = {**selector, "action": "DENY", "rules": _refused(plan.trust_domain, plan.admissions)}
    return manifest(SECURITY, "AuthorizationPolicy", plan.name, plan.export.service.namespace, spec)


def foreign_callers(trust_domain: str, plans: Sequence[ExportPlan]) -> Body:
    """Body of the mesh-wide policy that refuses foreign callers whom no export names, and all on ports of no export.

    It selects no pods, so it holds whatever labels they have, and whatever way a caller found to them.

    Args:
        trust_domain: of the cluster.
        plans: all its exports.
    """
    ports = sorted({port for plan in plans for port in plan.targets})
    named = sorted({each for plan in plans for each in plan.allowed})
    admissions = [Admission(tuple(ports), tuple(named))]
    spec = {"action": "DENY", "rules": _refused(trust_domain, admissions if plans else [])}
    return manifest(SECURITY, "AuthorizationPolicy", "foreign-callers", NAMESPACE, spec)


def _refused(trust_domain: str, admissions: Sequence[Admission]) -> list[Body]:
    """Return the rules of a DENY that leave nothing but admissions to foreign callers.

    Ports are those of the pods: Istio's policies know no others.
    """
    ports = sorted({port for each in admissions for port in each.ports})
    several = len(admissions) > 1
    return [
        *(
            _rule(trust_domain, each.principals, {"ports": _texts(each.ports)} if several else {})
            for each in admissions
        ),
        _rule(trust_domain, (), {"notPorts": _texts(ports)} if ports else {}),
    ]


def _rule(trust_domain: str, principals: Sequence[str], operation: Spec) -> Body:
    source = {"principals": ["*"], "notPrincipals": [f"{trust_domain}/*", *principals]}
    return {"from": [{"source": source}], **({"to": [{"operation": operation}]} if operation else {})}


def _texts(ports: Iterable[int]) -> list[str]:
    return [str(port) for port in ports]


def strict_mtls() -> Body:
    """Body of the mesh-wide policy that refuses plaintext."""
    return manifest(SECURITY, "PeerAuthentication", "default", NAMESPACE, {"mtls": {"mode": "STRICT"}})


def opened(plan: ImportPlan) -> list[Body]:
    """Bodies of everything that an import makes, addresses left open."""
    rule = destination_rule(plan)
    if plan.is_local or plan.is_global:
        entries = [workload_entry(plan, source, door, "") for source in called(plan) for door in range(source.doors)]
    else:
        entries = [service_entry(plan, [[] for _ in plan.sources])]
    return [*entries, *([rule] if rule else [])]


def service_entry(plan: ImportPlan, addresses: Sequence[Sequence[str]]) -> Body:
    """Body of the ServiceEntry that makes a remote service known under its own name.

    Args:
        plan: the import.
        addresses: of each source's gateway, in the order of the sources.
    """
    spec = {
        "hosts": [plan.host],
        "exportTo": list(plan.visible_to),
        "location": "MESH_INTERNAL",
        "ports": [{"number": p.number, "name": p.name, "protocol": p.protocol.value} for p in plan.ports],
        "resolution": "STATIC" if plan.by_network else resolution(addresses),
        "subjectAltNames": plan.pinned,
        "endpoints": endpoints(plan, addresses),
    }
    return manifest(NETWORKING, "ServiceEntry", plan.name, plan.namespace, spec)


def endpoints(plan: ImportPlan, addresses: Sequence[Sequence[str]]) -> list[Body]:
    """Return one endpoint an address of each source's gateway, or one a source that is found by its network."""
    reached = zip(plan.sources, addresses, strict=True)
    return [
        {**_endpoint(plan, source, address), "weight": source.weight}
        for source, known in reached
        if source in called(plan)
        for address in ([""] if plan.by_network else known)
    ]


def called(plan: ImportPlan) -> list[Source]:
    """Return the sources that get endpoints: one of weight 0 would be of weight 1 to Istio.

    Beside pods here the weights are those of localities, and stand in the DestinationRule.
    """
    return [source for source in plan.sources if plan.own or source.weight]


def workload_entry(plan: ImportPlan, source: Source, door: int, address: object) -> Body:
    """Body of the entry that puts one gateway address of a source beside the pods of a host.

    Args:
        plan: an import as local or as global.
        source: one of its sources.
        door: which of the gateway's addresses, from 0.
        address: that address, or what stands for it until it is known.
    """
    further = (str(door + 1),) if door else ()
    name = object_name(plan.role, plan.service, source.cluster, *further)
    weight = {} if plan.own else {"weight": source.weight}
    return manifest(NETWORKING, "WorkloadEntry", name, plan.namespace, {**_endpoint(plan, source, address), **weight})


def entry_address(plan: ImportPlan, source: Source, address: str) -> str:
    """Return an address that a WorkloadEntry can have.

    Raises:
        ValueError: it is a host name, which istiod would leave out in silence (pitfall 15).
    """
    if is_address(address):
        return address
    raise ValueError(
        f"{plan.cluster} imports {plan.service} as {plan.mode}, but the gateway of {source.cluster} got the host name"
        f" {address} from its load balancer, and endpoints beside pods are IP addresses.\n"
        f"-> give that gateway an IP address (clusters.{source.cluster}.gateway.addresses), or write `api: gateway`"
    )


def _endpoint(plan: ImportPlan, source: Source, address: object) -> Body:
    """Describe a source's gateway as an endpoint of the service: every port name leads to the gateway's port.

    Without an address istiod looks for the gateway of the endpoint's network, and knows its port too.
    """
    reached: Body = {"address": address, "ports": {port.name: source.port for port in plan.ports}}
    return {
        **({} if plan.by_network else reached),
        "network": source.network,
        "locality": source.locality,
        "labels": {**plan.labels, **TLS_MODE},
    }


def resolution(addresses: Sequence[Sequence[str]]) -> str:
    """Say how endpoints are found: host names (load balancers of some clouds) by DNS, addresses as they are."""
    return "STATIC" if all(is_address(address) for known in addresses for address in known) else "DNS"


def destination_rule(plan: ImportPlan) -> Body | None:
    """Body of the rule for identities, connection pool, shares and failover, or None where nothing asks for one.

    Beside a local Service it is needed to pin identities: a WorkloadEntry has no field for them, and Istio would accept
    those of the own trust domain alone. Failover does nothing without outlier detection (istio#48084), so the one
    always brings the other.
    """
    policy: Body = {}
    if plan.is_local:
        policy["tls"] = {"mode": "ISTIO_MUTUAL", "subjectAltNames": plan.pinned}
    if pool := plan.connection_pool:
        policy["connectionPool"] = _pool(pool)
    if failover := plan.failover:
        policy["outlierDetection"] = {
            "consecutive5xxErrors": failover.consecutive_errors,
            "interval": f"{failover.interval_seconds}s",
            "baseEjectionTime": f"{failover.base_ejection_seconds}s",
            "maxEjectionPercent": 100,
        }
    if setting := _locality_setting(plan):
        policy["loadBalancer"] = {"localityLbSetting": setting}
    if not policy:
        return None
    spec = {"host": plan.host, "exportTo": list(plan.visible_to), "trafficPolicy": policy}
    return manifest(NETWORKING, "DestinationRule", plan.name, plan.namespace, spec)


def _locality_setting(plan: ImportPlan) -> Body:
    """Say how localities share calls or stand in for each other; a rule of the model keeps the two apart."""
    if failover := plan.failover:
        own = plan.locality.split("/")[0]
        return {"enabled": True, **({"failover": [{"from": own, "to": failover.to}]} if failover.to else {})}
    weights = {source.locality: source.weight for source in plan.sources if source.weight is not None}
    if plan.own and weights:
        return {"enabled": True, "distribute": [_distribution(plan.locality, weights)]}
    return {}


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


def manifest(api_version: str, kind: str, name: str, namespace: str, spec: Spec) -> Body:
    """Return an object of a namespace."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}
