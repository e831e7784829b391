"""Where Istio is, as the stack's output `clusters` tells it."""

from collections.abc import Collection, Mapping

from mesh_federation.plan.istio_install import IstioInstallPlan
from mesh_federation.plan.relocation import InstalledIstio
from mesh_federation.stack.config import ISTIO_NAMESPACE

_KEY = "istioNamespace"


def told(plan: IstioInstallPlan | None) -> Mapping[str, str]:
    """Return what the output says of an Istio that this stack installs in another namespace than usual."""
    return {_KEY: plan.istio_namespace} if plan and plan.istio_namespace != ISTIO_NAMESPACE else {}


def installed(clusters: Mapping[str, Mapping[str, object]], names: Collection[str]) -> dict[str, InstalledIstio]:
    """Read where Istio was, by logical name of the cluster.

    Args:
        clusters: the output of the last `up`.
        names: clusters whose Istio is this stack's since then.
    """
    return {
        name: InstalledIstio(str(each["name"]), str(each.get(_KEY) or ISTIO_NAMESPACE))
        for name, each in clusters.items()
        if name in names
    }
