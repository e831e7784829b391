"""The content of a picture as a JSON document for programs."""

import json
from collections.abc import Iterator
from dataclasses import asdict

from mesh_federation.diagrams.graph import Graph
from mesh_federation.diagrams.live import Live


def document(graph: Graph, live: Live | None = None) -> str:
    """Write the facts of a federation, and the verdict on each entry if there is a report."""
    facts = asdict(graph)
    if live:
        facts["verdicts"] = {path: live.verdict(path).value for path in sorted(_paths(graph))}
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"


def _paths(graph: Graph) -> Iterator[str]:
    for cluster in graph.clusters:
        yield cluster.path
        for entries in (cluster.exports, cluster.imports, cluster.discoveries):
            yield from (entry.path for entry in entries)
