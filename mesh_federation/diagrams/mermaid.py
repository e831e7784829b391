"""Writes a drawing in the language of Mermaid, which code hosts show in Markdown."""

from collections.abc import Iterable, Iterator

from mesh_federation.diagrams.drawing import Drawing, Node, Panel
from mesh_federation.diagrams.palette import KINDS, VERDICTS, Stroke, stroke
from mesh_federation.stack.text import escape_unprintable

PLAIN = frozenset(" -./:,()%·")
"""Characters that need no escape, beside letters and digits."""


def mermaid(drawing: Drawing) -> str:
    """Write a drawing as a Mermaid flow chart."""
    return "\n".join(_document(drawing)) + "\n"


def escaped(text: str) -> str:
    """Escape a text for a quoted label: no HTML, no Markdown, no entities."""
    return "".join(c if c.isalnum() or c in PLAIN else f"#{ord(c)};" for c in escape_unprintable(text))


def name(id: str) -> str:
    """Turn an id into a Mermaid identifier; different ids get different identifiers."""
    return "n_" + "".join(c if c.isascii() and c.isalnum() else "__" if c == "/" else f"_{ord(c):x}_" for c in id)


def _document(drawing: Drawing) -> Iterator[str]:
    yield "flowchart LR"
    yield f'  notes["{label((drawing.title, *drawing.notes))}"]:::note'
    yield from (_card(node) for node in drawing.shared)
    for network in drawing.networks:
        inside = [line for panel in network.panels for line in _panel(panel)]
        yield from subgraph(network.id, network.title, inside) if network.title else inside
    for edge in drawing.edges:
        yield f"  {name(edge.tail)} --> {name(edge.head)}"
    for panel in drawing.panels:
        yield f"  {name(panel.id)} ~~~ {name(panel.nodes[0].id)}"
    yield from _looks(drawing)


def _panel(panel: Panel) -> Iterator[str]:
    words = f'  {name(panel.id)}["{label(panel.lines[1:])}"]:::words'
    return subgraph(panel.frame, panel.title, (words, *map(_card, panel.nodes)))


def subgraph(id: str, title: str, inside: Iterable[str]) -> Iterator[str]:
    """Write a frame with its content."""
    yield f'  subgraph {name(id)}["{escaped(title)}"]'
    yield from (f"  {line}" for line in inside)
    yield "  end"


def _card(node: Node) -> str:
    return f'  {name(node.id)}["{label(node.lines)}"]:::{_look(node)}'


def label(lines: Iterable[str]) -> str:
    """Join lines to a label."""
    return "<br/>".join(map(escaped, lines))


def _look(node: Node) -> str:
    ink = VERDICTS[node.verdict].ink if node.verdict else KINDS[node.kind].ink
    return ink.name.replace("-", "_")


def _looks(drawing: Drawing) -> Iterator[str]:
    """Write the styles that differ from Mermaid's own, so that its light and dark themes stay."""
    yield "  classDef note text-align:left"
    yield "  classDef words fill:none,stroke:none,text-align:left"
    used = {_look(node): stroke(node.kind, node.verdict) for node in drawing.nodes}
    for look, line in sorted(used.items()):
        yield f"  classDef {look} stroke:{line.ink.light},stroke-width:{line.width:g}px"
    for panel in drawing.panels:
        if panel.verdict:
            yield f"  style {name(panel.frame)} {style(VERDICTS[panel.verdict])}"
    for place, edge in enumerate(drawing.edges):
        yield f"  linkStyle {place} {style(stroke(edge.kind, edge.verdict))}"


def style(line: Stroke) -> str:
    """Write the style of a line."""
    dashes = f",stroke-dasharray:{' '.join(f'{length:g}' for length in line.dash)}" if line.dash else ""
    return f"stroke:{line.ink.light},stroke-width:{line.width:g}px{dashes}"
