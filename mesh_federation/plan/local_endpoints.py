"""Local endpoints: which pods of a cluster answer for a service, and the label by which a global host selects them.

Source: pitfalls 15 and 28. A Service of the importing cluster takes every entry with its pods' labels for an endpoint
of its own, and would send calls of its own host to a gateway that offers the global one alone. So entries of a global
host carry a single label, which injection writes on every pod and which the Service does not select by.
Whether pods answer calls of an import too is decided by its mode (mesh_federation/plan/imports).
"""

from collections.abc import Mapping

from mesh_federation.stack.config import Export, Federation, NamespacedName

CANONICAL_NAME = "service.istio.io/canonical-name"
NAMES = (CANONICAL_NAME, "app.kubernetes.io/name", "app")
"""Labels from which injection takes a pod's canonical name, the first that it has."""


def own_export(federation: Federation, cluster: str, service: NamespacedName) -> Export | None:
    """Return the export of a service by this very cluster; None where it exports none."""
    return federation.export(cluster, service)


def runs_service(federation: Federation, cluster: str, service: NamespacedName) -> bool:
    """Say whether the stack declares that a cluster runs a service: as a sample, or by exporting it."""
    samples = ((workload.cluster, workload.reference) for workload in federation.workloads)
    return (cluster, service) in samples or own_export(federation, cluster, service) is not None


def canonical_name(federation: Federation, cluster: str, service: NamespacedName) -> str | None:
    """Return the canonical name of a service's pods in a cluster that runs it; None where its labels give none."""
    own = own_export(federation, cluster, service)
    return _first(own.workload_labels) if own else service.name


def _first(labels: Mapping[str, str]) -> str | None:
    return next((labels[name] for name in NAMES if name in labels), None)
