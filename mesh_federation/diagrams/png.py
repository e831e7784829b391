"""Pictures in pixels, for places that do not show SVG."""

import resvg_py

from mesh_federation.diagrams.errors import TopologyError
from mesh_federation.diagrams.palette import FONTS

ZOOM = 2
"""Pixels per point, for screens of high resolution."""
PROBE = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text y="9" font-family="{}">{}</text></svg>'


def png(svg: str, system_fonts: bool = True) -> bytes:
    """Render an SVG as on a light page.

    Args:
        svg: the picture.
        system_fonts: whether the fonts of this machine are used; there are no others.

    Raises:
        TopologyError: no font is installed, so texts would be missing.
    """
    if _letters("M", system_fonts) == _letters("", system_fonts):
        why = f"its words would be missing, as this machine has none of the fonts {', '.join(FONTS)}"
        fix = "install one, for example the package fonts-liberation, or take --format svg"
        raise TopologyError("the picture cannot be turned into pixels", why, fix)
    return _pixels(svg, system_fonts)


def _letters(text: str, system_fonts: bool) -> bytes:
    return _pixels(PROBE.format(", ".join(FONTS), text), system_fonts)


def _pixels(svg: str, system_fonts: bool) -> bytes:
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=ZOOM, dpi=96, skip_system_fonts=not system_fonts))
