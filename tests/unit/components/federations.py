"""Federations to run the program with, as they stand in stack files."""

import copy
from collections.abc import Mapping
from typing import Any

import yaml

from tests.unit.components.recorder import ROOT

Tree = dict[str, Any]

STACKS = ("embedded", "simulated", "east-west", "separate-roots", "as-local", "gateway-api", "egress", "three-meshes")
"""The committed stack files."""


def committed(stack: str) -> Tree:
    """Return the federation of a committed stack file."""
    file = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())
    tree: Tree = file["config"]["mesh-federation:federation"]
    return tree


def name_of(declared: Mapping[str, str]) -> str:
    """Return how objects of an export or import are named after its service."""
    return declared["service"].replace("/", "-")


def with_trust(model: str) -> Tree:
    """Return the simulated federation in another trust model."""
    return {**committed("simulated"), "trust": {"model": model}}


def three_clusters() -> Tree:
    """Two clusters export httpbin to the third, which imports both with failover and a connection pool."""
    tree = copy.deepcopy(committed("simulated"))
    tree["clusters"]["north"] = {
        "provisioner": "kwok",
        "podSubnet": "10.50.0.0/16",
        "serviceSubnet": "10.255.50.0/24",
        "trustDomain": "north.local",
    }
    tree["exports"].append({**tree["exports"][0], "cluster": "north"})
    tree["imports"].append({**tree["imports"][0], "from": "north"})
    for link in tree["imports"]:
        link["failover"] = {"to": "north"}
        link["connectionPool"] = {"maxConnections": 10}
    tree["workloads"].append({"cluster": "north", "sample": "httpbin"})
    return tree


def as_local(**given: object) -> Tree:
    """The simulated federation, with pods of httpbin in east too, which those in west join."""
    tree = copy.deepcopy(committed("simulated"))
    tree["imports"] = [{**link, "as": "local", **given} for link in tree["imports"]]
    tree["workloads"].append({"cluster": "east", "sample": "httpbin"})
    return tree


def on_k3d(**of_west: object) -> Tree:
    """The simulated federation on k3d clusters, which k3s's own load balancer serves."""
    tree = copy.deepcopy(committed("simulated"))
    for cluster in tree["clusters"].values():
        cluster |= {"provisioner": "k3d", "nodes": 2}
    tree["clusters"]["west"] |= of_west
    return tree


def as_global(**given: object) -> Tree:
    """The simulated federation, whose httpbin east calls by its global host; no pods of it in east."""
    tree = copy.deepcopy(committed("simulated"))
    tree["imports"] = [{**link, "as": "global", **given} for link in tree["imports"]]
    for export in tree["exports"]:
        export["ports"] = [{**port, "targetPort": 8080} for port in export["ports"]]
    return tree


def not_ours() -> Tree:
    """The simulated federation on clusters that exist already."""
    tree = copy.deepcopy(committed("simulated"))
    for name, cluster in tree["clusters"].items():
        cluster |= {"provisioner": "existing", "kubeconfig": f"$KUBECONFIGS/{name}"}
    return tree


def multi_primary(provisioner: str = "kwok") -> Tree:
    """The committed stack whose two clusters discover each other, on other clusters than k3d's."""
    tree = committed("multi-primary")
    for cluster in tree["clusters"].values():
        cluster |= {"provisioner": provisioner}
    return {"exports": [], "imports": [], **tree}
