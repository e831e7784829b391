"""Imports as local: remote instances join a Service of the importing cluster."""

from collections.abc import Sequence

from mesh_federation.plan.imports.base import EntriesImport, Source
from mesh_federation.plan.objects import Body, PlannedObject
from mesh_federation.stack.config import Federation, Import

FROM_LABEL = "mesh-federation/from"
"""Of an entry: the cluster whose gateway it is. Pods have no such label."""
PODS_FIRST: Body = {
    "outlierDetection": {"consecutive5xxErrors": 0},
    "loadBalancer": {"localityLbSetting": {"enabled": True, "failoverPriority": [f"{FROM_LABEL}="]}},
}
"""Entries get calls only while there is no pod: endpoints that lack the label come first. Istio puts endpoints into an
order where outlier detection is on; with 0 errors it takes no pod out."""


class LocalImport(EntriesImport):
    """A service that the importing cluster runs too, under the name that it has there.

    The Service has the entries for every caller, and the exporters refuse those that they do not name. So the rule in
    the Service's namespace, which Istio takes for all who have none of their own, keeps to the pods, and what is
    declared of calls is in the namespaces of callers that the exports name.
    """

    mode = "local"
    joins_service = True
    has_service = True

    @classmethod
    def has_local_endpoints(cls, federation: Federation, link: Import) -> bool:
        """Pods of the importing cluster always answer too."""
        return True

    @classmethod
    def namespaces_of_rules(cls, namespace: str, callers: Sequence[str]) -> tuple[str, ...]:
        """Return those that the exports name, unless all are named, or callers beside the Service.

        Istio would merge two rules of one namespace, so that of the Service is for everybody then.
        """
        return () if {"*", namespace} & set(callers) else tuple(callers)

    @property
    def owner(self) -> str:
        """The Service that remote instances join."""
        return f"Service {self.service}"

    @property
    def visible_to(self) -> tuple[str, ...]:
        """Everybody in the cluster, as of the Service."""
        return ("*",)

    @property
    def rules(self) -> tuple[PlannedObject, ...]:
        """What is declared, for callers that the exports name; and that all others keep to the pods."""
        namespaces = self.namespaces_of_rules(self.namespace, self.callers)
        if not namespaces:
            return super().rules
        declared, others = (self._traffic_policy(policy) for policy in (self._policy(), PODS_FIRST))
        return (
            *(self._rule(namespace, (".",), declared) for namespace in namespaces),
            self._rule(self.namespace, self.visible_to, others),
        )

    def _labels(self, source: Source) -> dict[str, str]:
        """Tell entries from pods."""
        return {**super()._labels(source), FROM_LABEL: source.cluster}
