"""Istio's namespace: it stays what it was while Istio runs."""

from collections.abc import Collection, Iterator, Mapping

from mesh_federation.plan.federation import ClusterPlan
from mesh_federation.stack.config import ISTIO_NAMESPACE
from mesh_federation.stack.problem import InvalidModel, Problem

OUTPUT = "istioNamespace"
"""Key of a cluster in the stack's output `clusters`, where Istio is in another namespace than usual."""


def refuse_moves(
    clusters: Mapping[str, ClusterPlan], before: Mapping[str, Mapping[str, object]], installed: Collection[str]
) -> None:
    """Refuse to move an Istio that runs: its proxies would go on looking for istiod where it was.

    Args:
        clusters: as planned.
        before: the output `clusters` of the last `up`.
        installed: clusters whose Istio is this stack's since then.

    Raises:
        InvalidModel: Istio would move in some clusters.
    """
    lasting = {name: each for name, each in clusters.items() if name in installed and name in before}
    if found := tuple(_moves(lasting, before)):
        raise InvalidModel(found)


def _moves(clusters: Mapping[str, ClusterPlan], before: Mapping[str, Mapping[str, object]]) -> Iterator[Problem]:
    for name, each in clusters.items():
        was, declared = before[name], each.declared
        is_new = declared.provider.ours and was["name"] != each.provision.name
        place = str(was.get(OUTPUT) or ISTIO_NAMESPACE)
        if declared.istio.install and place != declared.istio_namespace and not is_new:
            yield Problem(
                f"clusters.{name}.istio.namespace",
                "istio-moves",
                f"Istio of {name} runs in {place}, and would move to {declared.istio_namespace}: proxies would look for"
                " istiod where it was, and would get no new certificates",
                f"write {place} again; or take the stack down (./mesh down), and up with the other namespace",
            )
