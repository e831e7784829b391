"""What a picture consists of: clusters, nodes and edges, with their words. Every format writes the same ones."""

from dataclasses import dataclass
from enum import StrEnum

from mesh_federation.diagrams.live import EntryVerdict


class NodeKind(StrEnum):
    """Kind of a node or an edge; the value is the word that pictures show."""

    REMOTE = "import as remote"
    LOCAL = "import as local"
    GLOBAL = "import as global"
    EXPORT = "export"
    GATEWAY = "east-west gateway"
    EGRESS = "egress gateway"
    DISCOVERY = "endpoint discovery"
    API_SERVER = "API server"
    ROOT = "root"
    NEW_ROOT = "root · being added"
    OLD_ROOT = "root · being removed"
    INTERMEDIATE = "intermediate"
    WORKLOADS = "workloads"
    SIGNS = "signs"
    TRUSTED_BY = "is trusted by"


@dataclass(frozen=True)
class Node:
    """One thing in a cluster, or one that all clusters share.

    Attributes:
        id: unique in the picture; independent of other entries.
        kind: kind of the node.
        title: name; empty if the kind says it all.
        details: further lines.
        verdict: verdict of the checks; None if no check can be about the node.
        said: id and status of each check about it.
    """

    id: str
    kind: NodeKind
    title: str
    details: tuple[str, ...]
    verdict: EntryVerdict | None = None
    said: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """All words, one tuple item per line."""
        kind = f"{self.kind.value} · {self.verdict.value}" if self.verdict else self.kind.value
        return (kind, *([self.title] if self.title else []), *self.details)


@dataclass(frozen=True)
class Panel:
    """A cluster.

    Attributes:
        id: unique in the picture.
        title: name of the cluster.
        details: further lines.
        nodes: nodes of the cluster.
        verdict: verdict of the checks; None in a picture without results.
        said: id and status of each check about it.
    """

    id: str
    title: str
    details: tuple[str, ...]
    nodes: tuple[Node, ...]
    verdict: EntryVerdict | None = None
    said: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """All words, one tuple item per line."""
        return (self.title, *self.details, *([f"checks: {self.verdict.value}"] if self.verdict else []))

    @property
    def frame(self) -> str:
        """Id of the frame around the cluster; `id` is the id of its words."""
        return f"cluster/{self.id}"


@dataclass(frozen=True)
class Network:
    """Clusters whose pods reach each other directly.

    Attributes:
        id: unique in the picture.
        title: caption; empty if the network has one cluster only.
        panels: the clusters, sorted by name.
    """

    id: str
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Edge:
    """One line of a picture; it leads from the left to the right.

    Attributes:
        tail: id of a node.
        head: id of a node or of a panel.
        kind: kind of the entry that the edge stands for.
        verdict: verdict of the checks about that entry; None in a picture without results.
    """

    tail: str
    head: str
    kind: NodeKind
    verdict: EntryVerdict | None = None

    @property
    def spreads(self) -> bool:
        """Whether lines of this kind share their first part; lines of the other kinds share their last part."""
        return self.kind in (NodeKind.EXPORT, NodeKind.SIGNS, NodeKind.TRUSTED_BY)

    @property
    def bundle(self) -> tuple[str, NodeKind]:
        """Lines of one bundle may run on top of each other."""
        return (self.tail if self.spreads else self.head), self.kind


@dataclass(frozen=True)
class Column:
    """Boxes that are aligned below each other.

    Attributes:
        ids: ids of nodes, or of panels for their words.
        width: least width of the boxes, in inches.
    """

    ids: tuple[str, ...]
    width: float


@dataclass(frozen=True)
class Drawing:
    """A whole picture.

    Attributes:
        title: headline.
        notes: lines below the headline.
        networks: sorted by name.
        edges: sorted by their tails.
        columns: from left to right; every node and every panel is in one of them.
        shared: nodes outside of all clusters, left of them.
        is_live: whether the picture shows results of checks.
    """

    title: str
    notes: tuple[str, ...]
    networks: tuple[Network, ...]
    edges: tuple[Edge, ...]
    columns: tuple[Column, ...]
    shared: tuple[Node, ...] = ()
    is_live: bool = False

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All clusters."""
        return tuple(panel for network in self.networks for panel in network.panels)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, shared ones first."""
        return (*self.shared, *(node for panel in self.panels for node in panel.nodes))

    @property
    def titles(self) -> dict[str, str]:
        """The titles of all panels and nodes, by id."""
        panels = {panel.id: panel.title for panel in self.panels}
        return panels | {node.id: node.title for node in self.nodes}

    @property
    def kinds(self) -> tuple[NodeKind, ...]:
        """The kinds of edges, in the order of a legend."""
        return tuple(kind for kind in NodeKind if kind in {edge.kind for edge in self.edges})
