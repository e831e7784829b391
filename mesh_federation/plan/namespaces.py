"""Namespaces: those that the stack creates before it puts anything into them, and those that others must have made."""

from collections.abc import Iterable, Iterator, Mapping

from mesh_federation.jobs.prerequisites import Prerequisite
from mesh_federation.plan.imports import MODES, callers_of, is_beside_service
from mesh_federation.plan.injection import DEFAULT_NAMESPACE, namespace_labels
from mesh_federation.plan.objects import PlannedObject
from mesh_federation.stack.config import Cluster, Federation, NamespacedName

RESERVED: Mapping[str, str] = {
    "kube-node-lease": "Kubernetes",
    "kube-public": "Kubernetes",
    "kube-system": "Kubernetes",
    "local-path-storage": "the local storage of Kubernetes",
    "metallb-system": "MetalLB",
}
"""Namespaces of every cluster that hold a part of the cluster itself, and whose."""


def reserved(cluster: Cluster) -> Mapping[str, str]:
    """Return the namespaces of a cluster in which no service of its mesh runs, and what each belongs to."""
    return {cluster.istio_namespace: "Istio", cluster.root_namespace: "Istio", **RESERVED}


def injected(federation: Federation, cluster: str, callers: Iterable[str] = ()) -> list[PlannedObject]:
    """Plan the namespaces that get objects of ours, labelled before any pod exists (pitfall 50).

    Samples' always. Those of exports, of imports beside pods and of callers only where this program makes the cluster:
    nobody else can have made them before, and elsewhere they are their owners'. Never those that every cluster has.

    Args:
        federation: the model.
        cluster: whose namespaces.
        callers: namespaces whose calls leave through an egress gateway alone.
    """
    names = {workload.reference.namespace for workload in federation.workloads if workload.cluster == cluster}
    if federation.clusters[cluster].provider.ours:
        names |= {service.namespace for service, _ in _linked(federation, cluster)} | set(callers)
        names |= {namespace for namespace, _ in _bound(federation, cluster)}
    labels = namespace_labels(federation.istio_of(cluster).revision)
    return [
        PlannedObject({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}})
        for name in sorted(names - {DEFAULT_NAMESPACE, *reserved(federation.clusters[cluster])})
    ]


def prerequisites(federation: Federation, cluster: str, callers: Iterable[str] = ()) -> list[Prerequisite]:
    """Return what others must have made in an existing cluster: namespaces, and Services that imports join.

    Args:
        federation: the model.
        cluster: whose objects.
        callers: namespaces whose calls leave through an egress gateway alone.
    """
    own = federation.clusters[cluster]
    if own.provider.ours:
        return []
    samples = {workload.reference for workload in federation.workloads if workload.cluster == cluster}
    made = {DEFAULT_NAMESPACE, *reserved(own), *(sample.namespace for sample in samples)}
    links = [link for link in federation.imports if link.cluster == cluster]
    leaving = next((link.path for link in links if link.via == "egress"), "")
    wanted = [(service.namespace, path) for service, path in _linked(federation, cluster)]
    wanted += [*((caller, leaving) for caller in callers), *_bound(federation, cluster)]
    wanted += _shared(federation, cluster)
    first = {namespace: path for namespace, path in reversed(wanted) if namespace not in made}
    services = {
        link.service: link.path
        for link in reversed(links)
        if MODES[link.mode].joins_service and link.service not in samples
    }
    return [
        *(Prerequisite("Namespace", "", namespace, path) for namespace, path in sorted(first.items())),
        *(Prerequisite("Service", service.namespace, service.name, path) for service, path in sorted(services.items())),
    ]


def _linked(federation: Federation, cluster: str) -> Iterator[tuple[NamespacedName, str]]:
    """Services whose namespace gets an object of ours, and where in the stack file each is needed."""
    for export in federation.exports:
        if export.cluster == cluster:
            yield export.service, export.path
    for link in federation.imports:
        if link.cluster == cluster and is_beside_service(federation, link):
            yield link.service, link.path


def _shared(federation: Federation, cluster: str) -> Iterator[tuple[str, str]]:
    """The namespace of the gateway, and of imports that are beside no Service, if there are any."""
    own = federation.clusters[cluster]
    alone = (each for each in federation.imports if not is_beside_service(federation, each))
    if any(each.cluster == cluster for each in (*federation.exports, *alone)):
        yield own.link_namespace, f"{own.path}.istio.linkNamespace"


def _bound(federation: Federation, cluster: str) -> Iterator[tuple[str, str]]:
    """Namespaces of callers that get an object of ours, and where in the stack file each is needed.

    Their proxies are told what vouches for an exporter, and how to call a Service that has instances elsewhere.
    """
    for link in federation.imports:
        if link.cluster == cluster:
            callers = callers_of(cluster, [federation.export_of(link)])
            told = [caller for caller in callers if caller != "*"] if federation.trust.scope == "link" else []
            for caller in (*told, *MODES[link.mode].namespaces_of_rules(link.service.namespace, callers)):
                yield caller, link.path
