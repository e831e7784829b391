"""Istio's namespace: it stays what it was while Istio runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mesh_federation.plan.federation import ClusterPlan
from mesh_federation.stack.problem import InvalidModel, Problem


@dataclass(frozen=True)
class InstalledIstio:
    """Where the last `up` of this stack left an Istio that it installed.

    Attributes:
        cluster: real name of the cluster.
        namespace: of istiod.
    """

    cluster: str
    namespace: str


def refuse_moves(clusters: Mapping[str, ClusterPlan], before: Mapping[str, InstalledIstio]) -> None:
    """Refuse to move an Istio that runs: its proxies would go on looking for istiod where it was.

    Args:
        clusters: as planned.
        before: by logical name of the cluster.

    Raises:
        InvalidModel: Istio would move in some clusters.
    """
    lasting = {name: each for name, each in clusters.items() if name in before and each.declared.istio.install}
    if found := tuple(_moves(lasting, before)):
        raise InvalidModel(found)


def _moves(clusters: Mapping[str, ClusterPlan], before: Mapping[str, InstalledIstio]) -> Iterator[Problem]:
    for name, each in clusters.items():
        was, namespace = before[name], each.declared.istio_namespace
        is_replaced = each.declared.provider.ours and was.cluster != each.provision.name
        if was.namespace != namespace and not is_replaced:
            yield Problem(
                f"clusters.{name}.istio.namespace",
                "istio-moves",
                f"Istio of {name} runs in {was.namespace}, and would move to {namespace}: proxies would look for istiod"
                " where it was, and would get no new certificates",
                f"write {was.namespace} again; or take the stack down (./mesh down), and up with the other namespace",
            )
