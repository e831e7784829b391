"""What is drawn of a federation: panels, nodes and edges, with their words. Every format writes the same ones.

From left to right as a call goes: import, egress gateway, east-west gateway of the other cluster, export.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from textwrap import wrap
from urllib.parse import quote

from mesh_federation.diagrams.graph import Cluster, Discovery, Export, Graph, Import, Port
from mesh_federation.diagrams.live import Live, Verdict
from mesh_federation.plan import gateway_addresses

UNKNOWN = "address known after up"
LINE = 38
"""Characters of a line of a node; longer lists go on below."""


class Kind(StrEnum):
    """What a node or an edge stands for."""

    REMOTE = "import as remote"
    LOCAL = "import as local"
    GLOBAL = "import as global"
    EXPORT = "export"
    GATEWAY = "east-west gateway"
    EGRESS = "egress gateway"
    DISCOVERY = "endpoint discovery"
    API_SERVER = "API server"


IMPORTS = {"remote": Kind.REMOTE, "local": Kind.LOCAL, "global": Kind.GLOBAL}


@dataclass(frozen=True)
class Node:
    """One thing in a cluster.

    Attributes:
        id: unique in the picture; does not change when other entries come or go.
        kind: what it is.
        title: its name; empty where the kind says it all.
        details: further lines.
        verdict: of checks; None where no result can be about it.
        said: which checks said what.
    """

    id: str
    kind: Kind
    title: str
    details: tuple[str, ...]
    verdict: Verdict | None = None
    said: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """All its words, a line each."""
        kind = f"{self.kind.value} · {self.verdict.value}" if self.verdict else self.kind.value
        return (kind, *([self.title] if self.title else []), *self.details)


@dataclass(frozen=True)
class Panel:
    """A cluster.

    Attributes:
        id: unique in the picture.
        title: its name.
        details: further lines.
        nodes: what is in it.
        verdict: of checks about it; None where none were asked.
        said: which checks said what.
    """

    id: str
    title: str
    details: tuple[str, ...]
    nodes: tuple[Node, ...]
    verdict: Verdict | None
    said: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """All its words, a line each."""
        return (self.title, *self.details, *([f"checks: {self.verdict.value}"] if self.verdict else []))

    @property
    def frame(self) -> str:
        """Id of what is drawn around it; `id` is that of its words."""
        return _id("cluster", self.id)


@dataclass(frozen=True)
class Network:
    """Clusters whose pods reach each other directly.

    Attributes:
        id: unique in the picture.
        title: what is written on it; empty where it holds one cluster alone, which names it.
        panels: the clusters, sorted by name.
    """

    id: str
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Edge:
    """One leg of the way of a call, or of a discovery.

    Attributes:
        tail: id of the node where it begins.
        head: id of the node where it ends.
        kind: of the entry that it is drawn for.
        verdict: of checks about that entry; None where none were asked.
    """

    tail: str
    head: str
    kind: Kind
    verdict: Verdict | None


@dataclass(frozen=True)
class Drawing:
    """A whole picture.

    Attributes:
        title: what it shows.
        notes: what holds for all clusters, a line each.
        networks: sorted by name.
        edges: sorted by where they begin.
        is_live: results of checks are laid over it.
    """

    title: str
    notes: tuple[str, ...]
    networks: tuple[Network, ...]
    edges: tuple[Edge, ...]
    is_live: bool

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All clusters."""
        return tuple(panel for network in self.networks for panel in network.panels)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes of all clusters."""
        return tuple(node for panel in self.panels for node in panel.nodes)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of edge in it, in the order of a legend."""
        return tuple(kind for kind in Kind if kind in {edge.kind for edge in self.edges})


def drawing(graph: Graph, live: Live | None = None) -> Drawing:
    """Decide what is drawn of a federation, with results of checks laid over it if there are any."""
    by_network = sorted(graph.clusters, key=lambda cluster: (cluster.network, cluster.name))
    return Drawing(
        title=f"Federation {graph.stack}",
        notes=tuple(_notes(graph)),
        networks=tuple(
            _network(name, list(clusters), live) for name, clusters in groupby(by_network, lambda each: each.network)
        ),
        edges=tuple(edge for cluster in graph.clusters for edge in _edges(cluster, live)),
        is_live=live is not None,
    )


def _notes(graph: Graph) -> Iterator[str]:
    meshes = len({cluster.mesh for cluster in graph.clusters})
    yield f"{_counted(len(graph.clusters), 'cluster')}, {_counted(meshes, 'mesh', 'es')}"
    roots = len(graph.trust.roots)
    trusted = "which every cluster trusts" if roots == 1 else "and every cluster trusts all of them"
    yield f"Trust, model {graph.trust.model}: {_counted(roots, 'root')}, {trusted}"
    if len(graph.clusters) > 1:
        yield "Istio binds no root to a trust domain: a trusted root can mint any accepted identity"


def _wrapped(text: str) -> list[str]:
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
            f"{cluster.provisioner} · Istio {cluster.istio} · locality {cluster.locality}",
            f"mesh {cluster.mesh} · network {cluster.network}",
            f"trust domain {cluster.trust_domain}",
            f"signed by {cluster.root}",
            *(_wrapped(f"accepts {', '.join(cluster.accepts)}") if cluster.accepts else ()),
        ),
        nodes=tuple(_nodes(cluster, live)),
        verdict=live.verdict(cluster.path) if live else None,
        said=_said(cluster.path, live),
    )


def _said(path: str, live: Live | None) -> tuple[str, ...]:
    return tuple(f"{result.id}: {result.status}" for result in live.about(path)) if live else ()


def _nodes(cluster: Cluster, live: Live | None) -> Iterator[Node]:
    def about(path: str, id: str, kind: Kind, title: str, details: Iterable[str]) -> Node:
        return Node(id, kind, title, tuple(details), live.verdict(path) if live else None, _said(path, live))

    for link in cluster.imports:
        yield about(link.path, _import_id(cluster, link), IMPORTS[link.mode], link.service, _of_import(link))
    for found in cluster.discoveries:
        details = ("its endpoints, and so its Secrets too",)
        yield about(found.path, _discovery_id(cluster, found), Kind.DISCOVERY, f"of {found.of}", details)
    if cluster.egress:
        ways = "any namespace" if cluster.egress.confines == ("*",) else ", ".join(cluster.egress.confines)
        lines = (cluster.egress.address or UNKNOWN, *_wrapped(f"no other way out for {ways}"))
        yield Node(_egress_id(cluster.name), Kind.EGRESS, "", lines)
    yield Node(_gateway_id(cluster.name), Kind.GATEWAY, "", tuple(_of_gateway(cluster)))
    if cluster.read_by:
        lines = tuple(_wrapped(f"read by istiod of {', '.join(cluster.read_by)}"))
        yield Node(_api_server_id(cluster.name), Kind.API_SERVER, "", lines)
    for offer in cluster.exports:
        yield about(offer.path, _export_id(cluster.name, offer.service), Kind.EXPORT, offer.service, _of_export(offer))


def _of_import(link: Import) -> Iterator[str]:
    yield f"{link.host}:{_numbers(link.ports)}"
    yield f"from {link.source}" + (" via egress" if link.via == "egress" else "")
    if link.api == "gateway":
        yield "by the Kubernetes Gateway API"
    if link.weight is not None:
        yield f"weight {link.weight} %"
    if link.failover is not None:
        yield f"failover to {link.failover or 'any region'}"


def _of_gateway(cluster: Cluster) -> Iterator[str]:
    gateway = cluster.gateway
    yield from (gateway_addresses.with_port(address, gateway.port) for address in gateway.addresses)
    if not gateway.addresses:
        yield UNKNOWN
        yield f"port {gateway.port}"
    if gateway.is_open:
        yield f"open for every service of {cluster.mesh}"
    elif not cluster.exports:
        yield "offers nothing"


def _of_export(offer: Export) -> Iterator[str]:
    yield from offer.hosts
    yield from (f"port {port.name} {port.number} {port.protocol}" for port in offer.ports)
    by_accounts = sorted(offer.callers, key=lambda caller: (caller.accounts, caller.cluster))
    for accounts, callers in groupby(by_accounts, lambda caller: caller.accounts):
        named = ", ".join(accounts) or "every workload"
        yield from _wrapped(f"may call: {named} of {', '.join(caller.cluster for caller in callers)}")


def _numbers(ports: Iterable[Port]) -> str:
    return ",".join(str(port.number) for port in ports)


def _edges(cluster: Cluster, live: Live | None) -> Iterator[Edge]:
    def verdict(path: str) -> Verdict | None:
        return live.verdict(path) if live else None

    for link in cluster.imports:
        kind, at = IMPORTS[link.mode], _import_id(cluster, link)
        if link.via == "egress":
            yield Edge(at, _egress_id(cluster.name), kind, verdict(link.path))
            at = _egress_id(cluster.name)
        yield Edge(at, _gateway_id(link.source), kind, verdict(link.path))
    for found in cluster.discoveries:
        at = _discovery_id(cluster, found)
        yield Edge(at, _api_server_id(found.of), Kind.DISCOVERY, verdict(found.path))
        if found.crosses:
            yield Edge(at, _gateway_id(found.of), Kind.DISCOVERY, verdict(found.path))
    for offer in cluster.exports:
        at = _gateway_id(cluster.name)
        yield Edge(at, _export_id(cluster.name, offer.service), Kind.EXPORT, verdict(offer.path))


def _import_id(cluster: Cluster, link: Import) -> str:
    return _id(cluster.name, "import", link.mode, link.source, link.service)


def _discovery_id(cluster: Cluster, found: Discovery) -> str:
    return _id(cluster.name, "discovery", found.of)


def _egress_id(cluster: str) -> str:
    return _id(cluster, "egress")


def _gateway_id(cluster: str) -> str:
    return _id(cluster, "gateway")


def _api_server_id(cluster: str) -> str:
    return _id(cluster, "api-server")


def _export_id(cluster: str, service: str) -> str:
    return _id(cluster, "export", service)


def _id(*parts: str) -> str:
    """Name a thing after what it is, in letters that every format takes."""
    return quote("/".join(parts))
