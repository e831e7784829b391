"""Writes a drawing as SVG: readable on light and dark pages, with a description in words for screen readers.

Every text is stretched to the width that Graphviz computed, in whatever font it is shown, so no label leaves its box.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from xml.etree.ElementTree import Element

from mesh_federation.diagrams.dot import SIZE, dot
from mesh_federation.diagrams.drawing import Drawing, Edge, Node, NodeKind, Panel
from mesh_federation.diagrams.layout import Box, Layout, layout
from mesh_federation.diagrams.live import EntryVerdict
from mesh_federation.diagrams.palette import (
    CARD,
    FRAME,
    INKS,
    KINDS,
    NETWORK,
    PANEL,
    QUIET,
    STEEL,
    TEXT,
    TITLE,
    VERDICTS,
    Stroke,
    stroke,
)
from mesh_federation.diagrams.routes import Curve, routed
from mesh_federation.diagrams.shapes import (
    HEADING,
    arrow,
    badge,
    document,
    group,
    heading,
    lines,
    middle,
    moved,
    rectangle,
    text,
    written,
)

MARGIN = 24.0
GAP = 5.0
"""Half of the distance between two panels."""
LEGEND = 20.0
"""Distance of the legend's rows."""

Sample = tuple[NodeKind | EntryVerdict, str]


def svg(drawing: Drawing) -> str:
    """Write a drawing as SVG."""
    placed, curves = routed(drawing, layout(dot(drawing)))
    rows = list(_rows(_legend(drawing), placed.page.width))
    below = HEADING + placed.page.height + LEGEND
    size = placed.page.width + 2 * MARGIN, below + LEGEND * (len(rows) - 1) + 2 * MARGIN
    root = document(drawing.title, " ".join(_sentences(drawing)), size, INKS)
    inner = moved(root, MARGIN, MARGIN)
    heading(inner, drawing.title, drawing.notes, placed.page)
    _picture(moved(inner, -placed.page.x, HEADING), drawing, placed, curves)
    for place, row in enumerate(rows):
        _samples(inner, row, below + LEGEND * place, drawing.is_live)
    return written(root)


def _sentences(drawing: Drawing) -> Iterator[str]:
    """Describe the picture in sentences."""
    yield from (f"{note}." for note in drawing.notes)
    yield from (f"{'; '.join(node.lines)}." for node in drawing.shared)
    for panel in drawing.panels:
        yield f"Cluster {'; '.join(panel.lines)}."
        yield from (f"In {panel.title}: {'; '.join(node.lines)}." for node in panel.nodes)
    titles = drawing.titles
    for edge in drawing.edges:
        if edge.kind in (NodeKind.SIGNS, NodeKind.TRUSTED_BY):
            yield f"{titles[edge.tail]} {edge.kind.value} {titles[edge.head]}."


def _picture(parent: Element, drawing: Drawing, placed: Layout, curves: Iterable[Curve]) -> None:
    for network in drawing.networks:
        if network.title:
            box = placed.boxes[network.id]
            rectangle(parent, box, NETWORK, Stroke(FRAME, width=1), 12)
            text(parent, network.title, (box.x + 14, box.y + 18), QUIET, SIZE, box.lines[0])
    for panel in drawing.panels:
        _panel(parent, panel, placed.boxes[panel.frame], placed.boxes[panel.id])
    for edge, curve in zip(drawing.edges, curves, strict=True):
        _edge(parent, edge, curve)
    for node in drawing.nodes:
        _card(parent, node, placed.boxes[node.id])


def _panel(parent: Element, panel: Panel, box: Box, words: Box) -> None:
    lane = replace(box, y=box.y + GAP, height=box.height - 2 * GAP)
    made = group(parent, (*panel.lines, *panel.said))
    rectangle(made, lane, PANEL, VERDICTS[panel.verdict] if panel.verdict else Stroke(FRAME, width=1), 10)
    if panel.verdict:
        badge(made, panel.verdict, (lane.right - 18, lane.y))
    lines(made, panel.lines, words, [(TITLE, 15.0), *[(TEXT, 10.5)] * (len(panel.lines) - 1)], inset=2)


def _card(parent: Element, node: Node, box: Box) -> None:
    made = group(parent, (*node.lines, *node.said))
    rectangle(made, box, CARD, stroke(node.kind, node.verdict), 6)
    title = [(TITLE, 12.0)] if node.title else []
    lines(made, node.lines, box, [(KINDS[node.kind].ink, 10.0), *title, *[(TEXT, 10.5)] * len(node.details)], inset=10)
    if node.verdict:
        badge(made, node.verdict, (box.right - 14, box.y))


def _edge(parent: Element, edge: Edge, curve: Curve) -> None:
    arrow(parent, curve, stroke(edge.kind, edge.verdict))
    if edge.verdict in (EntryVerdict.FAILED, EntryVerdict.COULD_NOT_RUN):
        badge(parent, edge.verdict, middle(curve.points[:4]))


def _legend(drawing: Drawing) -> Iterator[Sample]:
    for kind in drawing.kinds:
        yield kind, "exported by the gateway" if kind is NodeKind.EXPORT else kind.value
    if drawing.is_live:
        yield from ((verdict, verdict.value) for verdict in EntryVerdict)


def _rows(legend: Iterable[Sample], width: float) -> Iterator[list[Sample]]:
    row: list[Sample] = []
    for sample in legend:
        if row and sum(map(_wide, [*row, sample])) > width:
            yield row
            row = []
        row.append(sample)
    yield row


def _wide(sample: Sample) -> float:
    return 60 + 6.0 * len(sample[1])


def _samples(parent: Element, row: Iterable[Sample], y: float, is_live: bool) -> None:
    """Explain lines and signs; if colours show verdicts, kinds differ by their strokes alone."""
    x = 0.0
    for sample in row:
        what, words = sample
        if isinstance(what, EntryVerdict):
            badge(parent, what, (x + 26, y - 4))
        else:
            line = ((x, y - 4), (x, y - 4), (x + 28, y - 4), (x + 28, y - 4))
            look = replace(KINDS[what], ink=STEEL) if is_live else KINDS[what]
            arrow(parent, Curve(line, ((x + 28, y - 7), (x + 35, y - 4), (x + 28, y - 1))), look)
        text(parent, words, (x + 42, y), QUIET, SIZE)
        x += _wide(sample)
