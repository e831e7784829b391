"""Routes edges on a page that Graphviz has laid out: in lanes, as on a circuit board, and never on top of each other.

Graphviz places the boxes. This module aligns the boxes of each column, and gives every bundle of edges a lane in the
free strip between two columns: edges of one bundle join, others only cross.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, groupby
from typing import TypeVar

from mesh_federation.diagrams.drawing import Drawing, Edge, NodeKind
from mesh_federation.diagrams.layout import Box, Layout, Point

ROUND = 9.0
"""Radius of a line's corners."""
CLEAR = 7.0
"""Least distance of lines that run side by side."""
HEAD = 7.0
"""Length of an arrow's head."""
NEAR = 24.0
"""Distance from the words about a cluster to its nodes."""

Span = tuple[float, float]
_Ordered = TypeVar("_Ordered", NodeKind, tuple[str, NodeKind])


@dataclass(frozen=True)
class Curve:
    """An edge.

    Attributes:
        points: of cubic Bezier curves, one after the other.
        arrow: corners of its head.
        spreads: whether its first part is shared with other edges, instead of its last part.
    """

    points: tuple[Point, ...]
    arrow: tuple[Point, ...]
    spreads: bool = False


@dataclass(frozen=True)
class _Leg:
    """A part of an edge, through one strip between two columns.

    Attributes:
        edge: index of the edge.
        bundle: legs of the same bundle may join.
        start: point on the left column.
        end: point on the right column.
    """

    edge: int
    bundle: tuple[str, ...]
    start: Point
    end: Point

    @property
    def strip(self) -> Span:
        """The two sides of the strip."""
        return self.start[0], self.end[0]


def routed(drawing: Drawing, placed: Layout) -> tuple[Layout, list[Curve]]:
    """Align the boxes of each column, and lead the edges through lanes between the columns.

    Returns:
        The new layout, and one curve per edge.
    """
    page, boxes = _closed_up(drawing, placed.page, _aligned(drawing, placed.boxes))
    legs = list(_legs(drawing, boxes))
    lanes = {strip: _lanes(list(within)) for strip, within in groupby(sorted(legs, key=_strip), _strip)}
    by_edge = groupby(legs, lambda leg: leg.edge)
    return Layout(page, boxes), [_curve(list(way), lanes, drawing.edges[place].spreads) for place, way in by_edge]


def _aligned(drawing: Drawing, boxes: Mapping[str, Box]) -> dict[str, Box]:
    """Align boxes of one column, and all panels, to common left and right edges."""
    aligned = dict(boxes)
    for column in ([panel.frame for panel in drawing.panels], *(column.ids for column in drawing.columns)):
        left, right = min(boxes[id].x for id in column), max(boxes[id].right for id in column)
        aligned |= {id: replace(boxes[id], x=left, width=right - left) for id in column}
    return aligned


def _closed_up(drawing: Drawing, page: Box, boxes: Mapping[str, Box]) -> tuple[Box, dict[str, Box]]:
    """Move the words about clusters next to the nodes, unless edges run between them."""
    if drawing.shared:
        return page, dict(boxes)
    slack = min(boxes[node.id].x for node in drawing.nodes) - boxes[drawing.panels[0].id].right - NEAR
    moved = {panel.id: replace(boxes[panel.id], x=boxes[panel.id].x + slack) for panel in drawing.panels}
    frames = {network.id for network in drawing.networks} | {panel.frame for panel in drawing.panels}
    moved |= {id: _without(box, slack) for id, box in boxes.items() if id in frames}
    return _without(page, slack), {**boxes, **moved}


def _without(box: Box, left: float) -> Box:
    return replace(box, x=box.x + left, width=box.width - left)


def _legs(drawing: Drawing, boxes: Mapping[str, Box]) -> Iterator[_Leg]:
    """Split every edge into legs, from left to right; an edge passes a column between its boxes."""
    columns: dict[Span, list[Box]] = defaultdict(list)
    for id in (id for column in drawing.columns for id in column.ids):
        columns[boxes[id].x, boxes[id].right].append(boxes[id])
    goals = [boxes[edge.head].middle + _aside(edge, drawing) for edge in drawing.edges]
    arrivals = defaultdict(set)
    for edge, goal in zip(drawing.edges, goals, strict=True):
        arrivals[boxes[edge.head].x].add(goal)
    for place, (edge, goal) in enumerate(zip(drawing.edges, goals, strict=True)):
        tail, head = boxes[edge.tail], boxes[edge.head]
        passed = sorted(span for span in columns if tail.right < span[0] and span[1] < head.x)
        sides = [*(left for left, _ in passed), head.x]
        over = list(_heights(goal if edge.spreads else tail.middle, passed, sides[1:], columns, arrivals))
        is_alone = bool(passed) or sum(other.tail == edge.tail for other in drawing.edges) == 1
        start = tail.middle + _aside_at_tail(edge, drawing)
        x, y = tail.right, _leaving(tail, start, [*over, goal][0], is_alone, arrivals[sides[0]])
        for (left, right), height in zip(passed, over, strict=True):
            yield _Leg(place, edge.bundle if edge.spreads else (edge.tail, edge.head), (x, y), (left, height))
            x, y = right, height
        yield _Leg(place, edge.bundle, (x, y), (head.x, goal))


def _heights(
    y: float,
    passed: Iterable[Span],
    after: Iterable[float],
    columns: Mapping[Span, Collection[Box]],
    arrivals: Mapping[float, set[float]],
) -> Iterator[float]:
    """Choose the heights at which an edge passes the columns in between."""
    for (left, right), then in zip(passed, after, strict=True):
        y = _free(y, columns[left, right], arrivals[left] | arrivals[then])
        arrivals[left].add(y)
        yield y


def _leaving(tail: Box, start: float, goal: float, is_alone: bool, arrivals: Collection[float]) -> float:
    """Choose where an edge leaves: straight ahead if possible, and never where another edge arrives."""
    y = goal if is_alone and tail.y + CLEAR <= goal <= tail.bottom - CLEAR else start
    while any(abs(y - other) < CLEAR and other != goal for other in arrivals):
        y -= 1
    return y


def _free(y: float, boxes: Collection[Box], taken: Collection[float]) -> float:
    """Find the nearest height at which a line passes a column without touching a box or another line."""
    for far in count():
        for height in (y - far, y + far):
            beside = all(height < box.y - CLEAR or box.bottom + CLEAR < height for box in boxes)
            if beside and all(abs(height - other) >= CLEAR for other in taken):
                return height
    raise AssertionError("a page has no end")


def _aside(edge: Edge, drawing: Drawing) -> float:
    """Return how far from the middle of its head a line arrives: lines of different bundles stay apart."""
    return _apart(edge.bundle, {other.bundle for other in drawing.edges if other.head == edge.head})


def _aside_at_tail(edge: Edge, drawing: Drawing) -> float:
    """Return how far from the middle of its tail a line leaves: lines of different kinds stay apart."""
    return _apart(edge.kind, {other.kind for other in drawing.edges if other.tail == edge.tail})


def _apart(one: _Ordered, all: Collection[_Ordered]) -> float:
    return CLEAR * (sorted(all).index(one) - (len(all) - 1) / 2)


def _strip(leg: _Leg) -> Span:
    return leg.strip


def _lanes(legs: Sequence[_Leg]) -> dict[tuple[str, ...], float]:
    """Give each bundle in a strip the first lane that is free at its heights; return the lanes' x."""
    spans = {bundle: _span(each) for bundle, each in groupby(sorted(legs, key=_by_bundle), _by_bundle)}
    taken: list[list[Span]] = []
    lanes = {}
    for bundle, (top, bottom) in sorted(spans.items(), key=lambda item: (item[1], item[0])):
        free = (k for k, others in enumerate(taken) if all(bottom + CLEAR < a or b + CLEAR < top for a, b in others))
        lanes[bundle] = next(free, len(taken))
        taken += [[]] if lanes[bundle] == len(taken) else []
        taken[lanes[bundle]].append((top, bottom))
    left, right = legs[0].strip
    step = (right - left - 2 * ROUND - HEAD) / (len(taken) + 1)
    return {bundle: left + ROUND + step * (lane + 1) for bundle, lane in lanes.items()}


def _by_bundle(leg: _Leg) -> tuple[str, ...]:
    return leg.bundle


def _span(legs: Iterable[_Leg]) -> Span:
    heights = [y for leg in legs for _, y in (leg.start, leg.end)]
    return min(heights), max(heights)


def _curve(way: Sequence[_Leg], lanes: Mapping[Span, Mapping[tuple[str, ...], float]], spreads: bool) -> Curve:
    """Draw an edge: its legs, the joints between them, and its head."""
    x, y = way[-1].end
    stop = (x - HEAD, y)
    ends = [*(leg.end for leg in way[:-1]), stop]
    bends = (_bent(leg.start, end, lanes[leg.strip][leg.bundle]) for leg, end in zip(way, ends, strict=True))
    joints = ([], *(_straight(before.end, leg.start) for before, leg in zip(way, way[1:], strict=False)))
    points = chain.from_iterable((*joint, *bend) for joint, bend in zip(joints, bends, strict=True))
    return Curve((way[0].start, *points), ((stop[0], y - HEAD / 2), (x, y), (stop[0], y + HEAD / 2)), spreads)


def _bent(start: Point, end: Point, lane: float) -> list[Point]:
    """Turn into a lane and out of it."""
    y, goal = start[1], end[1]
    radius = min(ROUND, abs(goal - y) / 2)
    turn = radius if goal > y else -radius
    before, after = (lane - radius, y), (lane, y + turn)
    leaves, out = (lane, goal - turn), (lane + radius, goal)
    bends = (_corner((lane, y), after), _straight(after, leaves), _corner((lane, goal), out))
    return [*_straight(start, before), *chain.from_iterable(bends), *_straight(out, end)]


def _straight(start: Point, end: Point) -> list[Point]:
    return [start, end, end]


def _corner(bend: Point, end: Point) -> list[Point]:
    return [bend, bend, end]
