"""What is in a cluster: so that the product and the script are compared only when they made the same."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks.scratch import BenchError, run

HELM_RELEASE = "helm.sh/release.v1"
"""Type of the Secrets in which Helm keeps its releases; the product has its state instead."""

IMAGE = "image"
"""Beside the kinds of Kubernetes."""


class Listed(NamedTuple):
    """One Kubernetes object by name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """For messages."""
        return f"{self.kind} {self.namespace}/{self.name}".replace(" /", " ")


def kinds(bodies: Iterable[Mapping[str, object]]) -> list[str]:
    """Return the kinds of bodies as kubectl takes them, sorted, and the kind of custom resource definitions."""
    named = {_kind(str(body["apiVersion"]), str(body["kind"])) for body in bodies}
    return sorted(named | {_kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")})


def _kind(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    return f"{kind}.{version}.{group}" if group else kind


def listing(kubeconfig: Path, wanted: Iterable[str], environment: Mapping[str, str]) -> set[Listed]:
    """Return all objects of some kinds in a cluster, but for Helm's own."""
    get = ["kubectl", f"--kubeconfig={kubeconfig}", "get", ",".join(wanted), "--all-namespaces", "--output=json"]
    items = json.loads(run(get, kubeconfig.parent, environment))["items"]
    return {
        Listed(item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"])
        for item in items
        if item.get("type") != HELM_RELEASE
    }


def images(kubeconfig: Path, environment: Mapping[str, str]) -> set[Listed]:
    """Return the images of all pods in a cluster."""
    get = ["kubectl", f"--kubeconfig={kubeconfig}", "get", "pods", "--all-namespaces", "--output=json"]
    items = json.loads(run(get, kubeconfig.parent, environment))["items"]
    return {
        Listed(IMAGE, item["metadata"]["namespace"], container["image"])
        for item in items
        for container in [*item["spec"].get("initContainers", []), *item["spec"]["containers"]]
    }


def require_same(product: Mapping[str, set[Listed]], script: Mapping[str, set[Listed]]) -> None:
    """Refuse to compare two bring-ups that did not make the same.

    Raises:
        BenchError: names the objects that only one of them has.
    """
    lines = [
        f"only the {who} has {listed} in {cluster}"
        for cluster in sorted({*product, *script})
        for who, one, other in (("product", product, script), ("script", script, product))
        for listed in sorted(one.get(cluster, set()) - other.get(cluster, set()))
    ]
    if lines:
        raise BenchError("the product and the script made different things:\n" + "\n".join(lines))
