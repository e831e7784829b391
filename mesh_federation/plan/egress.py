"""Egress: calls of other clusters leave through one gateway of the importing cluster, and by no other route.

Sources: walk-through 002 section 4.5 and section 7, pitfalls 31, 32 and 33. The egress gateway has one port per cluster
that it leads to, so callers choose between clusters as they do without it: by weight, locality and failover. It passes
mutual TLS on by server name, so both ends keep seeing each other's identity.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mesh_federation.plan import gateway_addresses
from mesh_federation.plan.imports import ImportPlan, callers_of
from mesh_federation.plan.istio_api import NETWORKING, manifest, resolution, tls_port, upstream
from mesh_federation.plan.istio_values import (
    Values,
    egress_address,
    egress_gateway,
    egress_ports,
    egress_values,
)
from mesh_federation.plan.objects import Body, Fill, PlannedObject
from mesh_federation.plan.routing_api import EgressListener, RoutingApi
from mesh_federation.stack.config import Federation, NamespacedName, is_address

NAME = "egress-only"
"""Of the objects that confine the callers of a namespace to the egress gateway."""


@dataclass(frozen=True)
class ExitRoute:
    """One host that an exit serves.

    Attributes:
        service: whose host it is.
        host: by which the exporter's gateway passes calls on.
        is_global: it is the service's global host.
        api: in which its listener and route are written.
    """

    service: NamespacedName
    host: str
    is_global: bool
    api: RoutingApi

    @property
    def server_names(self) -> str:
        """Server names in the callers' TLS: port and subset precede the host (pitfall 33)."""
        return f"*.{self.host}"


@dataclass(frozen=True)
class ExitPlan:
    """The route from a cluster's egress gateway to one other cluster.

    Attributes:
        cluster: the other cluster.
        gateway: the namespace and the name of the egress gateway's Service.
        gateway_host: host name of that Service.
        port: of the egress gateway.
        gateway_port: of the other cluster's gateway.
        routes: the hosts that it serves, sorted.
        revision: of the istiod of the egress gateway's cluster; empty for the default one.
        has_envoys: the egress gateway's pods run, and so can confirm their routes.
    """

    cluster: str
    gateway: NamespacedName
    gateway_host: str
    port: int
    gateway_port: int
    routes: tuple[ExitRoute, ...]
    revision: str
    has_envoys: bool

    @property
    def host(self) -> str:
        """Name under which the egress gateway knows the other cluster's gateway."""
        return f"ingress.{self.cluster}.mesh.global"

    @property
    def upstream(self) -> str:
        """Name by which Envoy knows that gateway."""
        return upstream(self.host, self.gateway_port)

    @property
    def objects(self) -> tuple[PlannedObject, ...]:
        """The other gateway's ServiceEntry; then each listener, and then its route, which needs its destination."""
        entry = self._service_entry()
        return entry, *(each for route in self.routes for each in self._route(route, entry.name))

    def _service_entry(self) -> PlannedObject:
        """Describe where the other cluster's gateway is.

        It names no network: with one, istiod would look for that network's gateway and find the egress (pitfall 31). It
        is outside the mesh, so that nothing wraps the callers' mutual TLS into another.
        """
        spec = {
            "hosts": [self.host],
            "exportTo": ["."],
            "location": "MESH_EXTERNAL",
            "ports": [tls_port(self.gateway_port)],
            "resolution": "STATIC",
            "endpoints": [],
        }
        body = manifest(NETWORKING, "ServiceEntry", f"ingress-{self.cluster}", self.gateway.namespace, spec)
        fills = (
            Fill(("spec", "resolution"), (self.cluster,), resolution),
            Fill(("spec", "endpoints"), (self.cluster,), _endpoints),
        )
        return PlannedObject(body, fills)

    def _route(self, route: ExitRoute, entry: str) -> Iterator[PlannedObject]:
        listener = EgressListener(
            service=route.service,
            host=route.host,
            is_global=route.is_global,
            cluster=self.cluster,
            gateway=self.gateway,
            gateway_host=self.gateway_host,
            port=self.port,
            upstream_host=self.host,
            upstream_port=self.gateway_port,
            revision=self.revision,
        )
        gateway, body = route.api.egress_route(listener)
        planned = PlannedObject(gateway, after=(entry,))
        yield planned
        yield PlannedObject(body, after=(planned.name,))


def _endpoints(addresses: Sequence[str]) -> list[Body]:
    return [{"address": address} for address in addresses]


@dataclass(frozen=True)
class EgressPlan:
    """The egress of one cluster.

    Attributes:
        values: Helm values of the gateway's chart.
        exits: sorted by the cluster that each leads to.
        confined: namespaces whose proxies call nothing that the mesh does not know; its root namespace stands for all.
        isolated: namespaces whose pods, in the mesh or not, cannot reach another cluster's gateway by themselves.
    """

    values: Values
    exits: tuple[ExitPlan, ...]
    confined: tuple[str, ...]
    isolated: tuple[str, ...]

    @property
    def address(self) -> str:
        """Address of the gateway inside the cluster; empty when only the running Service has it."""
        return egress_address(self.values)

    @property
    def confinement(self) -> tuple[PlannedObject, ...]:
        """Everything that closes the routes around the egress gateway."""
        clusters = tuple(each.cluster for each in self.exits)
        return (
            *(PlannedObject(sidecar(namespace)) for namespace in self.confined),
            *(
                PlannedObject(network_policy(namespace, []), (Fill(("spec", "egress"), clusters, _egress_rules),))
                for namespace in self.isolated
            ),
        )

    @property
    def objects(self) -> tuple[PlannedObject, ...]:
        """Everything but the gateway itself."""
        return *(each for way in self.exits for each in way.objects), *self.confinement


def plan(federation: Federation, cluster: str, imports: Sequence[ImportPlan]) -> EgressPlan | None:
    """Plan a cluster's egress; None where all its imports are direct.

    Callers are confined before the first exit: while an import waits for another member of a fleet, too.
    """
    leaving = [link for link in imports if any(source.via_egress for source in link.sources)]
    awaited = [link for link in federation.awaited if (link.cluster, link.via) == (cluster, "egress")]
    if not leaving and not awaited:
        return None
    waiting = callers_of(cluster, [federation.export_of(link) for link in awaited])
    callers = {namespace for link in leaving for namespace in link.callers} | set(waiting)
    own, everyone = federation.clusters[cluster], "*" in callers
    return EgressPlan(
        values=egress_values(federation, own),
        exits=tuple(
            _exit(federation, cluster, to, port, leaving) for to, port in egress_ports(federation, cluster).items()
        ),
        confined=(own.root_namespace,) if everyone else tuple(sorted(callers)),
        isolated=tuple(sorted((_known(federation, cluster) if everyone else callers) - {own.istio_namespace})),
    )


def _exit(federation: Federation, cluster: str, to: str, port: int, leaving: Iterable[ImportPlan]) -> ExitPlan:
    routes = {
        ExitRoute(link.service, link.exported_host, link.joins_global_host, link.api)
        for link in leaving
        if to in {source.cluster for source in link.sources if source.via_egress}
    }
    own = federation.clusters[cluster]
    return ExitPlan(
        cluster=to,
        gateway=egress_gateway(own),
        gateway_host=own.host_of(egress_gateway(own)),
        port=port,
        gateway_port=federation.clusters[to].gateway.port,
        routes=tuple(sorted(routes, key=lambda route: (route.service, route.host))),
        revision=federation.istio_of(cluster).revision,
        has_envoys=own.provider.runs_pods,
    )


def _known(federation: Federation, cluster: str) -> set[str]:
    """Namespaces of a cluster that the stack names: a NetworkPolicy cannot stand for all namespaces."""
    samples = (workload.reference for workload in federation.workloads if workload.cluster == cluster)
    exported = (export.service for export in federation.exports if export.cluster == cluster)
    return {reference.namespace for reference in (*samples, *exported)}


def sidecar(namespace: str) -> Body:
    """Body of the Sidecar by which the proxies of a namespace call nothing that the mesh does not know."""
    spec = {"egress": [{"hosts": ["*/*"]}], "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
    return manifest(NETWORKING, "Sidecar", NAME, namespace, spec)


def network_policy(namespace: str, addresses: Sequence[str]) -> Body:
    """Body of the NetworkPolicy that keeps a namespace's pods from other clusters' gateways, proxy or no proxy.

    Policies only allow, so it allows all else: every pod of the cluster, and every address but those of the gateways.
    Gateways that are known by a host name alone cannot be named in it.
    """
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": _egress_rules(addresses)}
    return manifest("networking.k8s.io/v1", "NetworkPolicy", NAME, namespace, spec)


def _egress_rules(*gateways: Sequence[str]) -> list[Body]:
    known = sorted({address for addresses in gateways for address in addresses if is_address(address)})
    forbidden = [gateway_addresses.block(address) for address in known if not gateway_addresses.is_ipv6(address)]
    forbidden_ipv6 = [gateway_addresses.block(address) for address in known if gateway_addresses.is_ipv6(address)]
    allowed = [
        {"namespaceSelector": {}},
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": forbidden}},
        {"ipBlock": {"cidr": "::/0", **({"except": forbidden_ipv6} if forbidden_ipv6 else {})}},
    ]
    return [{"to": allowed}]
