"""Imports: services of other clusters that a cluster makes reachable.

Each mode is a class in a file of its own. Adding one is such a file, a line in MODES, its name in the stack file's
schema, its rules, and its colour in mesh_federation/diagrams/palette.py.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

from mesh_federation.plan import gateway_addresses, local_endpoints
from mesh_federation.plan.apis import APIS
from mesh_federation.plan.exports import principal
from mesh_federation.plan.imports.base import EntriesImport, ImportPlan, Source
from mesh_federation.plan.imports.global_host import GlobalImport
from mesh_federation.plan.imports.local import LocalImport
from mesh_federation.plan.imports.remote import RemoteImport
from mesh_federation.plan.imports.service import ServiceImport
from mesh_federation.plan.istio_values import egress_ports
from mesh_federation.stack.config import Cluster, Export, Federation, Import, NamespacedName

__all__ = [
    "MODES",
    "EntriesImport",
    "GlobalImport",
    "ImportPlan",
    "LocalImport",
    "RemoteImport",
    "ServiceImport",
    "Source",
    "callers_of",
    "has_local_endpoints",
    "imports",
    "is_beside_service",
    "shares",
]

MODES: Mapping[str, type[ImportPlan]] = {mode.mode: mode for mode in (RemoteImport, LocalImport, GlobalImport)}


def imports(federation: Federation, cluster: str) -> list[ImportPlan]:
    """Plan the imports of one cluster: entries for one service, mode and host are one plan with several sources."""
    links = sorted(
        (link for link in federation.imports if link.cluster == cluster),
        key=lambda link: (link.service, link.mode, link.host, link.source),
    )
    grouped = groupby(links, key=lambda link: (link.service, link.mode, link.host))
    return [_plan(federation, list(group)) for _, group in grouped]


def has_local_endpoints(federation: Federation, link: Import) -> bool:
    """Say whether pods of the importing cluster answer calls of an import too."""
    return MODES[link.mode].has_local_endpoints(federation, link)


def is_beside_service(federation: Federation, link: Import) -> bool:
    """Say whether the objects of an import are in the namespace of its service: beside pods, or beside a Service.

    An import makes that Service where nothing else would resolve the host.
    """
    return has_local_endpoints(federation, link) or _mode(federation, link).has_service


def _mode(federation: Federation, link: Import) -> type[ImportPlan]:
    observed = federation.clusters[link.cluster].observed
    is_plain = link.mode == "remote" and link.own_host is None
    return ServiceImport if observed and not observed.dns_capture and is_plain else MODES[link.mode]


def _plan(federation: Federation, links: Sequence[Import]) -> ImportPlan:
    first, mode = links[0], _mode(federation, links[0])
    importer = federation.clusters[first.cluster]
    beside_pods = mode.has_local_endpoints(federation, first)
    exports = [federation.export_of(link) for link in links]
    declared = [link.weight for link in links]
    weights = declared if beside_pods else shares(declared)
    return mode(
        cluster=first.cluster,
        locality=importer.locality,
        service=first.service,
        api=APIS[first.api],
        host=first.host,
        has_own_host=first.own_host is not None,
        exported_host=first.exported_host,
        namespace=first.service.namespace if is_beside_service(federation, first) else importer.link_namespace,
        ports=first.ports or exports[0].ports,
        labels=mode.endpoint_labels(federation, first, exports[0]),
        sources=tuple(
            _source(federation, link, export, weight)
            for link, export, weight in zip(links, exports, weights, strict=True)
        ),
        own=_own(federation, importer, links, exports) if beside_pods else (),
        callers=callers_of(first.cluster, exports),
        connection_pool=next((link.connection_pool for link in links if link.connection_pool), None),
        failover=next((link.failover for link in links if link.failover), None),
    )


def _own(
    federation: Federation, importer: Cluster, links: Sequence[Import], exports: Sequence[Export]
) -> tuple[str, ...]:
    """Identities of the pods here: of the account that an import, the own export or the source names, in this order."""
    own = local_endpoints.own_export(federation, importer.name, links[0].service)
    accounts = {
        NamespacedName(link.service.namespace, link.service_account or (own or export).identity.name)
        for link, export in zip(links, exports, strict=True)
    }
    return tuple(principal(importer.trust_domain, account) for account in sorted(accounts))


def _network(importer: Cluster, exporter: Cluster) -> str:
    """Name the network of an exporter for the istiod of an importer, which must not take it for its own.

    It would show the exporter's gateway to the importer's, which then passes calls on to it (pitfall 37). Owners of two
    meshes may both call theirs network1, as Istio's guides do, or have none.
    """
    if exporter.mesh_id == importer.mesh_id:
        return exporter.network
    taken = ("", importer.observed.network if importer.observed else importer.network)
    names = (exporter.network, f"{exporter.name}-network", f"other-{exporter.name}-network")
    return next(each for each in names if each not in taken)


def _source(federation: Federation, link: Import, export: Export, weight: int | None) -> Source:
    exporter = federation.clusters[link.source]
    via_egress = link.via == "egress"
    has_one_endpoint = via_egress or APIS[link.api].finds_gateways_by_network
    declared = gateway_addresses.declared(exporter, federation.istio_of(link.source))
    return Source(
        cluster=link.source,
        network=_network(federation.clusters[link.cluster], exporter),
        port=egress_ports(federation, link.cluster)[link.source] if via_egress else exporter.gateway.port,
        endpoint_count=1 if has_one_endpoint else max(1, len(gateway_addresses.for_importers(declared))),
        via_egress=via_egress,
        locality=link.locality or exporter.locality,
        weight=weight,
        principal=principal(exporter.trust_domain, export.identity),
    )


def callers_of(cluster: str, exports: Sequence[Export]) -> tuple[str, ...]:
    """Return the namespaces whose callers the exports name: others, and so the own gateway, do not see the host."""
    consumers = [consumer for export in exports for consumer in export.to if consumer.cluster == cluster]
    if any(consumer.service_accounts is None for consumer in consumers):
        return ("*",)
    return tuple(sorted({account.namespace for c in consumers for account in c.service_accounts or ()}))


def shares(given: Sequence[int | None]) -> list[int]:
    """Return shares in percent that sum to 100: the given ones, or equal ones by largest remainder.

    `100 div n` is the mistake to avoid: three thirds of it make 99.
    """
    if all(weight is not None for weight in given):
        return [weight for weight in given if weight is not None]
    share, remainder = divmod(100, len(given))
    return [share + (1 if index < remainder else 0) for index in range(len(given))]
