"""Namespaces that must be there before anything is put into them, and whose they are."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mesh_federation.plan import local_endpoints
from mesh_federation.plan.istio_values import NAMESPACE
from mesh_federation.stack.config import Federation, NamespacedName

Body = dict[str, object]

DEFAULT = "default"
"""Every cluster has it, for everybody: its owner says what is in the mesh there."""

RESERVED: Mapping[str, str] = {
    NAMESPACE: "Istio",
    "kube-node-lease": "Kubernetes",
    "kube-public": "Kubernetes",
    "kube-system": "Kubernetes",
    "local-path-storage": "the local storage of Kubernetes",
    "metallb-system": "MetalLB",
}
"""Namespaces that hold a part of the cluster itself, and of what: no service of a mesh runs there."""


@dataclass(frozen=True)
class Needed:
    """Something of other people that must be in a cluster before the stack puts anything of its own beside it.

    Attributes:
        kind: Namespace or Service.
        namespace: its namespace; empty for a Namespace.
        name: its name.
        path: where in the stack file it is spoken of.
    """

    kind: str
    namespace: str
    name: str
    path: str


def injected(federation: Federation, cluster: str, callers: Iterable[str] = ()) -> list[Body]:
    """Bodies of the namespaces that get objects of ours, labelled before any pod exists (pitfall 50).

    Samples' always. Those of exports, of imports beside pods and of callers only where this program makes the cluster:
    nobody else can have made them before, and elsewhere they are their owners'. Never those that a cluster has anyway.

    Args:
        federation: the model.
        cluster: whose namespaces.
        callers: namespaces whose calls leave through an egress gateway alone.
    """
    names = {workload.reference.namespace for workload in federation.workloads if workload.cluster == cluster}
    if federation.clusters[cluster].provider.ours:
        names |= {service.namespace for service, _ in _linked(federation, cluster)} | set(callers)
    labels = _asking(federation)
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}}
        for name in sorted(names - {DEFAULT, *RESERVED})
    ]


def needed(federation: Federation, cluster: str, callers: Iterable[str] = ()) -> list[Needed]:
    """What others must have made in a cluster that was there before: namespaces, and Services that imports join.

    Args:
        federation: the model.
        cluster: whose objects.
        callers: namespaces whose calls leave through an egress gateway alone.
    """
    if federation.clusters[cluster].provider.ours:
        return []
    samples = {workload.reference for workload in federation.workloads if workload.cluster == cluster}
    made = {DEFAULT, *RESERVED, *(sample.namespace for sample in samples)}
    links = [link for link in federation.imports if link.cluster == cluster]
    leaving = next((link.path for link in links if link.via == "egress"), "")
    wanted = [(service.namespace, path) for service, path in _linked(federation, cluster)]
    wanted += [(caller, leaving) for caller in callers]
    first = {namespace: path for namespace, path in reversed(wanted) if namespace not in made}
    joined = {
        link.service: link.path for link in reversed(links) if link.mode == "local" and link.service not in samples
    }
    return [
        *(Needed("Namespace", "", namespace, path) for namespace, path in sorted(first.items())),
        *(Needed("Service", service.namespace, service.name, path) for service, path in sorted(joined.items())),
    ]


def asked_by_pods(namespace: str, revision: str) -> dict[str, str]:
    """Labels by which pods ask for a sidecar themselves, in a namespace that is not ours to label."""
    return {"istio.io/rev": revision or "default"} if namespace == DEFAULT else {}


def _asking(federation: Federation) -> dict[str, str]:
    revision = federation.istio.revision
    return {"istio.io/rev": revision} if revision else {"istio-injection": "enabled"}


def _linked(federation: Federation, cluster: str) -> Iterator[tuple[NamespacedName, str]]:
    """Services whose namespace gets an object of ours, and where each is spoken of."""
    for export in federation.exports:
        if export.cluster == cluster:
            yield export.service, export.path
    for link in federation.imports:
        if link.cluster == cluster and local_endpoints.answer(federation, link):
            yield link.service, link.path
