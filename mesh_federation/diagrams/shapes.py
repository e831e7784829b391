"""Elements of SVG pictures: lines of text, rectangles, curves and signs."""

from collections.abc import Iterable, Sequence
from math import dist
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from mesh_federation.diagrams.dot import SIZE
from mesh_federation.diagrams.layout import Box, Point
from mesh_federation.diagrams.live import EntryVerdict
from mesh_federation.diagrams.palette import FONTS, PAGE, QUIET, SIGN, SURFACES, TITLE, VERDICTS, Ink, Stroke
from mesh_federation.diagrams.routes import Curve
from mesh_federation.stack.text import escape_unprintable

SIGNS = {
    EntryVerdict.FAILED: "M-2.8 -2.8L2.8 2.8M2.8 -2.8L-2.8 2.8",
    EntryVerdict.COULD_NOT_RUN: "M0 -3.8V0.8M0 3.2V3.8",
    EntryVerdict.PASSED: "M-3.4 0.2L-1 2.8L3.6 -2.8",
    EntryVerdict.SILENT: "M-3 0H3",
}
"""Cross, exclamation mark, check mark, dash."""
LEADING = SIZE * 1.2
"""Line height, the same as in Graphviz."""
HEADING = 14.0
"""Extra height of the title compared with the other lines above the picture."""


def document(title: str, description: str, size: tuple[float, float], inks: Sequence[Ink]) -> Element:
    """Begin a picture.

    Args:
        title: headline.
        description: the whole picture in sentences.
        size: width and height.
        inks: colours of lines and texts; surfaces are added.
    """
    width, height = size
    rectangle = {"width": f"{width:.0f}", "height": f"{height:.0f}"}
    look = {"role": "img", "aria-labelledby": "title description", "font-family": ", ".join((*FONTS, "sans-serif"))}
    view = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {width:.0f} {height:.0f}"}
    root = Element("svg", {**view, **rectangle, **look})
    SubElement(root, "title", {"id": "title"}).text = escape_unprintable(title)
    SubElement(root, "desc", {"id": "description"}).text = escape_unprintable(description)
    SubElement(root, "style").text = _style(inks)
    SubElement(root, "rect", {"class": PAGE.name, **rectangle, "rx": "8"})
    return root


def written(root: Element) -> str:
    """Serialize a complete picture."""
    ElementTree.indent(root, " ")
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _style(inks: Sequence[Ink]) -> str:
    """Define each colour once, for light pages and for dark ones."""
    light, dark = (
        " ".join(f".{ink.name} {{ {'fill' if ink in SURFACES else 'color'}: {color} }}" for ink, color in each)
        for each in ([(ink, ink.light) for ink in (*SURFACES, *inks)], [(ink, ink.dark) for ink in (*SURFACES, *inks)])
    )
    return f"{light} @media (prefers-color-scheme: dark) {{ {dark} }}"


def heading(parent: Element, title: str, notes: Sequence[str], page: Box) -> None:
    """Write the lines above a picture; the page has their widths."""
    text(parent, title, (0, 13), TITLE, 18, bold=True)
    for place, note in enumerate(notes, start=1):
        text(parent, note, (0, 18 + LEADING * place), QUIET, SIZE, page.lines[place])


def lines(parent: Element, words: Sequence[str], box: Box, looks: Iterable[tuple[Ink, float]], inset: float) -> None:
    """Write lines into a box, each in its ink and size; lines that are too wide are squeezed."""
    y = box.y + (box.height - LEADING * len(words)) / 2 + LEADING * 0.77
    for line, width, (ink, size) in zip(words, box.lines, looks, strict=True):
        bold = size > 14
        fitting = min(width * size / SIZE * (1.07 if bold else 1), box.width - 2 * inset)
        text(parent, line, (box.x + inset, y), ink, size, fitting, bold)
        y += LEADING


def group(parent: Element, words: Iterable[str] = ()) -> Element:
    """Begin a group with a tooltip."""
    made = SubElement(parent, "g")
    if tooltip := "\n".join(map(escape_unprintable, words)):
        SubElement(made, "title").text = tooltip
    return made


def moved(parent: Element, x: float, y: float) -> Element:
    """Begin a group with another origin."""
    return SubElement(parent, "g", {"transform": f"translate({_n(x)} {_n(y)})"})


def rectangle(parent: Element, box: Box, surface: Ink, frame: Stroke, radius: float) -> None:
    """Draw a rectangle with round corners."""
    place = {"x": _n(box.x), "y": _n(box.y), "width": _n(box.width), "height": _n(box.height), "rx": _n(radius)}
    SubElement(parent, "rect", {"class": f"{surface.name} {frame.ink.name}", **place, **_line(frame)})


def text(
    parent: Element, words: str, at: Point, ink: Ink, size: float, width: float | None = None, bold: bool = False
) -> None:
    """Write a line.

    Args:
        parent: element that gets the line.
        words: the text.
        at: left end of the baseline.
        ink: colour.
        size: font size.
        width: width in any font; None if there is enough space.
        bold: whether the font is bold.
    """
    look = {"class": ink.name, "fill": "currentColor", "x": _n(at[0]), "y": _n(at[1]), "font-size": _n(size)}
    look |= {"font-weight": "bold"} if bold else {}
    look |= {"textLength": _n(width), "lengthAdjust": "spacingAndGlyphs"} if width else {}
    SubElement(parent, "text", look).text = escape_unprintable(words)


def arrow(parent: Element, curve: Curve, look: Stroke) -> None:
    """Draw an edge with its head."""
    made = SubElement(parent, "g", {"class": look.ink.name})
    start, *rest = curve.points
    path = {"d": f"M{_at(start)}C{' '.join(map(_at, rest))}", "fill": "none", **_line(look)}
    SubElement(made, "path", path | (_dashes(curve, look) if look.dash else {}))
    SubElement(made, "polygon", {"points": " ".join(map(_at, curve.arrow)), "fill": "currentColor"})


def badge(parent: Element, verdict: EntryVerdict, at: Point) -> None:
    """Draw a verdict's sign in a disc."""
    made = moved(parent, *at)
    SubElement(made, "circle", {"class": VERDICTS[verdict].ink.name, "r": "7.5", "fill": "currentColor"})
    look = _line(Stroke(SIGN, width=1.8))
    SubElement(
        made, "path", {"class": SIGN.name, "d": SIGNS[verdict], "fill": "none", "stroke-linecap": "round", **look}
    )


def middle(curve: Sequence[Point]) -> Point:
    """Return the point half-way along one cubic Bezier curve."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = curve
    return (ax + 3 * bx + 3 * cx + dx) / 8, (ay + 3 * by + 3 * cy + dy) / 8


def _dashes(curve: Curve, look: Stroke) -> dict[str, str]:
    """Count the dashes from the end that an edge shares with others, where theirs are at the same places."""
    rest = 0.0 if curve.spreads else _length(curve.points) % sum(look.dash)
    return {"stroke-dasharray": " ".join(map(_n, look.dash)), "stroke-dashoffset": _n(-rest)}


def _length(points: Sequence[Point]) -> float:
    """Measure cubic Bezier curves, each by the mean of its chord and its control polygon."""
    parts = (points[first : first + 4] for first in range(0, len(points) - 1, 3))
    return sum((dist(a, d) + dist(a, b) + dist(b, c) + dist(c, d)) / 2 for a, b, c, d in parts)


def _line(look: Stroke) -> dict[str, str]:
    return {"stroke": "currentColor", "stroke-width": _n(look.width)}


def _at(point: Point) -> str:
    return f"{_n(point[0])},{_n(point[1])}"


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
