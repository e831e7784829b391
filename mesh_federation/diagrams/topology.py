"""The picture of a federation: which nodes and edges each cluster has, and their words.

From left to right as a call goes: import, egress gateway, east-west gateway of the other cluster, export.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from textwrap import wrap
from urllib.parse import quote

from mesh_federation.diagrams.drawing import Column, Drawing, Edge, Network, Node, NodeKind, Panel
from mesh_federation.diagrams.graph import Cluster, Discovery, Export, Gateway, Graph, Import, Port
from mesh_federation.diagrams.live import EntryVerdict, Live
from mesh_federation.plan import gateway_addresses

UNKNOWN = "address known after up"
LINE = 38
"""Characters of one line of a node; longer lists are wrapped."""
IMPORTS = {"remote": NodeKind.REMOTE, "local": NodeKind.LOCAL, "global": NodeKind.GLOBAL}
WORDS = 2.2
"""Least width of the words about a cluster, in inches."""
COLUMNS: Mapping[tuple[NodeKind, ...], float] = {
    (NodeKind.REMOTE, NodeKind.LOCAL, NodeKind.GLOBAL, NodeKind.DISCOVERY): 2.8,
    (NodeKind.EGRESS,): 1.9,
    (NodeKind.GATEWAY, NodeKind.API_SERVER): 2.0,
    (NodeKind.EXPORT,): 2.8,
}
"""The kinds of node in each column, and its least width in inches. A call passes the columns from left to right."""


def drawing(graph: Graph, live: Live | None = None) -> Drawing:
    """Draw a federation, with results of checks if there are any."""
    by_network = sorted(graph.clusters, key=lambda cluster: (cluster.network, cluster.name))
    networks = tuple(
        _network(name, list(clusters), live) for name, clusters in groupby(by_network, lambda each: each.network)
    )
    return Drawing(
        title=f"Federation {graph.stack}",
        notes=tuple(_notes(graph)),
        networks=networks,
        edges=tuple(edge for cluster in graph.clusters for edge in _edges(cluster, live)),
        columns=tuple(_columns([panel for network in networks for panel in network.panels])),
        is_live=live is not None,
    )


def _columns(panels: Sequence[Panel]) -> Iterator[Column]:
    yield Column(tuple(panel.id for panel in panels), WORDS)
    nodes = [node for panel in panels for node in panel.nodes]
    for kinds, width in COLUMNS.items():
        if ids := tuple(node.id for node in nodes if node.kind in kinds):
            yield Column(ids, width)


def _notes(graph: Graph) -> Iterator[str]:
    meshes = len({cluster.mesh for cluster in graph.clusters})
    yield f"{_counted(len(graph.clusters), 'cluster')}, {_counted(meshes, 'mesh', 'es')}"
    roots = len(graph.trust.roots)
    if graph.trust.scope == "link":
        yield f"Trust, model {graph.trust.model}: {_counted(roots, 'root')}; other clusters are trusted for each link"
        return
    trusted = "which every cluster trusts" if roots == 1 else "and every cluster trusts all of them"
    yield f"Trust, model {graph.trust.model}: {_counted(roots, 'root')}, {trusted}"
    if len(graph.clusters) > 1:
        yield "Istio binds no root to a trust domain: a trusted root can mint any accepted identity"


def wrapped(text: str) -> list[str]:
    """Break a text into lines that fit into a node."""
    return wrap(text, LINE, break_on_hyphens=False, break_long_words=False)


def _counted(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else plural}"


def _network(name: str, clusters: list[Cluster], live: Live | None) -> Network:
    title = f"network {name}: pods reach each other directly" if len(clusters) > 1 else ""
    return Network(_id("cluster", "network", name), title, tuple(_panel(cluster, live) for cluster in clusters))


def _panel(cluster: Cluster, live: Live | None) -> Panel:
    return Panel(
        id=_id(cluster.name),
        title=cluster.name,
        details=(
            " · ".join(filter(None, (cluster.provisioner, _istio(cluster), f"locality {cluster.locality}"))),
            f"mesh {cluster.mesh} · network {cluster.network}",
            f"trust domain {cluster.trust_domain}",
            *([f"signed by {cluster.root}"] if cluster.root else []),
            *(wrapped(f"accepts {', '.join(cluster.accepts)}") if cluster.accepts else ()),
        ),
        nodes=tuple(_nodes(cluster, live)),
        verdict=live.verdict(cluster.path) if live else None,
        said=_said(cluster.path, live),
    )


def _istio(cluster: Cluster) -> str:
    return f"Istio {cluster.istio}{' of others' if cluster.is_of_others else ''}" if cluster.istio else ""


def _said(path: str, live: Live | None) -> tuple[str, ...]:
    return tuple(f"{result.id}: {result.status}" for result in live.about(path)) if live else ()


def _nodes(cluster: Cluster, live: Live | None) -> Iterator[Node]:
    def about(path: str, id: str, kind: NodeKind, title: str, details: Iterable[str]) -> Node:
        return Node(id, kind, title, tuple(details), live.verdict(path) if live else None, _said(path, live))

    for link in cluster.imports:
        yield about(link.path, _import_id(cluster, link), IMPORTS[link.mode], link.service, _of_import(link))
    for discovery in cluster.discoveries:
        details = ("its endpoints, and so its Secrets too",)
        id = _discovery_id(cluster, discovery)
        yield about(discovery.path, id, NodeKind.DISCOVERY, f"of {discovery.of}", details)
    if cluster.egress:
        confined = "any namespace" if cluster.egress.confines == ("*",) else ", ".join(cluster.egress.confines)
        lines = (cluster.egress.address or UNKNOWN, *wrapped(f"the only way out for {confined}"))
        yield Node(_egress_id(cluster.name), NodeKind.EGRESS, "", lines)
    if cluster.gateway:
        yield Node(_gateway_id(cluster.name), NodeKind.GATEWAY, "", tuple(_of_gateway(cluster, cluster.gateway)))
    if cluster.read_by:
        lines = tuple(wrapped(f"read by istiod of {', '.join(cluster.read_by)}"))
        yield Node(_api_server_id(cluster.name), NodeKind.API_SERVER, "", lines)
    for export in cluster.exports:
        id = _export_id(cluster.name, export.service)
        yield about(export.path, id, NodeKind.EXPORT, export.service, _of_export(export))


def _of_import(link: Import) -> Iterator[str]:
    yield f"{link.host}:{_numbers(link.ports)}"
    yield f"from {link.source}" + (" via egress" if link.via == "egress" else "")
    if link.api == "gateway":
        yield "by the Kubernetes Gateway API"
    if link.weight is not None:
        yield f"weight {link.weight} %"
    if link.failover is not None:
        yield f"failover to {link.failover or 'any region'}"


def _of_gateway(cluster: Cluster, gateway: Gateway) -> Iterator[str]:
    yield from (gateway_addresses.with_port(address, gateway.port) for address in gateway.addresses)
    if not gateway.addresses:
        yield UNKNOWN
        yield f"port {gateway.port}"
    if gateway.is_open:
        yield f"open for every service of {cluster.mesh}"
    elif not cluster.exports:
        yield "no exports"


def _of_export(export: Export) -> Iterator[str]:
    yield from export.hosts
    yield from (f"port {port.name} {port.number} {port.protocol}" for port in export.ports)
    by_accounts = sorted(export.callers, key=lambda caller: (caller.accounts, caller.cluster))
    for accounts, callers in groupby(by_accounts, lambda caller: caller.accounts):
        named = ", ".join(accounts) or "every workload"
        yield from wrapped(f"may call: {named} of {', '.join(caller.cluster for caller in callers)}")


def _numbers(ports: Iterable[Port]) -> str:
    return ",".join(str(port.number) for port in ports)


def _edges(cluster: Cluster, live: Live | None) -> Iterator[Edge]:
    def verdict(path: str) -> EntryVerdict | None:
        return live.verdict(path) if live else None

    for link in cluster.imports:
        kind, at = IMPORTS[link.mode], _import_id(cluster, link)
        if link.via == "egress":
            yield Edge(at, _egress_id(cluster.name), kind, verdict(link.path))
            at = _egress_id(cluster.name)
        yield Edge(at, _gateway_id(link.source), kind, verdict(link.path))
    for discovery in cluster.discoveries:
        at = _discovery_id(cluster, discovery)
        yield Edge(at, _api_server_id(discovery.of), NodeKind.DISCOVERY, verdict(discovery.path))
        if discovery.crosses:
            yield Edge(at, _gateway_id(discovery.of), NodeKind.DISCOVERY, verdict(discovery.path))
    for export in cluster.exports:
        at = _gateway_id(cluster.name)
        yield Edge(at, _export_id(cluster.name, export.service), NodeKind.EXPORT, verdict(export.path))


def _import_id(cluster: Cluster, link: Import) -> str:
    return _id(cluster.name, "import", link.mode, link.source, link.host)


def _discovery_id(cluster: Cluster, discovery: Discovery) -> str:
    return _id(cluster.name, "discovery", discovery.of)


def _egress_id(cluster: str) -> str:
    return _id(cluster, "egress")


def _gateway_id(cluster: str) -> str:
    return _id(cluster, "gateway")


def _api_server_id(cluster: str) -> str:
    return _id(cluster, "api-server")


def _export_id(cluster: str, service: str) -> str:
    return _id(cluster, "export", service)


def _id(*parts: str) -> str:
    """Build an id out of characters that are allowed in every format."""
    return quote("/".join(parts))
