"""A certificate hierarchy as a picture: roots on the left, and on the right each cluster with what it signs with.

Unbroken arrows sign. Dashed ones lead from a cluster to the roots that it trusts beside its own.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from urllib.parse import quote

from mesh_federation.diagrams import dot as graphviz
from mesh_federation.diagrams import mermaid as flowchart
from mesh_federation.diagrams.formats import Format
from mesh_federation.diagrams.palette import CARD, FONT, FRAME, PANEL, STEEL, TITLE, Ink, Stroke
from mesh_federation.plan.hierarchy import Certificate, Change, Cluster, Hierarchy, Root

MANY = 24
"""From so many arrows of trust on they are left out: a picture of them shows nothing."""
COLUMNS = 2.6
"""Least width of a card, in inches."""


class Kind(StrEnum):
    """What a card or an arrow stands for."""

    ROOT = "root"
    COMES = "root · comes"
    GOES = "root · goes"
    INTERMEDIATE = "intermediate"
    WORKLOADS = "workloads"
    SIGNS = "signs"
    TRUSTS = "trusts too"


LOOKS: Mapping[Kind, Stroke] = {
    Kind.ROOT: Stroke(Ink("root", "#1762a6", "#6cb0ee")),
    Kind.COMES: Stroke(Ink("comes", "#00796b", "#3fc8a8"), width=2.6),
    Kind.GOES: Stroke(Ink("goes", "#8a5a00", "#dcae5c"), width=2.6),
    Kind.INTERMEDIATE: Stroke(STEEL),
    Kind.WORKLOADS: Stroke(STEEL),
    Kind.SIGNS: Stroke(Ink("root", "#1762a6", "#6cb0ee"), width=2),
    Kind.TRUSTS: Stroke(STEEL, (6, 4)),
}
ROOTS = {Change.STAYS: Kind.ROOT, Change.COMES: Kind.COMES, Change.GOES: Kind.GOES}


@dataclass(frozen=True)
class Card:
    """An authority, or what it signs for.

    Attributes:
        id: unique in the picture.
        kind: what it is.
        title: its name.
        details: further lines.
    """

    id: str
    kind: Kind
    title: str
    details: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """All its words, a line each."""
        return (self.kind.value, self.title, *self.details)


@dataclass(frozen=True)
class Panel:
    """A cluster.

    Attributes:
        id: unique in the picture.
        lines: its name, and more about it.
        cards: from what the root signs to what workloads get.
    """

    id: str
    lines: tuple[str, ...]
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class Arrow:
    """Who signs whom, or trusts whom.

    Attributes:
        tail: id of a card, or of a panel that trusts.
        head: id of a card.
        kind: signs or trusts.
    """

    tail: str
    head: str
    kind: Kind


@dataclass(frozen=True)
class Picture:
    """All that is drawn.

    Attributes:
        title: what it shows.
        notes: what holds for all of it, a line each.
        roots: what clusters trust.
        panels: the clusters.
        arrows: in the order in which they are drawn.
    """

    title: str
    notes: tuple[str, ...]
    roots: tuple[Card, ...]
    panels: tuple[Panel, ...]
    arrows: tuple[Arrow, ...]

    @property
    def cards(self) -> tuple[Card, ...]:
        """All cards."""
        return (*self.roots, *(card for panel in self.panels for card in panel.cards))

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of arrow in it, in the order of a legend."""
        return tuple(kind for kind in Kind if kind in {arrow.kind for arrow in self.arrows})

    @property
    def signing(self) -> "Picture":
        """The same with nothing but who signs whom: that alone says what stands where."""
        return replace(self, arrows=tuple(each for each in self.arrows if each.kind is Kind.SIGNS))


def picture(told: Hierarchy) -> Picture:
    """Decide what is drawn of a hierarchy."""
    trusts = [
        Arrow(_id("cluster", cluster.name), _id("root", name), Kind.TRUSTS)
        for cluster in told.clusters
        for name in cluster.trusts
        if name != cluster.root
    ]
    is_crowded = len(trusts) > MANY
    return Picture(
        title=f"Trust of {told.stack}",
        notes=tuple(_notes(told, is_crowded)),
        roots=tuple(map(_root, told.roots)),
        panels=tuple(map(_panel, told.clusters)),
        arrows=(*([] if is_crowded else trusts), *(arrow for cluster in told.clusters for arrow in _signs(cluster))),
    )


def _notes(told: Hierarchy, is_crowded: bool) -> Iterator[str]:
    moves = f", rotation in phase {told.rotation.phase}" if told.rotation else ""
    yield f"Trust model {told.model}{moves}: every cluster trusts {_counted(len(told.roots))}"
    if len(told.clusters) > 1:
        yield "Istio binds no root to a trust domain: a trusted root can mint any accepted identity"
    if is_crowded:
        yield "Arrows to the roots that clusters trust beside their own are left out"


def _counted(roots: int) -> str:
    return {1: "the one root", 2: "both roots"}.get(roots, f"all {roots} roots")


def _root(root: Root) -> Card:
    return Card(_id("root", root.name), ROOTS[root.standing], root.name, tuple(_of(root.certificate)))


def _panel(cluster: Cluster) -> Panel:
    links = [cluster.intermediate, *cluster.chain]
    authorities = [
        Card(_link(cluster, place), Kind.INTERMEDIATE, link.name, tuple(_of(link))) for place, link in enumerate(links)
    ]
    domain = (f"trust domain {cluster.trust_domain}",)
    workloads = Card(_id("cluster", cluster.name, "workloads"), Kind.WORKLOADS, cluster.identities, domain)
    accepts = f"accepts {', '.join(cluster.accepts)}" if cluster.accepts else "accepts no foreign trust domain"
    return Panel(_id("cluster", cluster.name), (cluster.name, accepts), (*authorities[::-1], workloads))


def _of(certificate: Certificate) -> Iterator[str]:
    if certificate.is_encrypted:
        yield "encrypted in the stack file"
        return
    yield str(certificate.subject)
    yield certificate.life


def _signs(cluster: Cluster) -> Iterator[Arrow]:
    """Lead from the root to the workloads."""
    links = [_link(cluster, place) for place in range(len(cluster.chain), -1, -1)]
    way = [_id("root", cluster.root), *links, _id("cluster", cluster.name, "workloads")]
    yield from (Arrow(above, below, Kind.SIGNS) for above, below in pairwise(way))


def _link(cluster: Cluster, place: int) -> str:
    return _id("cluster", cluster.name, str(place))


def _id(*parts: str) -> str:
    """Name a thing in letters that every format takes."""
    return "/".join(quote(part, safe="") for part in parts)


def dot(drawn: Picture) -> str:
    """Write a picture as a graph that any Graphviz draws."""
    return "\n".join(_graph(drawn)) + "\n"


def _graph(drawn: Picture) -> Iterator[str]:
    of = graphviz.attributes
    page = of(rankdir="LR", newrank="true", compound="true", nodesep=0.3, ranksep=1.1)
    words = graphviz.label((drawn.title, *drawn.notes))
    font = of(fontname=FONT, fontsize=graphviz.SIZE)
    filled = of(style="rounded,filled", fillcolor=CARD.light, fontcolor=TITLE.light)
    yield "digraph {"
    yield f"  graph {page}{of(label=words, labelloc='t', labeljust='l')}{font};"
    yield f"  node {of(shape='box', margin='0.16,0.09', width=COLUMNS)}{font}{filled};"
    yield f"  edge {of(arrowsize=0.7)};"
    yield from (f"  {_card(card)}" for card in drawn.roots)
    yield f"  {{ rank=same; {' '.join(graphviz.named(card.id) for card in drawn.roots)} }}"
    for above, below in pairwise(drawn.roots):
        yield f'  "{above.id}" -> "{below.id}" {of(style="invis")};'
    for panel in drawn.panels:
        lines = graphviz.subgraph(frame(panel.id), panel.lines, FRAME, PANEL, map(_card, panel.cards))
        yield from (f"  {line}" for line in lines)
    yield from (f"  {_edge(arrow, drawn)}" for arrow in drawn.arrows)
    yield "}"


def frame(id: str) -> str:
    """Name a panel so that Graphviz takes it for a frame."""
    return f"cluster_{id}"


def _card(card: Card) -> str:
    line = LOOKS[card.kind]
    look = graphviz.attributes(color=line.ink.light, penwidth=line.width)
    return f'"{card.id}" {graphviz.attributes(label=graphviz.label(card.lines))}{look};'


def _edge(arrow: Arrow, drawn: Picture) -> str:
    line = LOOKS[arrow.kind]
    style = "dashed" if line.dash else "solid"
    look = graphviz.attributes(color=line.ink.light, penwidth=line.width, style=style)
    if arrow.kind is Kind.SIGNS:
        return f'"{arrow.tail}" -> "{arrow.head}" {look};'
    first = next(panel.cards[0].id for panel in drawn.panels if panel.id == arrow.tail)
    back = graphviz.attributes(ltail=frame(arrow.tail), constraint="false")
    return f'"{first}" -> "{arrow.head}" {look}{back};'


def mermaid(drawn: Picture) -> str:
    """Write a picture as a flow chart."""
    return "\n".join(_chart(drawn)) + "\n"


def _chart(drawn: Picture) -> Iterator[str]:
    yield "flowchart LR"
    yield f'  notes["{flowchart.label((drawn.title, *drawn.notes))}"]:::note'
    yield from (f"  {_box(card)}" for card in drawn.roots)
    for panel in drawn.panels:
        inside = (f"  {_box(card)}" for card in panel.cards)
        yield from flowchart.subgraph(panel.id, ": ".join(panel.lines), inside)
    for arrow in drawn.arrows:
        line = "-->" if arrow.kind is Kind.SIGNS else "-.->"
        yield f'  {flowchart.name(arrow.tail)} {line}|"{arrow.kind.value}"| {flowchart.name(arrow.head)}'
    yield "  classDef note text-align:left"
    used = {card.kind for card in drawn.cards}
    for kind in (kind for kind in Kind if kind in used):
        yield f"  classDef {kind.name.lower()} {flowchart.style(LOOKS[kind])}"


def _box(card: Card) -> str:
    return f'{flowchart.name(card.id)}["{flowchart.label(card.lines)}"]:::{card.kind.name.lower()}'


def render(told: Hierarchy, format: Format) -> bytes:
    """Draw a hierarchy in one of the formats that are drawn."""
    return _WRITERS[format](picture(told))


def _svg(drawn: Picture) -> str:
    from mesh_federation.diagrams.hierarchy_svg import svg  # the layout loads Graphviz, which no other format needs

    return svg(drawn)


def _png(drawn: Picture) -> bytes:
    from mesh_federation.diagrams.png import png

    return png(_svg(drawn))


_WRITERS: Mapping[Format, Callable[[Picture], bytes]] = {
    Format.SVG: lambda drawn: _svg(drawn).encode(),
    Format.PNG: _png,
    Format.MERMAID: lambda drawn: mermaid(drawn).encode(),
    Format.DOT: lambda drawn: dot(drawn).encode(),
}
