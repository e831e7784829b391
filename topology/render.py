"""One federation in each format."""

from collections.abc import Callable, Mapping

from topology.document import document
from topology.dot import dot
from topology.drawing import drawing
from topology.formats import Format
from topology.graph import Graph
from topology.live import Live
from topology.mermaid import mermaid


def render(graph: Graph, format: Format, live: Live | None = None) -> bytes:
    """Draw a federation, with results of checks laid over it if there are any."""
    return _WRITERS[format](graph, live)


def _svg(graph: Graph, live: Live | None) -> str:
    from topology.svg import svg  # the layout loads Graphviz, which no other format needs

    return svg(drawing(graph, live))


def _png(graph: Graph, live: Live | None) -> bytes:
    from topology.png import png

    return png(_svg(graph, live))


_WRITERS: Mapping[Format, Callable[[Graph, Live | None], bytes]] = {
    Format.SVG: lambda graph, live: _svg(graph, live).encode(),
    Format.PNG: _png,
    Format.MERMAID: lambda graph, live: mermaid(drawing(graph, live)).encode(),
    Format.DOT: lambda graph, live: dot(drawing(graph, live)).encode(),
    Format.JSON: lambda graph, live: document(graph, live).encode(),
}
