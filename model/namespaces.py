"""Namespaces that must be there before anything is put into them."""

from collections.abc import Iterable

from model import pods
from model.config import Federation, NamespacedName, Provisioner

Body = dict[str, object]


def injected(federation: Federation, cluster: str, callers: Iterable[str] = ()) -> list[Body]:
    """Bodies of the namespaces that get objects of ours, labelled before any pod exists (pitfall 50).

    Samples' always. Those of exports, of imports beside pods and of callers only where this program makes the cluster:
    nobody else can have made them before, and elsewhere they are their owners'.

    Args:
        federation: the model.
        cluster: whose namespaces.
        callers: namespaces whose calls leave through an egress gateway alone.
    """
    names = {workload.reference.namespace for workload in federation.workloads if workload.cluster == cluster}
    if federation.clusters[cluster].provisioner is not Provisioner.EXISTING:
        names |= {service.namespace for service in _linked(federation, cluster)} | set(callers)
    revision = federation.istio.revision
    labels = {"istio.io/rev": revision} if revision else {"istio-injection": "enabled"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}}
        for name in sorted(names)
    ]


def _linked(federation: Federation, cluster: str) -> list[NamespacedName]:
    """Services whose namespace gets an object of ours."""
    offered = [export.service for export in federation.exports if export.cluster == cluster]
    joined = [link.service for link in federation.imports if link.cluster == cluster and pods.answer(federation, link)]
    return offered + joined
