"""What an export and an import mean, as bodies of Istio objects.

Sources: walk-throughs 000 and 001 (objects), pitfalls 10, 12, 13, 15, 19 and 38; docs/decisions.md for the policy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby

from model.config import ConnectionPool, Export, Failover, Federation, Import, NamespacedName, Port, is_address
from model.mesh import GATEWAY_LABELS, NAMESPACE

Body = dict[str, object]
Spec = Mapping[str, object]

NETWORKING = "networking.istio.io/v1"
SECURITY = "security.istio.io/v1"
LONGEST_NAME = 63
TLS_MODE = {"security.istio.io/tlsMode": "istio"}
"""Without it a proxy sends plaintext to the gateway's TLS port, and is reset (pitfall 13)."""


@dataclass(frozen=True)
class ExportPlan:
    """One service that a cluster offers.

    Attributes:
        export: as declared.
        trust_domain: of the exporting cluster.
        allowed: SPIFFE principals of other meshes that may call, sorted; `domain/*` admits a whole cluster.
        port: of the exporting cluster's gateway.
    """

    export: Export
    trust_domain: str
    allowed: tuple[str, ...]
    port: int

    @property
    def name(self) -> str:
        """Name of the objects of this export."""
        return object_name("export", self.export.service)


@dataclass(frozen=True)
class Source:
    """Where an imported service comes from: one exporting cluster.

    Attributes:
        cluster: its name.
        network: its Istio network.
        port: of its gateway.
        locality: of its endpoints as the importer sees them.
        weight: share in percent.
        principal: SPIFFE identity of the service's workloads.
    """

    cluster: str
    network: str
    port: int
    locality: str
    weight: int
    principal: str


@dataclass(frozen=True)
class ImportPlan:
    """One service that a cluster makes reachable, from one or several clusters.

    Attributes:
        cluster: the importing one.
        region: of its own locality.
        service: the service.
        mode: remote, local or global.
        host: name under which it is called.
        ports: of the export.
        labels: that select the service's workloads.
        sources: exporting clusters, sorted by name.
        visible_to: namespaces of the importing cluster that see the name; `*` is all.
        connection_pool: of the importing proxies.
        failover: between localities.
    """

    cluster: str
    region: str
    service: NamespacedName
    mode: str
    host: str
    ports: tuple[Port, ...]
    labels: dict[str, str]
    sources: tuple[Source, ...]
    visible_to: tuple[str, ...]
    connection_pool: ConnectionPool | None
    failover: Failover | None

    @property
    def name(self) -> str:
        """Name of the objects of this import."""
        return object_name("import", self.service)


def exports(federation: Federation, cluster: str) -> list[ExportPlan]:
    """Plan the exports of one cluster, sorted by service."""
    own = federation.clusters[cluster]
    return [
        ExportPlan(export, own.trust_domain, allowed_principals(federation, export), own.gateway.port)
        for export in sorted(federation.exports, key=lambda export: export.service)
        if export.cluster == cluster
    ]


def allowed_principals(federation: Federation, export: Export) -> tuple[str, ...]:
    """Return the foreign principals that an export names, in the form that policies match."""
    allowed: set[str] = set()
    for consumer in export.to:
        domain = federation.clusters[consumer.cluster].trust_domain
        accounts = consumer.service_accounts
        allowed |= {f"{domain}/*"} if accounts is None else {principal(domain, account) for account in accounts}
    return tuple(sorted(allowed))


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
    offers = [_export_of(federation, link) for link in links]
    weights = shares([link.weight for link in links])
    return ImportPlan(
        cluster=first.cluster,
        region=federation.clusters[first.cluster].locality.split("/")[0],
        service=first.service,
        mode=first.mode,
        host=first.host,
        ports=offers[0].ports,
        labels=offers[0].workload_labels,
        sources=tuple(
            _source(federation, link, offer, weight) for link, offer, weight in zip(links, offers, weights, strict=True)
        ),
        visible_to=_visible_to(first.cluster, offers),
        connection_pool=next((link.connection_pool for link in links if link.connection_pool), None),
        failover=next((link.failover for link in links if link.failover), None),
    )


def _export_of(federation: Federation, link: Import) -> Export:
    return next(e for e in federation.exports if (e.cluster, e.service) == (link.source, link.service))


def _source(federation: Federation, link: Import, offer: Export, weight: int) -> Source:
    exporter = federation.clusters[link.source]
    return Source(
        cluster=link.source,
        network=exporter.network,
        port=exporter.gateway.port,
        locality=link.locality or exporter.locality,
        weight=weight,
        principal=principal(exporter.trust_domain, offer.identity),
    )


def _visible_to(cluster: str, offers: Sequence[Export]) -> tuple[str, ...]:
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


def object_name(role: str, service: NamespacedName) -> str:
    """Name an object after the service it serves: an RFC 1123 label, as istiod takes no dots in a Gateway's name.

    Where hyphens could make two services read alike, or the name grows too long, a few digits of a hash keep it unique.
    """
    plain = f"{role}-{service.namespace}-{service.name}"
    if len(plain) <= LONGEST_NAME and "-" not in service.namespace + service.name:
        return plain
    digits = sha256(str(service).encode()).hexdigest()[:6]
    return f"{plain[: LONGEST_NAME - len(digits) - 1].rstrip('-')}-{digits}"


def gateway(plan: ExportPlan) -> Body:
    """Body of the Gateway that offers one service: its exact host, for `*.local` would offer all (pitfall 10)."""
    server = {
        "port": {"number": plan.port, "name": "tls", "protocol": "TLS"},
        "hosts": [plan.export.service.host],
        "tls": {"mode": "AUTO_PASSTHROUGH"},
    }
    spec = {"selector": GATEWAY_LABELS, "servers": [server]}
    return _body(NETWORKING, "Gateway", plan.name, NAMESPACE, spec)


def authorization(plan: ExportPlan) -> Body:
    """Body of the policy that refuses every foreign caller that the export does not name.

    A DENY with exceptions, not an ALLOW: callers of the exporter's own mesh keep what they had.
    """
    admitted = [f"{plan.trust_domain}/*", *plan.allowed]
    spec = {
        "selector": {"matchLabels": plan.export.workload_labels},
        "action": "DENY",
        "rules": [{"from": [{"source": {"principals": ["*"], "notPrincipals": admitted}}]}],
    }
    return _body(SECURITY, "AuthorizationPolicy", plan.name, plan.export.service.namespace, spec)


def strict_mtls() -> Body:
    """Body of the mesh-wide policy that refuses plaintext."""
    return _body(SECURITY, "PeerAuthentication", "default", NAMESPACE, {"mtls": {"mode": "STRICT"}})


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
        "resolution": resolution(addresses),
        "subjectAltNames": sorted({f"spiffe://{source.principal}" for source in plan.sources}),
        "endpoints": endpoints(plan, addresses),
    }
    return _body(NETWORKING, "ServiceEntry", plan.name, NAMESPACE, spec)


def endpoints(plan: ImportPlan, addresses: Sequence[Sequence[str]]) -> list[Body]:
    """Return one endpoint an address of each source's gateway; every port name leads to the gateway's port."""
    return [
        {
            "address": address,
            "ports": {port.name: source.port for port in plan.ports},
            "network": source.network,
            "locality": source.locality,
            "labels": {**plan.labels, **TLS_MODE},
            "weight": source.weight,
        }
        for source, known in zip(plan.sources, addresses, strict=True)
        for address in known
    ]


def resolution(addresses: Sequence[Sequence[str]]) -> str:
    """Say how endpoints are found: host names (load balancers of some clouds) by DNS, addresses as they are."""
    return "STATIC" if all(is_address(address) for known in addresses for address in known) else "DNS"


def destination_rule(plan: ImportPlan) -> Body | None:
    """Body of the rule for connection pool and failover, or None where neither is asked for.

    Failover does nothing without outlier detection (istio#48084), so the one always brings the other.
    """
    policy: Body = {}
    if pool := plan.connection_pool:
        policy["connectionPool"] = _pool(pool)
    if failover := plan.failover:
        policy["outlierDetection"] = {
            "consecutive5xxErrors": failover.consecutive_errors,
            "interval": f"{failover.interval_seconds}s",
            "baseEjectionTime": f"{failover.base_ejection_seconds}s",
            "maxEjectionPercent": 100,
        }
        setting: Body = {"enabled": True}
        if failover.to:
            setting["failover"] = [{"from": plan.region, "to": failover.to}]
        policy["loadBalancer"] = {"localityLbSetting": setting}
    if not policy:
        return None
    spec = {"host": plan.host, "exportTo": list(plan.visible_to), "trafficPolicy": policy}
    return _body(NETWORKING, "DestinationRule", plan.name, NAMESPACE, spec)


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


def _body(api_version: str, kind: str, name: str, namespace: str, spec: Spec) -> Body:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}
