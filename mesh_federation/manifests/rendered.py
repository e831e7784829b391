"""Rendered objects: those of Istio's charts and of MetalLB's manifest, by cluster and release."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mesh_federation.manifests import charts, published
from mesh_federation.manifests.charts import Chart
from mesh_federation.manifests.render_cache import RenderCache
from mesh_federation.plan import metallb
from mesh_federation.plan.federation import ClusterPlan, Plan, Sources
from mesh_federation.plan.istio_values import EGRESS
from mesh_federation.plan.objects import Body, PlannedObject, restarted_by_trust


@dataclass(frozen=True)
class RenderedObjects:
    """Objects of one cluster's charts and manifests.

    Attributes:
        folder: of Istio's charts.
        releases: objects of each chart, by the name of its release.
        gateway: objects of the east-west gateway; none where the stack has none.
        metallb: objects of MetalLB's manifest, its definitions left out; none where it is not installed.
    """

    folder: Path
    releases: Mapping[str, tuple[PlannedObject, ...]]
    gateway: tuple[PlannedObject, ...]
    metallb: tuple[PlannedObject, ...]

    @property
    def control_plane(self) -> tuple[PlannedObject, ...]:
        """Objects of the charts base and istiod; none where Istio belongs to others."""
        return self.releases.get("istio-base", ()) + self.releases.get("istiod", ())

    @property
    def egress(self) -> tuple[PlannedObject, ...]:
        """Objects of the egress gateway; none where no calls leave through one."""
        return self.releases.get(EGRESS, ())

    @property
    def objects(self) -> tuple[PlannedObject, ...]:
        """All of them."""
        return *(planned for each in self.releases.values() for planned in each), *self.metallb


def rendered(plan: Plan, cache: RenderCache) -> dict[str, RenderedObjects]:
    """Render the charts of all clusters at once.

    Args:
        plan: with the charts of each cluster.
        cache: of charts that were rendered before.

    Raises:
        pulumi.RunError: a chart or manifest is missing or unfit.
    """
    folders = {name: charts.folder(each.istio_charts, each.charts_version) for name, each in plan.clusters.items()}
    wanted = {
        (name, release.name): Chart(
            name=release.chart,
            release=release.name,
            namespace=release.reference.namespace,
            folder=folders[name],
            version=cluster.charts_version,
            kubernetes_version=cluster.declared.kubernetes_version,
            values=release.values,
        )
        for name, cluster in plan.clusters.items()
        for release in cluster.releases
    }
    planned = {key: _planned(bodies) for key, bodies in charts.render(wanted, cache).items()}
    return {
        name: RenderedObjects(
            folder=folders[name],
            releases={release.name: planned[name, release.name] for release in cluster.releases},
            gateway=planned.get((name, cluster.gateway.name), ()),
            metallb=_metallb(plan.sources, cluster),
        )
        for name, cluster in plan.clusters.items()
    }


def _planned(bodies: list[Body]) -> tuple[PlannedObject, ...]:
    return tuple(restarted_by_trust(body) if body["kind"] == "Deployment" else PlannedObject(body) for body in bodies)


def _metallb(sources: Sources, cluster: ClusterPlan) -> tuple[PlannedObject, ...]:
    if not cluster.balanced_by_metallb:
        return ()
    manifest = published.read(published.metallb(sources.metallb))
    bodies = [body for body in manifest if body["kind"] != published.DEFINITION]
    hub = sources.metallb_hub
    return tuple(PlannedObject(metallb.probed_early(metallb.normalized(body, hub))) for body in bodies)
