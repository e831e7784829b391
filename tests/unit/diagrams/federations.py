"""What the tests draw: every committed stack, and a federation of twelve clusters."""

import json
from functools import cache

from mesh_federation.diagrams.graph import Graph, graph
from mesh_federation.loader import parse
from mesh_federation.plan.federation import plan
from tests.unit.components.federations import Tree, committed
from tests.unit.components.recorder import ROOT
from tests.unit.diagrams.fleet import fleet

STACKS = sorted(file.stem.removeprefix("Pulumi.") for file in ROOT.glob("Pulumi.*.yaml"))
FLEET = "fleet"


@cache
def drawn(name: str) -> Graph:
    """The facts of a committed stack, or of the fleet."""
    return of(fleet() if name == FLEET else committed(name), name)


def of(tree: Tree, stack: str = "test") -> Graph:
    """The facts of any sound federation."""
    federation = parse(tree, base=ROOT)
    return graph(federation, plan(federation, stack), stack)


def report(stack: str, *results: tuple[str, str]) -> str:
    """What `mesh verify` would write: pairs of a path and a status, and keys that no picture needs."""
    told = [
        {"id": f"check.{place}", "about": [path], "status": status, "title": "a title", "found": "a secret: hunter2"}
        for place, (path, status) in enumerate(results)
    ]
    return json.dumps({"version": 1, "stack": stack, "results": told})
