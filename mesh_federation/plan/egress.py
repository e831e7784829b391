"""Egress: calls of other clusters leave through one gateway of the importing cluster, and by no other way.

Sources: walk-through 002 section 4.5 and section 7, pitfalls 31, 32 and 33. The egress gateway has a port for each
cluster that it leads to, so callers choose between clusters as they do without it: by weight, locality and failover.
It passes mutual TLS on by server name, so both ends keep seeing each other's identity.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mesh_federation.plan import gateway_addresses, gateway_api
from mesh_federation.plan.istio_values import (
    EGRESS_LABELS,
    NAMESPACE,
    Values,
    egress_address,
    egress_values,
    exits,
)
from mesh_federation.plan.routing import (
    NETWORKING,
    Body,
    ImportPlan,
    manifest,
    object_name,
    passing_on,
    resolution,
    tls_port,
    upstream,
)
from mesh_federation.stack.config import Federation, NamespacedName, is_address

NAME = "egress-only"
"""Of the objects that leave the callers of a namespace no other way."""


@dataclass(frozen=True)
class Route:
    """One host that an exit serves.

    Attributes:
        service: whose host it is.
        host: under which it is imported.
        by_gateway_api: said in the Kubernetes Gateway API, instead of in Istio's own.
    """

    service: NamespacedName
    host: str
    by_gateway_api: bool

    @property
    def server_names(self) -> str:
        """What callers ask for in TLS: port and subset stand before the host (pitfall 33)."""
        return f"*.{self.host}"


@dataclass(frozen=True)
class Exit:
    """The way out to one other cluster.

    Attributes:
        cluster: where it leads.
        port: of the egress gateway.
        gateway_port: of that cluster's gateway.
        routes: what it serves, sorted.
        revision: of the istiod of the cluster that it leads out of; empty for the default one.
    """

    cluster: str
    port: int
    gateway_port: int
    routes: tuple[Route, ...]
    revision: str

    @property
    def host(self) -> str:
        """Name under which the egress gateway knows that cluster's gateway."""
        return f"ingress.{self.cluster}.mesh.global"

    @property
    def upstream(self) -> str:
        """Name by which Envoy knows that gateway."""
        return upstream(self.host, self.gateway_port)

    def named(self, role: str, route: Route) -> str:
        """Name an object of one of its routes."""
        kind = "global" if route.host == route.service.global_host else "own"
        return object_name(role, route.service, kind, self.cluster)


@dataclass(frozen=True)
class EgressPlan:
    """The egress of one cluster.

    Attributes:
        values: Helm values of the gateway's chart.
        exits: sorted by the cluster that each leads to.
        confined: namespaces whose proxies call nothing that the mesh does not know; Istio's own stands for all.
        isolated: namespaces whose pods, in the mesh or not, cannot reach another cluster's gateway by themselves.
        asked: whether there is an Envoy to ask; pods that only exist on paper have none.
    """

    values: Values
    exits: tuple[Exit, ...]
    confined: tuple[str, ...]
    isolated: tuple[str, ...]
    asked: bool

    @property
    def address(self) -> str:
        """Address of the gateway inside the cluster; empty when only the running Service can tell."""
        return egress_address(self.values)


def plan(federation: Federation, cluster: str, imports: Sequence[ImportPlan]) -> EgressPlan | None:
    """Plan a cluster's egress; None where all its imports are direct."""
    leaving = [link for link in imports if any(source.via_egress for source in link.sources)]
    if not leaving:
        return None
    callers = {namespace for link in leaving for namespace in link.callers}
    everyone = "*" in callers
    return EgressPlan(
        values=egress_values(federation, federation.clusters[cluster]),
        exits=tuple(_exit(federation, name, port, leaving) for name, port in exits(federation, cluster).items()),
        confined=(NAMESPACE,) if everyone else tuple(sorted(callers)),
        isolated=tuple(sorted(_known(federation, cluster) if everyone else callers - {NAMESPACE})),
        asked=federation.clusters[cluster].provider.runs_pods,
    )


def _exit(federation: Federation, to: str, port: int, leaving: Iterable[ImportPlan]) -> Exit:
    served = {
        Route(link.service, link.host, link.by_network)
        for link in leaving
        if to in {source.cluster for source in link.sources if source.via_egress}
    }
    return Exit(
        cluster=to,
        port=port,
        gateway_port=federation.clusters[to].gateway.port,
        routes=tuple(sorted(served, key=lambda route: (route.service, route.host))),
        revision=federation.istio.revision,
    )


def _known(federation: Federation, cluster: str) -> set[str]:
    """Namespaces of a cluster that the stack speaks of: a NetworkPolicy cannot stand for all namespaces."""
    samples = (workload.reference for workload in federation.workloads if workload.cluster == cluster)
    offered = (export.service for export in federation.exports if export.cluster == cluster)
    return {reference.namespace for reference in (*samples, *offered)} - {NAMESPACE}


def service_entry(way: Exit, addresses: Sequence[str]) -> Body:
    """Body of the ServiceEntry that tells the egress gateway where another cluster's gateway is.

    It names no network: with one, istiod would look for that network's gateway and find the egress (pitfall 31). It is
    outside the mesh, so that nothing wraps the callers' mutual TLS into another.
    """
    spec = {
        "hosts": [way.host],
        "exportTo": ["."],
        "location": "MESH_EXTERNAL",
        "ports": [tls_port(way.gateway_port)],
        "resolution": resolution([addresses]),
        "endpoints": [{"address": address} for address in addresses],
    }
    return manifest(NETWORKING, "ServiceEntry", f"ingress-{way.cluster}", NAMESPACE, spec)


def route_bodies(way: Exit, route: Route) -> list[Body]:
    """Bodies of the listener for one host and of the route from there to the other cluster's gateway."""
    if route.by_gateway_api:
        name = way.named("egress-tls", route)
        return [
            gateway_api.exit_listener(name, route.server_names, way.port, way.revision),
            gateway_api.tls_route(name, route.server_names, way.host, way.gateway_port),
        ]
    name = way.named("egress", route)
    port = tls_port(way.port, f"tls-{way.cluster}")
    destination = {"host": way.host, "port": {"number": way.gateway_port}}
    match = {"port": way.port, "sniHosts": [route.server_names]}
    routed = {
        "hosts": [route.server_names],
        "gateways": [name],
        "exportTo": ["."],
        "tls": [{"match": [match], "route": [{"destination": destination}]}],
    }
    return [
        passing_on(name, EGRESS_LABELS, port, [route.server_names], "PASSTHROUGH"),
        manifest(NETWORKING, "VirtualService", name, NAMESPACE, routed),
    ]


def sidecar(namespace: str) -> Body:
    """Body of the Sidecar by which the proxies of a namespace call nothing that the mesh does not know."""
    spec = {"egress": [{"hosts": ["*/*"]}], "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
    return manifest(NETWORKING, "Sidecar", NAME, namespace, spec)


def network_policy(namespace: str, addresses: Iterable[str]) -> Body:
    """Body of the NetworkPolicy that keeps a namespace's pods from other clusters' gateways, proxy or no proxy.

    Policies only allow, so it allows all else: every pod of the cluster, and every address but those of the gateways.
    Gateways that are known by a host name alone cannot be named in it.
    """
    known = [address for address in addresses if is_address(address)]
    forbidden = [gateway_addresses.block(address) for address in known if not gateway_addresses.is_ipv6(address)]
    forbidden_ipv6 = [gateway_addresses.block(address) for address in known if gateway_addresses.is_ipv6(address)]
    allowed = [
        {"namespaceSelector": {}},
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": forbidden}},
        {"ipBlock": {"cidr": "::/0", **({"except": forbidden_ipv6} if forbidden_ipv6 else {})}},
    ]
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": allowed}]}
    return manifest("networking.k8s.io/v1", "NetworkPolicy", NAME, namespace, spec)


def bodies(planned: EgressPlan) -> list[Body]:
    """Bodies of everything but the gateway itself, addresses left open."""
    made = []
    for way in planned.exits:
        made += [service_entry(way, []), *(body for route in way.routes for body in route_bodies(way, route))]
    made += [sidecar(namespace) for namespace in planned.confined]
    return made + [network_policy(namespace, []) for namespace in planned.isolated]
