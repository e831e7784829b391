"""A drawing in the language of Graphviz."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from mesh_federation.diagrams.drawing import Drawing, Edge, Kind, Network, Node, Panel
from mesh_federation.diagrams.palette import CARD, FONT, FRAME, NETWORK, PANEL, TITLE, VERDICTS, Ink, stroke
from mesh_federation.stack.text import escape_unprintable

SIZE = 11
"""Of all letters, in points."""
COLUMNS: Mapping[tuple[Kind, ...], float] = {
    (Kind.REMOTE, Kind.LOCAL, Kind.GLOBAL, Kind.DISCOVERY): 2.8,
    (Kind.EGRESS,): 1.9,
    (Kind.GATEWAY, Kind.API_SERVER): 2.0,
    (Kind.EXPORT,): 2.8,
}
"""A call passes them from left to right, in every cluster at the same place; with their least widths, in inches."""


def dot(drawing: Drawing) -> str:
    """Write a drawing as a graph that any Graphviz draws."""
    return "\n".join(_document(drawing)) + "\n"


def escaped(text: str) -> str:
    """Write any text so that Graphviz shows it as it is between quotes: it has escapes and entities of its own."""
    return escape_unprintable(text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")


def _document(drawing: Drawing) -> Iterator[str]:
    yield "digraph {"
    yield f"  graph {_page(drawing)};"
    filled = attributes(style="rounded,filled", fillcolor=CARD.light, fontcolor=TITLE.light)
    yield f"  node {attributes(shape='box', margin='0.14,0.07', fontname=FONT, fontsize=SIZE)}{filled};"
    yield f"  edge {attributes(arrowsize=0.7, tailport='e', headport='w')};"
    for network in drawing.networks:
        yield from (f"  {line}" for line in _network(network))
    yield from _columns(drawing)
    for edge in drawing.edges:
        yield f'  "{edge.tail}" -> "{edge.head}" {_edge(edge)};'
    yield "}"


def _page(drawing: Drawing) -> str:
    words = label((drawing.title, *drawing.notes))
    above = attributes(label=words, labelloc="t", labeljust="l", fontname=FONT, fontsize=SIZE)
    arrivals = len({edge.head for edge in drawing.edges if edge.kind is not Kind.EXPORT})
    return f"{attributes(rankdir='LR', newrank='true', nodesep=0.2, ranksep=round(0.6 + 0.1 * arrivals, 1))}{above}"


def _network(network: Network) -> Iterator[str]:
    inside = (line for panel in network.panels for line in _panel(panel))
    return subgraph(network.id, [network.title], FRAME, NETWORK, inside) if network.title else inside


def _panel(panel: Panel) -> Iterator[str]:
    ink = VERDICTS[panel.verdict].ink if panel.verdict else FRAME
    return subgraph(panel.frame, (), ink, PANEL, (_words(panel), *map(_card, panel.nodes)))


def subgraph(id: str, words: Iterable[str], line: Ink, surface: Ink, inside: Iterable[str]) -> Iterator[str]:
    """Write a frame with words and with what is in it."""
    look = attributes(style="rounded,filled", color=line.light, fillcolor=surface.light, margin=18)
    yield f'subgraph "{id}" {{'
    yield f"  graph {attributes(label=label(words))}{look};"
    yield from (f"  {line}" for line in inside)
    yield "}"


def _words(panel: Panel) -> str:
    bare = attributes(shape="plaintext", style="", width=2.2, margin="0.02,0.02")
    return f'"{panel.id}" {attributes(label=label(panel.lines))}{bare};'


def _card(node: Node) -> str:
    line = stroke(node.kind, node.verdict)
    width = next(width for column, width in COLUMNS.items() if node.kind in column)
    look = attributes(width=width, color=line.ink.light, penwidth=line.width)
    return f'"{node.id}" {attributes(label=label(node.lines))}{look};'


def _columns(drawing: Drawing) -> Iterator[str]:
    """Put like things below each other, also where no edge does."""
    columns = [[node.id for node in drawing.nodes if node.kind in kinds] for kinds in COLUMNS]
    present = [[panel.id for panel in drawing.panels], *filter(None, columns)]
    for column in present:
        yield f"  {{ rank=same; {' '.join(map(named, column))} }}"
    for left, right in pairwise(present):
        yield f'  "{left[0]}" -> "{right[0]}" {attributes(style="invis", weight=0)};'


def named(id: str) -> str:
    """Name a node among others of one rank."""
    return f'"{id}";'


def _edge(edge: Edge) -> str:
    line = stroke(edge.kind, edge.verdict)
    style = "solid" if not line.dash else "dotted" if line.dash[0] < line.dash[1] else "dashed"
    return attributes(color=line.ink.light, penwidth=line.width, style=style)


def label(lines: Iterable[str]) -> str:
    """Join lines to a label whose lines begin at one margin."""
    return "".join(f"{escaped(line)}\\l" for line in lines)


def attributes(**given: str | float) -> str:
    """Write attributes of a graph, a node or an edge; their texts must be escaped."""
    written = (f'{name}="{value}"' if isinstance(value, str) else f"{name}={value:g}" for name, value in given.items())
    return f"[{', '.join(written)}]"
