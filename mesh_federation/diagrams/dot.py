"""Writes a drawing in the language of Graphviz."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from mesh_federation.diagrams.drawing import Drawing, Edge, Network, Node, Panel
from mesh_federation.diagrams.palette import CARD, FONT, FRAME, NETWORK, PANEL, TITLE, VERDICTS, Ink, stroke
from mesh_federation.stack.text import escape_unprintable

SIZE = 11
"""Font size, in points."""

Widths = Mapping[str, float]


def dot(drawing: Drawing) -> str:
    """Write a drawing as a Graphviz graph."""
    return "\n".join(_document(drawing)) + "\n"


def escaped(text: str) -> str:
    """Escape a text for a quoted label: Graphviz has escapes and entities of its own."""
    return escape_unprintable(text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")


def _document(drawing: Drawing) -> Iterator[str]:
    yield "digraph {"
    yield f"  graph {_page(drawing)};"
    filled = attributes(style="rounded,filled", fillcolor=CARD.light, fontcolor=TITLE.light)
    yield f"  node {attributes(shape='box', margin='0.14,0.07', fontname=FONT, fontsize=SIZE)}{filled};"
    yield f"  edge {attributes(arrowsize=0.7, tailport='e', headport='w')};"
    widths = {id: column.width for column in drawing.columns for id in column.ids}
    yield from (f"  {_card(node, widths)}" for node in drawing.shared)
    for network in drawing.networks:
        yield from (f"  {line}" for line in _network(network, widths))
    yield from _columns(drawing)
    for edge in drawing.edges:
        yield f'  "{edge.tail}" -> "{edge.head}" {_edge(edge)};'
    yield "}"


def _page(drawing: Drawing) -> str:
    words = label((drawing.title, *drawing.notes))
    above = attributes(label=words, labelloc="t", labeljust="l", fontname=FONT, fontsize=SIZE)
    shared = {node.id for node in drawing.shared}
    lanes = len({edge.bundle for edge in drawing.edges if not edge.spreads or edge.tail in shared})
    return f"{attributes(rankdir='LR', newrank='true', nodesep=0.2, ranksep=round(0.6 + 0.1 * lanes, 1))}{above}"


def _network(network: Network, widths: Widths) -> Iterator[str]:
    inside = (line for panel in network.panels for line in _panel(panel, widths))
    return subgraph(network.id, [network.title], FRAME, NETWORK, inside) if network.title else inside


def _panel(panel: Panel, widths: Widths) -> Iterator[str]:
    ink = VERDICTS[panel.verdict].ink if panel.verdict else FRAME
    inside = (_words(panel, widths), *(_card(node, widths) for node in panel.nodes))
    return subgraph(panel.frame, (), ink, PANEL, inside)


def subgraph(id: str, words: Iterable[str], line: Ink, surface: Ink, inside: Iterable[str]) -> Iterator[str]:
    """Write a frame with a caption and its content."""
    look = attributes(style="rounded,filled", color=line.light, fillcolor=surface.light, margin=18)
    yield f'subgraph "{id}" {{'
    yield f"  graph {attributes(label=label(words))}{look};"
    yield from (f"  {line}" for line in inside)
    yield "}"


def _words(panel: Panel, widths: Widths) -> str:
    bare = attributes(shape="plaintext", style="", width=widths[panel.id], margin="0.02,0.02")
    return f'"{panel.id}" {attributes(label=label(panel.lines))}{bare};'


def _card(node: Node, widths: Widths) -> str:
    line = stroke(node.kind, node.verdict)
    look = attributes(width=widths[node.id], color=line.ink.light, penwidth=line.width)
    return f'"{node.id}" {attributes(label=label(node.lines))}{look};'


def _columns(drawing: Drawing) -> Iterator[str]:
    """Align the boxes of each column, also those without edges."""
    for column in drawing.columns:
        yield f"  {{ rank=same; {' '.join(map(named, column.ids))} }}"
    for left, right in pairwise(drawing.columns):
        yield f'  "{left.ids[0]}" -> "{right.ids[0]}" {attributes(style="invis", weight=0)};'


def named(id: str) -> str:
    """Write the id of a node as a statement."""
    return f'"{id}";'


def _edge(edge: Edge) -> str:
    line = stroke(edge.kind, edge.verdict)
    style = "solid" if not line.dash else "dotted" if line.dash[0] < line.dash[1] else "dashed"
    return attributes(color=line.ink.light, penwidth=line.width, style=style)


def label(lines: Iterable[str]) -> str:
    """Join lines to a left-aligned label."""
    return "".join(f"{escaped(line)}\\l" for line in lines)


def attributes(**given: str | float) -> str:
    """Write attributes of a graph, a node or an edge; texts must be escaped already."""
    written = (f'{name}="{value}"' if isinstance(value, str) else f"{name}={value:g}" for name, value in given.items())
    return f"[{', '.join(written)}]"
