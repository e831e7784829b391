"""Sidecar injection: the labels by which namespaces and pods get their proxies, from the istiod of a revision."""

DEFAULT_NAMESPACE = "default"
"""Every cluster has it, for everybody: its owner decides what is in the mesh there."""


def namespace_labels(revision: str) -> dict[str, str]:
    """Labels of namespaces whose pods all get a sidecar.

    Args:
        revision: of the istiod that injects it; empty for the default one.
    """
    return {"istio.io/rev": revision} if revision else {"istio-injection": "enabled"}


def pod_labels(namespace: str, revision: str) -> dict[str, str]:
    """Labels by which pods get a sidecar in a namespace that this program does not label; none elsewhere."""
    return {"istio.io/rev": revision or "default"} if namespace == DEFAULT_NAMESPACE else {}
