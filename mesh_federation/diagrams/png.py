"""Pictures in pixels, for places that do not show SVG."""

import resvg_py

from mesh_federation.diagrams.errors import TopologyError
from mesh_federation.diagrams.palette import FONTS

ZOOM = 2
"""Pixels per point, for screens of high resolution."""
PROBE = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text y="9" font-family="{}">{}</text></svg>'


def png(svg: str) -> bytes:
    """Render an SVG as on a light page.

    Raises:
        TopologyError: no font is installed, so texts would be missing.
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
