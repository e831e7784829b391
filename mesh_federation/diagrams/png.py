"""A picture in pixels, for where no SVG is taken."""

import resvg_py

from mesh_federation.diagrams.errors import TopologyError
from mesh_federation.diagrams.palette import FONTS

ZOOM = 2
"""Pixels a point: fine letters on fine screens."""
PROBE = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text y="9" font-family="{}">{}</text></svg>'


def png(svg: str) -> bytes:
    """Turn a picture into pixels, as it looks on a light page.

    Raises:
        TopologyError: its words would be missing.
    """
    if _letters("M") == _letters(""):
        why = f"its words would be missing, as this machine has none of the fonts {', '.join(FONTS)}"
        fix = "install one, for example the package fonts-liberation, or take --format svg"
        raise TopologyError("the picture cannot be turned into pixels", why, fix)
    return _pixels(svg)


def _letters(text: str) -> bytes:
    return _pixels(PROBE.format(", ".join(FONTS), text))


def _pixels(svg: str) -> bytes:
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=ZOOM, dpi=96))
