"""The picture of a certificate hierarchy as SVG, in the looks of all pictures.

Graphviz says what stands where. Arrows between roots and clusters are drawn here: each has an end of its own on the
side of what it touches, in the order of what it leads to, so that few of them cross.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element

from mesh_federation.diagrams.dot import SIZE
from mesh_federation.diagrams.hierarchy import LOOKS, Arrow, Card, Kind, Panel, Picture, dot, frame
from mesh_federation.diagrams.layout import Box, Layout, Point, layout
from mesh_federation.diagrams.palette import CARD, FRAME, PANEL, QUIET, STEEL, TEXT, TITLE, Ink, Stroke
from mesh_federation.diagrams.routes import HEAD, Curve, Span
from mesh_federation.diagrams.shapes import (
    HEADING,
    arrow,
    document,
    group,
    heading,
    lines,
    moved,
    rectangle,
    text,
    written,
)

MARGIN = 24.0
LEGEND = 32.0
"""From the picture to what its arrows mean."""
APART = 14.0
"""From what an own root signs to what leads to others."""
INKS: tuple[Ink, ...] = tuple(dict.fromkeys((FRAME, TITLE, TEXT, QUIET, STEEL, *(look.ink for look in LOOKS.values()))))


def svg(drawn: Picture) -> str:
    """Draw a picture."""
    placed = _aligned(drawn, layout(dot(drawn.signing)))
    size = placed.page.width + 2 * MARGIN, HEADING + placed.page.height + LEGEND + 2 * MARGIN
    root = document(drawn.title, " ".join(_told(drawn)), size, INKS)
    inner = moved(root, MARGIN, MARGIN)
    heading(inner, drawn.title, drawn.notes, placed.page)
    shown = moved(inner, -placed.page.x, HEADING)
    for panel in drawn.panels:
        _panel(shown, panel, placed.boxes[frame(panel.id)])
    for each, curve in _curves(drawn, placed):
        arrow(shown, curve, LOOKS[each.kind])
    for card in drawn.cards:
        _card(shown, card, placed.boxes[card.id])
    _legend(inner, drawn, HEADING + placed.page.height + LEGEND)
    return written(root)


def _aligned(drawn: Picture, placed: Layout) -> Layout:
    """Give like things one left and one right side."""
    columns = (
        [card.id for card in drawn.roots],
        [frame(panel.id) for panel in drawn.panels],
        [panel.cards[0].id for panel in drawn.panels],
    )
    boxes = dict(placed.boxes)
    for column in columns:
        left, right = min(boxes[id].x for id in column), max(boxes[id].right for id in column)
        boxes |= {id: replace(boxes[id], x=left, width=right - left) for id in column}
    return replace(placed, boxes=boxes)


def _told(drawn: Picture) -> Iterator[str]:
    """Tell the picture in sentences."""
    names = {card.id: card.title for card in drawn.cards} | {panel.id: panel.lines[0] for panel in drawn.panels}
    yield from (f"{note}." for note in drawn.notes)
    yield from (f"{'; '.join(card.lines)}." for card in drawn.roots)
    for panel in drawn.panels:
        yield f"Cluster {'; '.join(panel.lines)}."
        yield from (f"In {panel.lines[0]}: {'; '.join(card.lines)}." for card in panel.cards)
    yield from (f"{names[each.tail]} {each.kind.value} {names[each.head]}." for each in drawn.arrows)


def _panel(parent: Element, panel: Panel, box: Box) -> None:
    made = group(parent, panel.lines)
    rectangle(made, box, PANEL, Stroke(FRAME, width=1), 10)
    looks = ((22, TITLE, 15.0), (38, TEXT, 10.5))
    for line, width, (y, ink, size) in zip(panel.lines, box.lines, looks, strict=True):
        text(made, line, (box.x + 14, box.y + y), ink, size, width * size / SIZE, bold=size > 14)


def _card(parent: Element, card: Card, box: Box) -> None:
    made = group(parent, card.lines)
    rectangle(made, box, CARD, LOOKS[card.kind], 6)
    looks = [(LOOKS[card.kind].ink, 10.0), (TITLE, 12.0), *[(TEXT, 10.5)] * len(card.details)]
    lines(made, card.lines, box, looks, inset=10)


def _curves(drawn: Picture, placed: Layout) -> Iterator[tuple[Arrow, Curve]]:
    """Lead each arrow from one side of the gap between two columns to the other."""
    boxes = {**placed.boxes, **{panel.id: placed.boxes[frame(panel.id)] for panel in drawn.panels}}
    first = {panel.id: boxes[panel.cards[0].id] for panel in drawn.panels}
    lefts, rights = list[_Touch](), list[_Touch]()
    for each in drawn.arrows:
        left, right = (each.head, each.tail) if each.kind is Kind.TRUSTS else (each.tail, each.head)
        lefts.append(_Touch(_side(boxes[left]), boxes[left].right, boxes[right].middle))
        side = _beside(boxes[right], first[right], boxes[left]) if right in first else _side(boxes[right])
        rights.append(_Touch(side, boxes[right].x, boxes[left].middle))
    for each, start, end in zip(drawn.arrows, _points(lefts), _points(rights), strict=True):
        yield each, _curve(end, start) if each.kind is Kind.TRUSTS else _curve(start, end)


@dataclass(frozen=True)
class _Touch:
    """Where an arrow touches something.

    Attributes:
        side: the heights between which it may.
        x: of that side.
        goal: height of what is at its other end.
    """

    side: Span
    x: float
    goal: float


def _side(box: Box) -> Span:
    return box.y, box.bottom


def _beside(panel: Box, first: Box, root: Box) -> Span:
    """Return the part of a panel's side that is nearer to a root: in its middle passes what its own root signs."""
    return (panel.y, first.middle - APART) if root.middle < first.middle else (first.middle + APART, panel.bottom)


def _points(touches: Sequence[_Touch]) -> list[Point]:
    """Give all that touch one side places of their own, in the order of what they lead to."""
    points: dict[int, Point] = {}
    sides = {(touch.x, touch.side) for touch in touches}
    for x, (top, bottom) in sides:
        found = [place for place, touch in enumerate(touches) if (touch.x, touch.side) == (x, (top, bottom))]
        step = (bottom - top) / (len(found) + 1)
        for rank, place in enumerate(sorted(found, key=lambda place: touches[place].goal), start=1):
            points[place] = (x, top + rank * step)
    return [points[place] for place in range(len(touches))]


def _curve(start: Point, end: Point) -> Curve:
    """Draw an arrow that leaves and arrives level."""
    ahead = HEAD if end[0] > start[0] else -HEAD
    stop = (end[0] - ahead, end[1])
    middle = (start[0] + stop[0]) / 2
    head = ((stop[0], end[1] - HEAD / 2), end, (stop[0], end[1] + HEAD / 2))
    return Curve((start, (middle, start[1]), (middle, end[1]), stop), head)


def _legend(parent: Element, drawn: Picture, y: float) -> None:
    x = 0.0
    for kind in drawn.kinds:
        arrow(parent, _curve((x, y - 4), (x + 35, y - 4)), LOOKS[kind])
        text(parent, kind.value, (x + 42, y), QUIET, SIZE)
        x += 60 + 6.0 * len(kind.value)
