"""One federation in each format."""

from collections.abc import Callable, Mapping

from mesh_federation.diagrams.document import document
from mesh_federation.diagrams.dot import dot
from mesh_federation.diagrams.drawing import drawing
from mesh_federation.diagrams.formats import Format
from mesh_federation.diagrams.graph import Graph
from mesh_federation.diagrams.live import Live
from mesh_federation.diagrams.mermaid import mermaid


def render(graph: Graph, format: Format, live: Live | None = None) -> bytes:
    """Draw a federation, with results of checks laid over it if there are any."""
    return _WRITERS[format](graph, live)


def _svg(graph: Graph, live: Live | None) -> str:
    from mesh_federation.diagrams.svg import svg  # the layout loads Graphviz, which no other format needs

    return svg(drawing(graph, live))


def _png(graph: Graph, live: Live | None) -> bytes:
    from mesh_federation.diagrams.png import png

    return png(_svg(graph, live))


_WRITERS: Mapping[Format, Callable[[Graph, Live | None], bytes]] = {
    Format.SVG: lambda graph, live: _svg(graph, live).encode(),
    Format.PNG: _png,
    Format.MERMAID: lambda graph, live: mermaid(drawing(graph, live)).encode(),
    Format.DOT: lambda graph, live: dot(drawing(graph, live)).encode(),
    Format.JSON: lambda graph, live: document(graph, live).encode(),
}
