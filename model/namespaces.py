"""Namespaces that must be there before anything is put into them."""

from model import pods
from model.config import Federation, NamespacedName, Provisioner

Body = dict[str, object]


def injected(federation: Federation, cluster: str) -> list[Body]:
    """Bodies of the namespaces of a cluster's services, labelled before any pod exists (pitfall 50).

    Samples' always. Those of exports and of imports beside pods only where this program makes the cluster: nobody else
    can have made them before, and elsewhere they are their owners'.
    """
    references = [workload.reference for workload in federation.workloads if workload.cluster == cluster]
    if federation.clusters[cluster].provisioner is not Provisioner.EXISTING:
        references += _linked(federation, cluster)
    revision = federation.istio.revision
    labels = {"istio.io/rev": revision} if revision else {"istio-injection": "enabled"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}}
        for name in sorted({reference.namespace for reference in references})
    ]


def _linked(federation: Federation, cluster: str) -> list[NamespacedName]:
    """Services whose namespace gets an object of ours."""
    offered = [export.service for export in federation.exports if export.cluster == cluster]
    joined = [link.service for link in federation.imports if link.cluster == cluster and pods.answer(federation, link)]
    return offered + joined
