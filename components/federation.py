"""The federation: composes all components in the order in which they need each other, and no stricter.

Clusters, authorities and control planes of different clusters know nothing of each other, so they are made side by
side; only exports, imports and endpoint discovery join them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pulumi

from components.certificate_authority import CertificateAuthority, Material, Record
from components.cluster import Cluster, ClusterArgs
from components.export import Export, ExportArgs
from components.gateway import Gateway, GatewayArgs
from components.global_host import GlobalHost, GlobalHostArgs
from components.istio_install import IstioInstall, IstioInstallArgs
from components.links import Links
from components.mesh import Mesh, MeshResources
from components.metallb import MetalLB, MetalLBArgs
from components.sample import Sample, SampleArgs
from mesh_federation.manifests import charts, published
from mesh_federation.manifests.charts import Chart
from mesh_federation.plan import discovery, gateway_api, metallb
from mesh_federation.plan.federation import ClusterPlan, Plan, Sources
from mesh_federation.plan.identity import Recorded
from mesh_federation.plan.istio_values import EGRESS, GATEWAY, NAMESPACE
from mesh_federation.plan.provisioning import kept
from mesh_federation.plan.routing import object_name
from mesh_federation.resources import crds, namespaces, prerequisites, trust_rotation
from mesh_federation.resources.objects import Body, create
from mesh_federation.resources.trust_rotation import TrustingArgs


@dataclass(frozen=True)
class FederationArgs:
    """Inputs of a Federation.

    Attributes:
        plan: everything that is to exist.
        stack: name of the Pulumi stack.
        recorded: existing clusters of the last `up`, by logical name.
    """

    plan: Plan
    stack: str
    recorded: Mapping[str, Recorded]


class Federation(pulumi.ComponentResource):
    """**mesh-federation:index:Federation** - everything that one stack declares.

    Produces a Cluster, an IstioInstall and a Gateway a cluster, one CertificateAuthority, an Export, Import or Sample
    for each that is declared, and the GlobalHosts and RemoteGateways that those need. Where imports leave through an
    egress gateway: that Gateway, its Exits and a Confinement. A Reader and a Discovery for each cluster that another
    discovers, and the Gateway through which services of such a cluster are called from another network.

    Attributes:
        clusters: by name, what a person needs to use each: context, kubeconfig file, gateway addresses, trust domain.
        trust: by cluster, what it signs with and trusts; apart, as no preview knows it.
    """

    clusters: pulumi.Output[Mapping[str, Mapping[str, object]]]
    trust: pulumi.Output[Mapping[str, Mapping[str, object]]]

    def __init__(self, name: str, args: FederationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Build the federation.

        Args:
            name: of the component.
            args: what it consists of.
            opts: options of the component.
        """
        super().__init__("mesh-federation:index:Federation", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._stack, self._recorded = args.stack, args.recorded
        self._sources = args.plan.sources
        declared = args.plan.sources.gateway_api
        self._gateway_api = published.gateway_api(declared) if declared else None
        authority = CertificateAuthority("trust", args.plan.trust, self._child)
        grounds = self._grounds(args.plan, authority.material)
        trusting = self._trusting(grounds) if args.plan.trust.is_moving else []
        meshes = {ground.plan.name: self._mesh(ground, trusting) for ground in grounds}
        offered = {
            cluster: MeshResources(mesh, self._exports(mesh), self._samples(mesh), self._passage(mesh))
            for cluster, mesh in meshes.items()
        }
        links = Links(offered, self._child)
        for mesh in meshes.values():
            links.imports(mesh)
        for mesh in meshes.values():
            links.discoveries(mesh)
        self.clusters = pulumi.Output.all(**{cluster: _summary(mesh, args.stack) for cluster, mesh in meshes.items()})
        self.trust = pulumi.Output.all(
            **{cluster: _once(each.in_use, authority.record[cluster]) for cluster, each in offered.items()}
        )
        self.register_outputs({"clusters": self.clusters, "trust": self.trust})

    def _grounds(self, plan: Plan, materials: Mapping[str, Material]) -> list["ClusterInputs"]:
        folders = {name: charts.folder(plan.sources.charts, each.istio_version) for name, each in plan.clusters.items()}
        rendered = _rendered(plan, folders)
        return [
            ClusterInputs(each, self._cluster(each, rendered[name]), rendered[name], folders[name], materials[name])
            for name, each in plan.clusters.items()
        ]

    def _cluster(self, plan: ClusterPlan, objects: "Rendered") -> Cluster:
        declared, was = plan.declared, self._recorded.get(plan.name)
        args = ClusterArgs(
            provision=plan.provision,
            stack=self._stack,
            locality=declared.locality,
            objects=objects.all_of(plan) if declared.is_existing else [],
            adopt=declared.adopt or bool(declared.adopted),
            adopted=declared.adopted,
        )
        if declared.is_existing and was:
            args = replace(args, provision=kept(plan.provision, was.name))
        cluster = Cluster(plan.name, args, self._child)
        cluster.target = prerequisites.looked_for(plan.needed, cluster.kubeconfig, cluster.target, cluster)
        return cluster

    def _trusting(self, grounds: Sequence["ClusterInputs"]) -> Sequence[pulumi.Resource]:
        """Ask the proxies of all clusters before the certificates of any change."""
        materials = [ground.material for ground in grounds]
        asked = [ground.cluster for ground in grounds if ground.plan.declared.provider.runs_pods]
        return [trust_rotation.trusting(TrustingArgs(materials, each.kubeconfig, each.target), self) for each in asked]

    def _mesh(self, ground: "ClusterInputs", trusting: Sequence[pulumi.Resource]) -> Mesh:
        plan, cluster, objects, material = ground.plan, ground.cluster, ground.objects, ground.material
        istio = IstioInstall(
            f"{plan.name}-istio",
            IstioInstallArgs(
                network=plan.declared.network,
                release=plan.istio_version,
                foreign_callers=plan.foreign_callers,
                crds=ground.folder / "base" / "files" / "crd-all.gen.yaml",
                gateway_api=self._gateway_api,
                used=gateway_api.kinds(plan.objects),
                objects=objects.control_plane,
                material=material,
                kubeconfig=cluster.kubeconfig,
                target=cluster.target,
                trusting=trusting,
            ),
            self._child,
        )
        balancer = self._balancer(plan, objects, cluster)
        roots = material.roots()
        inwards = GatewayArgs(
            objects=objects.gateway,
            addresses=plan.addresses,
            inside=False,
            assigned=plan.pool is not None,
            roots=roots,
            kubeconfig=cluster.kubeconfig,
            target=cluster.target,
            namespace=istio.namespace,
            after=istio.ready,
            balancer=balancer,
        )
        gateway = Gateway(f"{plan.name}-gateway", inwards, self._child)
        outwards = replace(inwards, objects=objects.egress, balancer=(), inside=True, assigned=False)
        egress = self._egress(plan, outwards)
        spaces = namespaces.create_all(plan.namespaces, cluster.kubeconfig, cluster.target, self)
        hosts = self._global_hosts(plan, cluster, [*istio.ready, *spaces])
        return Mesh(plan, cluster, istio, gateway, egress, roots, spaces, hosts)

    def _global_hosts(
        self, plan: ClusterPlan, cluster: Cluster, after: Sequence[pulumi.Resource]
    ) -> dict[str, GlobalHost]:
        return {
            str(host.service): GlobalHost(
                f"{plan.name}-{host.name}", GlobalHostArgs(host, cluster.kubeconfig, cluster.target, after), self._child
            )
            for host in plan.global_hosts
        }

    def _egress(self, plan: ClusterPlan, args: GatewayArgs) -> Gateway | None:
        """Install the gateway through which calls leave, where any do."""
        if plan.egress is None:
            return None
        known = (plan.egress.address,) if plan.egress.address else ()
        return Gateway(f"{plan.name}-egress", replace(args, addresses=known), self._child)

    def _balancer(self, plan: ClusterPlan, objects: "Rendered", cluster: Cluster) -> Sequence[pulumi.Resource]:
        """Give a cluster its load balancer, beside Istio; return what the gateway's Service waits for."""
        if plan.pool is None or not plan.balanced_by_metallb:
            return []
        args = MetalLBArgs(
            manifest=published.metallb(self._sources.metallb),
            objects=objects.balancer,
            pool=plan.pool,
            kubeconfig=cluster.kubeconfig,
            target=cluster.target,
        )
        return MetalLB(f"{plan.name}-metallb", args, self._child).ready

    def _exports(self, mesh: Mesh) -> dict[str, Export]:
        target = mesh.cluster.target
        return {
            str(plan.export.service): Export(
                f"{mesh.plan.name}-{plan.name}",
                ExportArgs(plan, mesh.cluster.kubeconfig, target, [*mesh.ready, *mesh.named(str(plan.export.service))]),
                self._child,
            )
            for plan in mesh.plan.exports
        }

    def _samples(self, mesh: Mesh) -> dict[str, Sample]:
        started = {
            str(workload.reference): Sample(
                f"{mesh.plan.name}-{object_name('sample', workload.reference)}",
                SampleArgs(workload, mesh.plan.revision, mesh.roots, mesh.cluster.target, mesh.namespaces, mesh.ready),
                self._child,
            )
            for workload in mesh.plan.workloads
        }
        for reference, sample in started.items():
            if reference not in mesh.joined:
                sample.serve(mesh.namespaces)
        return started

    def _passage(self, mesh: Mesh) -> list[pulumi.Resource]:
        """Open the gateway of a cluster that others discover, for all its services."""
        if not mesh.plan.is_open:
            return []
        body = discovery.passage(mesh.plan.declared.gateway.port)
        return [create(body, mesh.cluster.target, self, mesh.ready)]


@dataclass(frozen=True)
class ClusterInputs:
    """What a mesh is built on.

    Attributes:
        plan: what is decided about it.
        cluster: in which it will be.
        objects: of its charts and manifests.
        folder: of its charts.
        material: what its istiod signs with and trusts.
    """

    plan: ClusterPlan
    cluster: Cluster
    objects: "Rendered"
    folder: Path
    material: Material


@dataclass(frozen=True)
class Rendered:
    """The objects of one cluster's charts and manifests."""

    control_plane: list[Body]
    gateway: list[Body]
    egress: list[Body]
    balancer: list[Body]

    def all_of(self, plan: ClusterPlan) -> list[Body]:
        """Everything that is made in the cluster; of `cacerts`, which holds secrets, the name alone."""
        return [*self.control_plane, *self.gateway, *self.egress, *self.balancer, *plan.objects]


def _rendered(plan: Plan, folders: Mapping[str, Path]) -> dict[str, Rendered]:
    """Render the charts of all clusters at once: Helm takes a fifth of a second each."""
    wanted = [chart for cluster in plan.clusters.values() for chart in _charts(cluster, folders[cluster.name])]
    objects = iter(charts.render(wanted))
    return {
        name: Rendered(
            control_plane=next(objects) + next(objects),
            gateway=next(objects),
            egress=next(objects) if cluster.egress else [],
            balancer=_balancer(plan.sources, cluster),
        )
        for name, cluster in plan.clusters.items()
    }


def _balancer(sources: Sources, cluster: ClusterPlan) -> list[Body]:
    if not cluster.balanced_by_metallb:
        return []
    manifest = published.read(published.metallb(sources.metallb))
    shown = [body for body in manifest if body["kind"] != crds.KIND]
    return [metallb.asked_early(metallb.settled(body, sources.metallb_hub)) for body in shown]


def _charts(plan: ClusterPlan, folder: Path) -> list[Chart]:
    releases = {
        ("base", "istio-base"): plan.base_values,
        ("istiod", "istiod"): plan.istiod_values,
        ("gateway", GATEWAY): plan.gateway_values,
        **({("gateway", EGRESS): plan.egress.values} if plan.egress else {}),
    }
    return [
        Chart(chart, release, NAMESPACE, folder, plan.istio_version, plan.declared.kubernetes_version, values)
        for (chart, release), values in releases.items()
    ]


def _once(done: Sequence[pulumi.CustomResource], record: pulumi.Output[Record]) -> pulumi.Output[Record]:
    """Tell a cluster's trust only when it is in use: an update that breaks off before leaves what it was."""
    return pulumi.Output.all(record, *(each.id for each in done)).apply(lambda known: known[0])


def _summary(mesh: Mesh, stack: str) -> dict[str, object]:
    declared = mesh.plan.declared
    return {
        "provisioner": declared.provider.name,
        "name": mesh.cluster.name,
        **({"uid": mesh.cluster.uid} if mesh.cluster.uid else {}),
        "context": declared.name,
        "kubeconfig": f"kubeconfigs/{stack}/{declared.name}",
        "gateway": mesh.gateway.addresses,
        "network": declared.network,
        "trustDomain": declared.trust_domain,
    }
