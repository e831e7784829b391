"""A picture in each format."""

from collections.abc import Callable, Mapping

from mesh_federation.diagrams import hierarchy, topology
from mesh_federation.diagrams.document import document
from mesh_federation.diagrams.dot import dot
from mesh_federation.diagrams.drawing import Drawing
from mesh_federation.diagrams.formats import Format
from mesh_federation.diagrams.graph import Graph
from mesh_federation.diagrams.live import Live
from mesh_federation.diagrams.mermaid import mermaid
from mesh_federation.plan.hierarchy import Hierarchy


def render(graph: Graph, format: Format, live: Live | None = None) -> bytes:
    """Write a federation, with results of checks if there are any."""
    if format is Format.JSON:
        return document(graph, live).encode()
    return _WRITERS[format](topology.drawing(graph, live))


def render_hierarchy(shown: Hierarchy, format: Format) -> bytes:
    """Write a certificate hierarchy, in any format but JSON."""
    return _WRITERS[format](hierarchy.drawing(shown))


def _svg(drawing: Drawing) -> str:
    from mesh_federation.diagrams.svg import svg  # the layout loads Graphviz, which no other format needs

    return svg(drawing)


def _png(drawing: Drawing) -> bytes:
    from mesh_federation.diagrams.png import png

    return png(_svg(drawing))


_WRITERS: Mapping[Format, Callable[[Drawing], bytes]] = {
    Format.SVG: lambda drawing: _svg(drawing).encode(),
    Format.PNG: _png,
    Format.MERMAID: lambda drawing: mermaid(drawing).encode(),
    Format.DOT: lambda drawing: dot(drawing).encode(),
}
