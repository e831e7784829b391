"""Federations as stack files declare them, checked and ready to plan."""

from collections.abc import Mapping
from typing import Any

from mesh_federation.loader import parse
from mesh_federation.plan.federation import ClusterPlan, plan
from mesh_federation.stack.config import Federation

Tree = dict[str, Any]
HTTP = {"name": "http", "number": 8000, "protocol": "HTTP"}
GRPC = {"name": "grpc", "number": 9000, "protocol": "GRPC"}
SLEEP = {"cluster": "east", "serviceAccounts": ["sleep/sleep"]}


def cluster(place: int, **given: object) -> Tree:
    """Declare a cluster whose subnets overlap with no other's."""
    return {"podSubnet": f"10.{place}.0.0/16", "serviceSubnet": f"10.255.{place}.0/24", **given}


def export(source: str = "west", /, **given: object) -> Tree:
    """Declare an export of httpbin to east's sleep."""
    return {"cluster": source, "service": "httpbin/httpbin", "ports": [HTTP], "to": [SLEEP], **given}


def link(source: str = "west", /, **given: object) -> Tree:
    """Declare an import of httpbin into east."""
    return {"cluster": "east", "from": source, "service": "httpbin/httpbin", **given}


def tree(**given: object) -> Tree:
    """Declare east, which imports httpbin, and west, which exports it."""
    return {
        "clusters": {"east": cluster(10), "west": cluster(30)},
        "exports": [export()],
        "imports": [link()],
        **given,
    }


def three(**given: object) -> Tree:
    """Declare east, which imports httpbin from both north and west; every import takes what is given."""
    return tree(
        clusters={"east": cluster(10), "north": cluster(50), "west": cluster(30)},
        exports=[export(), export("north")],
        imports=[link(**given), link("north", **given)],
    )


def federation(**given: object) -> Federation:
    """Return the checked model of `tree` with some keys replaced."""
    return parse(tree(**given))


def planned(declared: Mapping[str, object] | None = None, name: str = "east", stack: str = "test") -> ClusterPlan:
    """Return the plan of one cluster."""
    return plan(parse(tree() if declared is None else declared), stack).clusters[name]
