"""Colours and lines. No meaning is carried by colour alone: kinds of edge differ by dashes, verdicts by signs.

Hues stay apart with the common colour blindnesses: blue, purple, green-blue and brown for kinds, and for verdicts a
blue-green, an amber and a red of different lightness.
"""

from dataclasses import dataclass

from mesh_federation.diagrams.drawing import NodeKind
from mesh_federation.diagrams.live import EntryVerdict

FONT = "Helvetica"
"""Graphviz knows the widths of this font without a font file, so the layout is the same everywhere."""
FONTS = (FONT, "Arial", "Liberation Sans", "Nimbus Sans", "Arimo", "DejaVu Sans", "Noto Sans")
"""Fonts for display; those with the same widths come first."""


@dataclass(frozen=True)
class Ink:
    """A colour with a name.

    Attributes:
        name: purpose.
        light: colour on light pages.
        dark: colour on dark pages.
    """

    name: str
    light: str
    dark: str


PAGE = Ink("page", "#ffffff", "#10161c")
NETWORK = Ink("network", "#e8ecf0", "#18212a")
PANEL = Ink("panel", "#f4f6f8", "#1a232c")
CARD = Ink("card", "#ffffff", "#232e39")
SURFACES = (PAGE, NETWORK, PANEL, CARD)

FRAME = Ink("frame", "#c3cad2", "#3d4a57")
TITLE = Ink("title", "#1c2733", "#eef2f5")
TEXT = Ink("text", "#45525f", "#c2ccd5")
QUIET = Ink("quiet", "#5f6b77", "#9aa7b3")
STEEL = Ink("steel", "#56616c", "#97a4b0")
SIGN = Ink("sign", "#ffffff", "#10161c")
ROOT = Ink("root", "#1762a6", "#6cb0ee")


@dataclass(frozen=True)
class Stroke:
    """A line.

    Attributes:
        ink: colour.
        dash: lengths of strokes and gaps in points; empty for a solid line.
        width: in points.
    """

    ink: Ink
    dash: tuple[float, ...] = ()
    width: float = 1.6


KINDS = {
    NodeKind.REMOTE: Stroke(Ink("remote", "#1762a6", "#6cb0ee")),
    NodeKind.LOCAL: Stroke(Ink("local", "#7b3f98", "#c99be0"), (8, 4)),
    NodeKind.GLOBAL: Stroke(Ink("global", "#00798c", "#4cc3d4"), (2, 3.5), 2),
    NodeKind.DISCOVERY: Stroke(Ink("discovery", "#8a5a00", "#dcae5c"), (10, 3, 2, 3)),
    NodeKind.EXPORT: Stroke(STEEL),
    NodeKind.GATEWAY: Stroke(STEEL),
    NodeKind.EGRESS: Stroke(STEEL),
    NodeKind.API_SERVER: Stroke(STEEL),
    NodeKind.ROOT: Stroke(ROOT),
    NodeKind.NEW_ROOT: Stroke(Ink("new-root", "#00796b", "#3fc8a8"), width=2.6),
    NodeKind.OLD_ROOT: Stroke(Ink("old-root", "#8a5a00", "#dcae5c"), width=2.6),
    NodeKind.INTERMEDIATE: Stroke(STEEL),
    NodeKind.WORKLOADS: Stroke(STEEL),
    NodeKind.SIGNS: Stroke(ROOT, width=2),
    NodeKind.TRUSTED_BY: Stroke(STEEL, (6, 4)),
}

VERDICTS = {
    EntryVerdict.FAILED: Stroke(Ink("failed", "#c62b2b", "#ff7b72"), width=3),
    EntryVerdict.COULD_NOT_RUN: Stroke(Ink("could-not-run", "#b97a00", "#e8b339"), width=2.4),
    EntryVerdict.PASSED: Stroke(Ink("passed", "#00836b", "#3fc8a8"), width=2),
    EntryVerdict.SILENT: Stroke(Ink("silent", "#98a2ac", "#6f7c88"), width=1.4),
}

INKS = (
    *(FRAME, TITLE, TEXT, QUIET, STEEL, SIGN),
    *dict.fromkeys(stroke.ink for stroke in KINDS.values() if stroke.ink is not STEEL),
    *(stroke.ink for stroke in VERDICTS.values()),
)


def stroke(kind: NodeKind, verdict: EntryVerdict | None) -> Stroke:
    """Return the line of an edge or of a node's frame: the kind gives the dashes, a verdict colour and width."""
    plain = KINDS[kind]
    return plain if verdict is None else Stroke(VERDICTS[verdict].ink, plain.dash, VERDICTS[verdict].width)
