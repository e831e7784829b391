"""How lines run on a page that Graphviz has laid out: in lanes, as on a circuit board, and never one upon another.

Graphviz decides what stands where. Here like things get one left and one right side, and in the free strip between two
columns every gateway gets a lane: lines that lead to the same place join, lines to different places only cross.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, groupby

from mesh_federation.diagrams.dot import COLUMNS
from mesh_federation.diagrams.drawing import Drawing, Edge, Kind
from mesh_federation.diagrams.layout import Box, Layout, Point

ROUND = 9.0
"""Radius of a line's corners."""
CLEAR = 7.0
"""Least distance of lines that run side by side."""
HEAD = 7.0
"""Length of an arrow's head."""
NEAR = 24.0
"""From the words about a cluster to what is in it."""

Span = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """An edge.

    Attributes:
        points: of cubic Bezier curves, one after the other.
        arrow: corners of its head.
    """

    points: tuple[Point, ...]
    arrow: tuple[Point, ...]


@dataclass(frozen=True)
class _Leg:
    """A part of an edge, through one strip between two columns.

    Attributes:
        edge: place of the edge.
        bundle: what it may join.
        start: where it comes from the left column.
        end: where it goes to the right one.
    """

    edge: int
    bundle: tuple[str, ...]
    start: Point
    end: Point

    @property
    def strip(self) -> Span:
        """The two sides of what it crosses."""
        return self.start[0], self.end[0]


def routed(drawing: Drawing, placed: Layout) -> tuple[Layout, list[Curve]]:
    """Align what is in one column, and lead the edges through lanes between the columns.

    Returns:
        Where everything is now, and the drawing's edges.
    """
    page, boxes = _closed_up(drawing, placed.page, _aligned(drawing, placed.boxes))
    legs = list(_legs(drawing, boxes))
    lanes = {strip: _lanes(list(within)) for strip, within in groupby(sorted(legs, key=_strip), _strip)}
    return Layout(page, boxes), [_curve(list(way), lanes) for _, way in groupby(legs, lambda leg: leg.edge)]


def _aligned(drawing: Drawing, boxes: Mapping[str, Box]) -> dict[str, Box]:
    """Give all boxes of a column, and all panels, the same left and right side."""
    columns = [
        [panel.frame for panel in drawing.panels],
        [panel.id for panel in drawing.panels],
        *([node.id for node in drawing.nodes if node.kind in kinds] for kinds in COLUMNS),
    ]
    aligned = dict(boxes)
    for column in filter(None, columns):
        left, right = min(boxes[id].x for id in column), max(boxes[id].right for id in column)
        aligned |= {id: replace(boxes[id], x=left, width=right - left) for id in column}
    return aligned


def _closed_up(drawing: Drawing, page: Box, boxes: Mapping[str, Box]) -> tuple[Box, dict[str, Box]]:
    """Draw the words about clusters near to what is in these: no edge runs between them."""
    slack = min(boxes[node.id].x for node in drawing.nodes) - boxes[drawing.panels[0].id].right - NEAR
    moved = {panel.id: replace(boxes[panel.id], x=boxes[panel.id].x + slack) for panel in drawing.panels}
    frames = {network.id for network in drawing.networks} | {panel.frame for panel in drawing.panels}
    moved |= {id: _without(box, slack) for id, box in boxes.items() if id in frames}
    return _without(page, slack), {**boxes, **moved}


def _without(box: Box, left: float) -> Box:
    return replace(box, x=box.x + left, width=box.width - left)


def _legs(drawing: Drawing, boxes: Mapping[str, Box]) -> Iterator[_Leg]:
    """Take every edge apart into legs, from the left to the right; past a column in its way it runs between boxes."""
    columns: dict[Span, list[Box]] = defaultdict(list)
    for node in drawing.nodes:
        columns[boxes[node.id].x, boxes[node.id].right].append(boxes[node.id])
    goals = [boxes[edge.head].middle + _aside(edge, drawing) for edge in drawing.edges]
    arrivals = defaultdict(set)
    for edge, goal in zip(drawing.edges, goals, strict=True):
        arrivals[boxes[edge.head].x].add(goal)
    for place, (edge, goal) in enumerate(zip(drawing.edges, goals, strict=True)):
        tail, head = boxes[edge.tail], boxes[edge.head]
        passed = sorted(span for span in columns if tail.right < span[0] and span[1] < head.x)
        sides = [*(left for left, _ in passed), head.x]
        over = list(_heights(tail.middle, passed, sides[1:], columns, arrivals))
        is_alone = bool(passed) or sum(other.tail == edge.tail for other in drawing.edges) == 1
        x, y = tail.right, _leaving(tail, [*over, goal][0], is_alone, arrivals[sides[0]])
        for (left, right), height in zip(passed, over, strict=True):
            yield _Leg(place, (edge.tail, edge.head), (x, y), (left, height))
            x, y = right, height
        yield _Leg(place, _bundle(edge), (x, y), (head.x, goal))


def _heights(
    y: float,
    passed: Iterable[Span],
    after: Iterable[float],
    columns: Mapping[Span, Collection[Box]],
    arrivals: Mapping[float, set[float]],
) -> Iterator[float]:
    """Choose at which heights an edge passes the columns in its way."""
    for (left, right), then in zip(passed, after, strict=True):
        y = _free(y, columns[left, right], arrivals[left] | arrivals[then])
        arrivals[left].add(y)
        yield y


def _leaving(tail: Box, goal: float, is_alone: bool, arrivals: Collection[float]) -> float:
    """Choose where an edge leaves: straight ahead if it can, never where another arrives, as if the two were one."""
    y = goal if is_alone and tail.y + CLEAR <= goal <= tail.bottom - CLEAR else tail.middle
    while any(abs(y - other) < CLEAR and other != goal for other in arrivals):
        y -= 1
    return y


def _free(y: float, boxes: Collection[Box], taken: Collection[float]) -> float:
    """Find the nearest height at which a line passes a column: over no box, and upon no other line."""
    for far in count():
        for height in (y - far, y + far):
            beside = all(height < box.y - CLEAR or box.bottom + CLEAR < height for box in boxes)
            if beside and all(abs(height - other) >= CLEAR for other in taken):
                return height
    raise AssertionError("a page has no end")


def _bundle(edge: Edge) -> tuple[str, ...]:
    return (edge.tail,) if edge.kind is Kind.EXPORT else (edge.head, edge.kind)


def _aside(edge: Edge, drawing: Drawing) -> float:
    """Tell how far from the middle a line arrives: those of different kinds stay apart."""
    arriving = sorted({_bundle(other) for other in drawing.edges if other.head == edge.head})
    return CLEAR * (arriving.index(_bundle(edge)) - (len(arriving) - 1) / 2)


def _strip(leg: _Leg) -> Span:
    return leg.strip


def _lanes(legs: Sequence[_Leg]) -> dict[tuple[str, ...], float]:
    """Give each bundle in a strip the first lane in which no other one is at the same height; tell where it is."""
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


def _curve(way: Sequence[_Leg], lanes: Mapping[Span, Mapping[tuple[str, ...], float]]) -> Curve:
    """Draw an edge: its legs, what joins them, and its head."""
    x, y = way[-1].end
    stop = (x - HEAD, y)
    ends = [*(leg.end for leg in way[:-1]), stop]
    bends = (_bent(leg.start, end, lanes[leg.strip][leg.bundle]) for leg, end in zip(way, ends, strict=True))
    joints = ([], *(_straight(before.end, leg.start) for before, leg in zip(way, way[1:], strict=False)))
    points = chain.from_iterable((*joint, *bend) for joint, bend in zip(joints, bends, strict=True))
    return Curve((way[0].start, *points), ((stop[0], y - HEAD / 2), (x, y), (stop[0], y + HEAD / 2)))


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
