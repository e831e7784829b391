"""Whatever federation is drawn: no box lies upon another, no line runs over a box, and none upon another line."""

from collections.abc import Callable
from functools import partial
from itertools import combinations, pairwise, permutations
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_federation.diagrams import hierarchy
from mesh_federation.diagrams.dot import dot
from mesh_federation.diagrams.drawing import Drawing, Edge
from mesh_federation.diagrams.graph import (
    Caller,
    Cluster,
    Egress,
    Export,
    Gateway,
    Graph,
    Import,
    Mode,
    Port,
    Root,
    Trust,
)
from mesh_federation.diagrams.layout import Box, Layout, Point, layout
from mesh_federation.diagrams.routes import CLEAR, Curve, routed
from mesh_federation.diagrams.topology import drawing
from tests.unit.components.federations import committed, multi_primary
from tests.unit.diagrams.federations import FLEET, STACKS, drawn, of
from tests.unit.diagrams.fleet import fleet
from tests.unit.diagrams.trusts import TREES, drawn_trust
from tests.unit.diagrams.trusts import of as trust_of

HTTP = (Port("http", 8000, "HTTP"),)
Routed = tuple[Drawing, Layout, list[Curve]]


def mixed() -> Graph:
    """The stack with egress gateways, where both call one more cluster directly, past the column of these."""
    tree = committed("egress")
    tree["clusters"]["north"] = {"provisioner": "kwok", "podSubnet": "10.50.0.0/16", "serviceSubnet": "10.255.50.0/24"}
    callers = [{"cluster": name} for name in ("east", "west")]
    tree["exports"].append({**tree["exports"][0], "cluster": "north", "service": "maps/tiles", "to": callers})
    link = {"from": "north", "service": "maps/tiles", "as": "remote"}
    tree["imports"] += [{**link, "cluster": name} for name in ("east", "west")]
    return of(tree)


def together() -> Graph:
    """One mesh of three clusters, two of them on one network; all discover each other."""
    tree = multi_primary("existing")
    subnets = {"podSubnet": "10.50.0.0/16", "serviceSubnet": "10.255.50.0/24"}
    tree["clusters"]["cluster-2"] = {**tree["clusters"]["cluster-0"], **subnets}
    for name, cluster in tree["clusters"].items():
        cluster |= {"kubeconfig": f"{name}.kubeconfig", "apiServer": f"https://{name}.example:6443"}
    tree["discovery"] = [{"cluster": a, "of": b} for a, b in permutations(tree["clusters"], 2)]
    return of(tree)


GRAPHS: dict[str, Callable[[], Graph]] = {
    **{name: partial(drawn, name) for name in (*STACKS, FLEET)},
    "mixed": mixed,
    "together": together,
}
DRAWINGS: dict[str, Callable[[], Drawing]] = {
    **{name: lambda graph=graph: drawing(graph()) for name, graph in GRAPHS.items()},  # type: ignore[misc]
    **{f"trust-{name}": partial(drawn_trust, name) for name in TREES},
    "trust-fleet": lambda: hierarchy.drawing(trust_of(fleet())),
}
"""Federations, and certificate hierarchies."""
each_graph = pytest.mark.parametrize("name", GRAPHS)
each_drawing = pytest.mark.parametrize("name", DRAWINGS)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Up to six clusters that import from each other in any way, some by egress."""
    names = [f"c{number}" for number in range(draw(st.integers(1, 6)))]
    pairs = list(permutations(names, 2))
    links = draw(st.lists(st.sampled_from(pairs), max_size=12, unique=True)) if pairs else []
    any_mode: tuple[Mode, ...] = ("remote", "local", "global")
    modes = {pair: draw(st.sampled_from(any_mode)) for pair in links}
    egress = {pair for pair in links if draw(st.booleans())}

    def imported(at: str, source: str) -> Import:
        via: Literal["direct", "egress"] = "egress" if (at, source) in egress else "direct"
        return Import("", f"ns/{source}", source, modes[at, source], "host", HTTP, via, "istio", None, None)

    def cluster(name: str) -> Cluster:
        callers = tuple(Caller(at, ()) for at, source in links if source == name)
        leaves = any(at == name for at, _ in egress)
        return Cluster(
            path="", name=name, provisioner="kind", istio="1.31.0", is_of_others=False, locality=name, network=name,
            mesh=name,
            trust_domain=f"{name}.local", root="root CA", accepts=(), gateway=Gateway(("172.30.0.1",), 15443, False),
            egress=Egress("10.0.0.5", ("ns",)) if leaves else None,
            exports=(Export("", f"ns/{name}", HTTP, ("host",), callers),) if callers else (),
            imports=tuple(imported(*link) for link in sorted(links) if link[0] == name), discoveries=(), read_by=(),
        )  # fmt: skip

    return Graph("any", Trust("common", "link", (Root("root CA", tuple(names)),)), tuple(map(cluster, names)))


def laid_out(shown: Drawing) -> Routed:
    return shown, *routed(shown, layout(dot(shown)))


def boxes_are_apart(shown: Drawing, placed: Layout) -> None:
    frames = [placed.boxes[panel.frame] for panel in shown.panels]
    assert not any(overlap(a, b) for a, b in combinations(frames, 2))
    for panel in shown.panels:
        inside = [placed.boxes[id] for id in (panel.id, *(node.id for node in panel.nodes))]
        assert not any(overlap(a, b) for a, b in combinations(inside, 2))
        assert all(within(box, placed.boxes[panel.frame]) for box in inside)


def overlap(a: Box, b: Box) -> bool:
    return a.x < b.right and b.x < a.right and a.y < b.bottom and b.y < a.bottom


def within(inner: Box, outer: Box) -> bool:
    return outer.x < inner.x and inner.right < outer.right and outer.y < inner.y and inner.bottom < outer.bottom


def lines_are_clear_of_boxes(shown: Drawing, placed: Layout, curves: list[Curve]) -> None:
    boxes = {id: placed.boxes[id] for id in (*(n.id for n in shown.nodes), *(p.id for p in shown.panels))}
    for edge, curve in zip(shown.edges, curves, strict=True):
        for x, y in walked(curve.points):
            over = [id for id, b in boxes.items() if b.x + 1 < x < b.right - 1 and b.y + 1 < y < b.bottom - 1]
            assert not over, f"{edge.tail} -> {edge.head} runs over {over} at {x:.0f}, {y:.0f}"


def walked(points: tuple[Point, ...]) -> list[Point]:
    """Steps along a chain of cubic Bezier curves."""
    steps = [points[0]]
    for first in range(0, len(points) - 1, 3):
        curve = points[first : first + 4]
        for share in (step / 16 for step in range(1, 17)):
            left = 1 - share
            weights = (left**3, 3 * left**2 * share, 3 * left * share**2, share**3)
            x, y = (sum(w * p[axis] for w, p in zip(weights, curve, strict=True)) for axis in (0, 1))
            steps.append((x, y))
    return steps


def lines_to_different_places_are_apart(shown: Drawing, curves: list[Curve]) -> None:
    drawn_lines = list(zip(shown.edges, map(strokes, curves), strict=True))
    for (one, some), (other, more) in combinations(drawn_lines, 2):
        if not may_join(one, other):
            assert not any(upon(a, b) for a in some for b in more), f"{one} and {other}"


def may_join(one: Edge, other: Edge) -> bool:
    return one.tail == other.tail or one.bundle == other.bundle


def strokes(curve: Curve) -> list[tuple[Point, Point]]:
    """The straight parts of a line, up to its corners."""
    ends = list(pairwise(curve.points[::3]))
    return [(a, b) for a, b in ends if abs(a[0] - b[0]) < 0.01 or abs(a[1] - b[1]) < 0.01]


def upon(a: tuple[Point, Point], b: tuple[Point, Point]) -> bool:
    """Say whether two strokes run side by side for more than a crossing, closer than a reader can tell."""
    for along, across in ((0, 1), (1, 0)):
        if all(abs(point[across] - a[0][across]) < CLEAR / 2 for point in (*a, *b)):
            first, second = (sorted((stroke[0][along], stroke[1][along])) for stroke in (a, b))
            if min(first[1], second[1]) - max(first[0], second[0]) > CLEAR / 2:
                return True
    return False


def all_is_apart(drawn: Drawing) -> None:
    shown, placed, curves = laid_out(drawn)
    boxes_are_apart(shown, placed)
    lines_are_clear_of_boxes(shown, placed, curves)
    lines_to_different_places_are_apart(shown, curves)


@each_drawing
def test_boxes_and_lines_of_stacks_are_apart(name: str) -> None:
    all_is_apart(DRAWINGS[name]())


@settings(max_examples=25)
@given(graphs())
def test_boxes_and_lines_of_any_federation_are_apart(graph: Graph) -> None:
    all_is_apart(drawing(graph))


@each_drawing
def test_the_boxes_of_a_column_are_aligned(name: str) -> None:
    shown, placed, _ = laid_out(DRAWINGS[name]())
    assert {id for column in shown.columns for id in column.ids} == set(shown.titles)
    for ids in ([panel.frame for panel in shown.panels], *(column.ids for column in shown.columns)):
        assert len({(placed.boxes[id].x, placed.boxes[id].right) for id in ids}) == 1


@each_drawing
def test_a_line_begins_and_ends_at_the_boxes_that_it_joins(name: str) -> None:
    shown, placed, curves = laid_out(DRAWINGS[name]())
    for edge, curve in zip(shown.edges, curves, strict=True):
        tail, head = placed.boxes[edge.tail], placed.boxes[edge.head]
        (x, y), (end, goal) = curve.points[0], curve.arrow[1]
        assert (x, end) == (tail.right, head.x)
        assert tail.y < y < tail.bottom and head.y < goal < head.bottom
