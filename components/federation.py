"""The component Federation, which composes all others.

Each waits for the resources that it needs, and no others: clusters and control planes are made side by side; only
exports, imports and endpoint discovery join them.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pulumi

from components.certificate_authority import CertificateAuthority, Material, Record, fingerprint
from components.cluster import Cluster, ClusterArgs
from components.confinement import Confinement, ConfinementArgs
from components.discovery import Discovery, DiscoveryArgs
from components.exit import Exit, ExitArgs
from components.export import Export, ExportArgs
from components.gateway import Gateway, GatewayArgs
from components.global_host import GlobalHost, GlobalHostArgs
from components.import_ import Import, ImportArgs
from components.istio_install import IstioInstall, IstioInstallArgs
from components.metallb import MetalLB, MetalLBArgs
from components.reader import Reader, ReaderArgs
from components.remote_gateway import RemoteGateway, RemoteGatewayArgs
from components.sample import Sample, SampleArgs
from mesh_federation.clusters.workdir import Workdir
from mesh_federation.manifests import charts, published
from mesh_federation.manifests.render_cache import RenderCache
from mesh_federation.manifests.rendered import RenderedObjects, rendered
from mesh_federation.plan import gateway_addresses, gateway_api
from mesh_federation.plan.federation import ClusterPlan, Plan
from mesh_federation.plan.identity import Recorded
from mesh_federation.plan.imports import ImportPlan
from mesh_federation.plan.objects import object_name
from mesh_federation.plan.provisioning import kept
from mesh_federation.plan.trust_binding import anchors_value
from mesh_federation.resources import relocation
from mesh_federation.resources.namespaces import create_namespaces
from mesh_federation.resources.objects import create_planned
from mesh_federation.resources.rotation import ProxyTrustArgs, check_proxy_trust


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


@dataclass(frozen=True)
class ClusterInputs:
    """What the mesh of one cluster is built from.

    Attributes:
        plan: of the cluster.
        cluster: the cluster.
        rendered: objects of its charts and manifests.
        material: its certificates; None where Istio belongs to others.
        roots: hash of the roots that its proxies trust.
    """

    plan: ClusterPlan
    cluster: Cluster
    rendered: RenderedObjects
    material: Material | None
    roots: pulumi.Output[str]


@dataclass(frozen=True)
class Mesh:
    """The mesh of one cluster, ready to be linked to others.

    Attributes:
        plan: of the cluster.
        cluster: the cluster.
        istio: its control plane; None where it belongs to others.
        ready: what routing objects and workloads wait for.
        gateway: its east-west gateway; None where the stack has none.
        egress: its egress gateway; None where calls leave directly.
        namespaces: of its services.
        global_hosts: by the service's namespace/name.
        exports: by the service's namespace/name.
        samples: by namespace/name.
        open_gateway: what opens its gateway for all services, where others discover it.
    """

    plan: ClusterPlan
    cluster: Cluster
    istio: IstioInstall | None
    ready: Sequence[pulumi.Resource]
    gateway: Gateway | None
    egress: Gateway | None
    namespaces: Sequence[pulumi.Resource]
    global_hosts: Mapping[str, GlobalHost]
    exports: Mapping[str, Export]
    samples: Mapping[str, Sample]
    open_gateway: Sequence[pulumi.Resource]

    @property
    def entrance(self) -> Gateway:
        """The gateway by which others reach it; the plan has one for each cluster that exports or is discovered."""
        assert self.gateway, f"{self.plan.name} has no gateway"
        return self.gateway

    @property
    def gateways(self) -> list[Gateway]:
        """Its gateways."""
        return [each for each in (self.gateway, self.egress) if each]

    @property
    def certificate_users(self) -> list[pulumi.CustomResource]:
        """Workloads that use the cluster's certificates: gateways and samples (which wait for istiod)."""
        return [
            *(deployment for gateway in self.gateways for deployment in gateway.running),
            *(sample.running for sample in self.samples.values()),
        ]

    @property
    def everything(self) -> list[pulumi.Resource]:
        """What must run before any service can be called: the gateway, open for all services, and all samples."""
        running = (resource for sample in self.samples.values() for resource in sample.ready)
        return [self.entrance, *self.open_gateway, *running]

    def serving(self, service: str) -> list[pulumi.Resource]:
        """Return what must run before a call of a service can succeed: gateway, export, and the sample."""
        sample = self.samples[service].ready if service in self.samples else []
        return [self.entrance, self.exports[service], *sample]


@dataclass(frozen=True)
class NextHop:
    """How calls reach another cluster: its gateway, or the egress gateway of the callers' own cluster.

    Attributes:
        addresses: that callers connect to.
        ready: resources by which calls get on from there.
    """

    addresses: pulumi.Output[Sequence[str]]
    ready: Sequence[pulumi.Resource]


class Federation(pulumi.ComponentResource):
    """**mesh-federation:index:Federation** - everything that one stack declares.

    Resources: a Cluster, an IstioInstall and a Gateway per cluster, one CertificateAuthority, the namespaces of
    services, an Export, Import or Sample for each that is declared, and the GlobalHosts and RemoteGateways that those
    need. Where imports leave through an egress gateway: that Gateway, its Exits and a Confinement. A Reader and a
    Discovery for each cluster that another discovers, and the Gateway through which services of such a cluster are
    called from another network. During a rotation of roots, a Command per cluster that checks its proxies' trust.

    Attributes:
        clusters: by name, what a person needs to use each: context, kubeconfig file, gateway addresses, trust domain.
        trust: by cluster, its signing and trusted certificates; apart, as no preview knows them.
    """

    clusters: pulumi.Output[Mapping[str, Mapping[str, object]]]
    trust: pulumi.Output[Mapping[str, Mapping[str, object]]]

    def __init__(self, name: str, args: FederationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Build the federation.

        Args:
            name: of the component.
            args: inputs.
            opts: resource options.
        """
        super().__init__("mesh-federation:index:Federation", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._args, sources = args, args.plan.sources
        self._gateway_api = published.gateway_api(sources.gateway_api) if sources.gateway_api else None
        authority = CertificateAuthority("trust", args.plan.trust, self._child)
        self._anchors = {anchors_value(name): each for name, each in authority.anchors.items()}
        inputs = self._inputs(args.plan, authority)
        checks = self._trust_checks(inputs) if args.plan.trust.is_moving else []
        self._meshes = {each.plan.name: self._mesh(each, checks) for each in inputs}
        self._joined_services: dict[tuple[str, str], pulumi.Resource] = {}
        for mesh in self._meshes.values():
            self._imports(mesh)
        for mesh in self._meshes.values():
            self._discoveries(mesh)
        self.clusters = pulumi.Output.all(**{name: _summary(mesh, args.stack) for name, mesh in self._meshes.items()})
        self.trust = pulumi.Output.all(
            **{name: _once(self._meshes[name].certificate_users, each) for name, each in authority.record.items()}
        ).apply(dict)  # of nothing the engine makes a list
        self.register_outputs({"clusters": self.clusters, "trust": self.trust})

    def _inputs(self, plan: Plan, authority: CertificateAuthority) -> list[ClusterInputs]:
        cache = RenderCache(Workdir.of(os.environ).home / "rendered")
        objects, inputs = rendered(plan, cache), []
        for name, each in plan.clusters.items():
            material = authority.material.get(name)
            roots = material.roots_hash() if material else fingerprint(authority.anchors.get(name))
            inputs.append(ClusterInputs(each, self._cluster(each, objects[name]), objects[name], material, roots))
        return inputs

    def _cluster(self, plan: ClusterPlan, objects: RenderedObjects) -> Cluster:
        declared, was = plan.declared, self._args.recorded.get(plan.name)
        args = ClusterArgs(
            provision=plan.provision,
            stack=self._args.stack,
            locality=declared.locality,
            objects=[*objects.objects, *plan.objects] if declared.is_existing else [],
            prerequisites=plan.prerequisites,
            adopt=declared.adopt or bool(declared.adopted),
            adopted=declared.adopted,
            has_istio=not declared.istio.install,
        )
        if declared.is_existing and was:
            args = replace(args, provision=kept(plan.provision, was.name))
        return Cluster(plan.name, args, self._child)

    def _trust_checks(self, inputs: Sequence[ClusterInputs]) -> list[pulumi.Resource]:
        """Check the proxies of all clusters before the certificates of any change.

        In scope `link` workloads have roots of their own cluster alone: each cluster's proxies are asked for those.
        """
        signing = [each for each in inputs if each.material]
        with_proxies = [each for each in signing if each.plan.declared.provider.runs_pods]
        is_bound = self._args.plan.trust.scope == "link"
        return [check_proxy_trust(_asking(each, [each] if is_bound else signing), self) for each in with_proxies]

    def _mesh(self, inputs: ClusterInputs, trust_checks: Sequence[pulumi.Resource]) -> Mesh:
        plan, cluster = inputs.plan, inputs.cluster
        namespaces = create_namespaces(plan.namespaces, cluster.kubeconfig, cluster.target, self)
        istio = self._istio(inputs, trust_checks, namespaces) if plan.istio else None
        accepting = istio.ready if istio else self._bindings(inputs, namespaces)
        ready = [*accepting, *namespaces]
        east_west = GatewayArgs(
            objects=inputs.rendered.gateway,
            addresses=plan.addresses,
            is_internal=False,
            is_assigned=plan.pool is not None,
            roots=inputs.roots,
            kubeconfig=cluster.kubeconfig,
            target=cluster.target,
            before=[istio.namespace] if istio else [],
            after=accepting,
            balancer=self._load_balancer(inputs),
        )
        gateway = Gateway(f"{plan.name}-gateway", east_west, self._child) if plan.has_gateway else None
        outgoing = replace(east_west, objects=inputs.rendered.egress, balancer=(), is_internal=True, is_assigned=False)
        egress = self._egress(plan, outgoing)
        global_hosts = self._global_hosts(inputs, ready)
        return Mesh(
            plan=plan,
            cluster=cluster,
            istio=istio,
            ready=ready,
            gateway=gateway,
            egress=egress,
            namespaces=namespaces,
            global_hosts=global_hosts,
            exports=self._exports(inputs, ready, global_hosts),
            samples=self._samples(inputs, namespaces, ready),
            open_gateway=list(create_planned(plan.open_gateway, cluster.target, self, ready).values()),
        )

    def _istio(
        self,
        inputs: ClusterInputs,
        trust_checks: Sequence[pulumi.Resource],
        namespaces: Sequence[pulumi.Resource],
    ) -> IstioInstall:
        plan, cluster = inputs.plan, inputs.cluster
        assert plan.istio
        assert inputs.material
        args = IstioInstallArgs(
            plan=plan.istio,
            definitions=charts.definitions(inputs.rendered.folder),
            gateway_api=self._gateway_api,
            gateway_api_kinds=gateway_api.kinds(plan.bodies),
            objects=inputs.rendered.control_plane,
            material=inputs.material,
            kubeconfig=cluster.kubeconfig,
            target=cluster.target,
            trust_checks=trust_checks,
            bindings=[each.object for each in plan.bindings],
            anchors=self._anchors,
            namespaces=namespaces,
        )
        return IstioInstall(f"{plan.name}-istio", args, self._child)

    def _bindings(self, inputs: ClusterInputs, namespaces: Sequence[pulumi.Resource]) -> list[pulumi.Resource]:
        """Tell proxies of an installation of others what vouches for other clusters: nothing else of it is ours."""
        planned = [each.object for each in inputs.plan.bindings]
        return list(create_planned(planned, inputs.cluster.target, self, namespaces, self._anchors).values())

    def _load_balancer(self, inputs: ClusterInputs) -> Sequence[pulumi.Resource]:
        """Install a cluster's load balancer, beside Istio; return what the gateway's Service waits for."""
        plan, cluster = inputs.plan, inputs.cluster
        if not plan.load_balancer:
            return []
        args = MetalLBArgs(
            manifest=published.metallb(self._args.plan.sources.metallb),
            objects=inputs.rendered.metallb,
            configuration=plan.load_balancer,
            kubeconfig=cluster.kubeconfig,
            target=cluster.target,
        )
        return MetalLB(f"{plan.name}-metallb", args, self._child).ready

    def _egress(self, plan: ClusterPlan, args: GatewayArgs) -> Gateway | None:
        """Install the egress gateway, where calls leave through one."""
        if plan.egress is None:
            return None
        addresses = (plan.egress.address,) if plan.egress.address else ()
        return Gateway(f"{plan.name}-egress", replace(args, addresses=addresses), self._child)

    def _global_hosts(self, inputs: ClusterInputs, ready: Sequence[pulumi.Resource]) -> dict[str, GlobalHost]:
        plan, cluster = inputs.plan, inputs.cluster
        return {
            str(host.service): GlobalHost(
                f"{plan.name}-{host.name}", GlobalHostArgs(host, cluster.kubeconfig, cluster.target, ready), self._child
            )
            for host in plan.global_hosts
        }

    def _exports(
        self, inputs: ClusterInputs, ready: Sequence[pulumi.Resource], global_hosts: Mapping[str, GlobalHost]
    ) -> dict[str, Export]:
        made, cluster = {}, inputs.cluster
        for plan in inputs.plan.exports:
            service = str(plan.export.service)
            after = [*ready, *([global_hosts[service]] if service in global_hosts else [])]
            args = ExportArgs(plan, cluster.kubeconfig, cluster.target, after)
            made[service] = Export(f"{inputs.plan.name}-{plan.name}", args, self._child)
        return made

    def _samples(
        self,
        inputs: ClusterInputs,
        namespaces: Sequence[pulumi.Resource],
        ready: Sequence[pulumi.Resource],
    ) -> dict[str, Sample]:
        return {
            plan.name: Sample(
                f"{inputs.plan.name}-{object_name('sample', plan.workload.reference)}",
                SampleArgs(plan, inputs.roots, inputs.cluster.target, namespaces, ready),
                self._child,
            )
            for plan in inputs.plan.samples
        }

    def _imports(self, mesh: Mesh) -> None:
        """Link a mesh to its sources, last of all: an importer in a new cluster must be served from the beginning."""
        hops = self._next_hops(mesh)
        remotes = self._remote_gateways(mesh, hops)
        made = []
        for plan in mesh.plan.imports:
            service, clusters = str(plan.service), [source.cluster for source in plan.sources]
            by_network = [remotes[cluster] for cluster in clusters if plan.api.finds_gateways_by_network]
            hosts = [mesh.global_hosts[service]] if plan.joins_global_host else []
            args = ImportArgs(
                plan=plan,
                addresses={cluster: hops[cluster].addresses for cluster in clusters},
                joined=mesh.samples.get(service) if plan.joins_service else None,
                kubeconfig=mesh.cluster.kubeconfig,
                target=mesh.cluster.target,
                namespaces=mesh.namespaces,
                after=[
                    *mesh.ready,
                    *(resource for cluster in clusters for resource in hops[cluster].ready),
                    *by_network,
                    *hosts,
                    *self._serving(clusters, plan),
                ],
            )
            imported = Import(f"{mesh.plan.name}-{plan.name}", args, self._child)
            made.append(imported)
            if imported.service:
                self._joined_services[mesh.plan.name, service] = imported.service
        self._confine(mesh, [*remotes.values(), *made])

    def _serving(self, clusters: Sequence[str], plan: ImportPlan) -> list[pulumi.Resource]:
        """Return what must run in the exporting clusters before a call can succeed.

        A sample's Service that an import creates is awaited only if it is registered already: two clusters that join
        each other's instances would wait for each other.
        """
        service, ours = str(plan.service), [each for each in clusters if each in self._meshes]
        joined = (self._joined_services.get((cluster, service)) for cluster in ours)
        serving = (resource for cluster in ours for resource in self._meshes[cluster].serving(service))
        return [*serving, *(resource for resource in joined if resource)]

    def _addresses(self, cluster: str) -> pulumi.Output[Sequence[str]]:
        """Return the addresses of a cluster's gateway; of a partner's, those on its card."""
        if cluster in self._meshes:
            return self._meshes[cluster].entrance.addresses
        return pulumi.Output.from_input(list(self._args.plan.partners[cluster].addresses))

    def _for_importers(self, cluster: str) -> pulumi.Output[Sequence[str]]:
        return self._addresses(cluster).apply(gateway_addresses.for_importers)

    def _next_hops(self, mesh: Mesh) -> dict[str, NextHop]:
        """Return how calls of a mesh reach each cluster that it imports from."""
        direct = {
            source.cluster: NextHop(self._for_importers(source.cluster), [])
            for plan in mesh.plan.imports
            for source in plan.sources
        }
        return {**direct, **self._exits(mesh)}

    def _exits(self, mesh: Mesh) -> dict[str, NextHop]:
        if mesh.plan.egress is None or mesh.egress is None:
            return {}
        hops = {}
        for plan in mesh.plan.egress.exits:
            args = ExitArgs(
                plan=plan,
                addresses=self._for_importers(plan.cluster),
                kubeconfig=mesh.cluster.kubeconfig,
                target=mesh.cluster.target,
                after=[*mesh.ready, mesh.egress],
            )
            made = Exit(f"{mesh.plan.name}-exit-{plan.cluster}", args, self._child)
            hops[plan.cluster] = NextHop(mesh.egress.for_importers, made.ready)
        return hops

    def _confine(self, mesh: Mesh, after: Sequence[pulumi.Resource]) -> None:
        """Close every route around the egress gateway, once all callers leave through it."""
        if plan := mesh.plan.egress:
            addresses = {each.cluster: self._addresses(each.cluster) for each in plan.exits}
            args = ConfinementArgs(plan, addresses, mesh.cluster.target, [*mesh.ready, *after])
            Confinement(f"{mesh.plan.name}-confinement", args, self._child)

    def _remote_gateways(self, mesh: Mesh, hops: Mapping[str, NextHop]) -> dict[str, RemoteGateway]:
        """Describe others' gateways to a mesh; all that is called through a new address must run before."""
        made = {}
        for plan in mesh.plan.remote_gateways:
            hop = hops[plan.cluster]
            served = (link for link in mesh.plan.imports if plan.serves(link))
            serving = (resource for link in served for resource in self._serving([plan.cluster], link))
            args = RemoteGatewayArgs(plan, hop.addresses, mesh.cluster.target, [*mesh.ready, *hop.ready, *serving])
            made[plan.cluster] = RemoteGateway(f"{mesh.plan.name}-{plan.name}", args, self._child)
        return made

    def _discoveries(self, mesh: Mesh) -> None:
        """Let an istiod read other clusters of its mesh, last of all, as with imports."""
        for plan in mesh.plan.discovers:
            other = self._meshes[plan.of]
            assert other.istio, "only clusters of the same stack discover each other"
            credentials = ReaderArgs(plan, other.cluster.kubeconfig, other.cluster.target, other.istio.namespace)
            reader = Reader(f"{plan.of}-read-by-{plan.cluster}", credentials, self._child)
            args = DiscoveryArgs(plan, reader.kubeconfig, mesh.cluster.target, [*mesh.ready, *other.everything])
            Discovery(f"{plan.cluster}-discovers-{plan.of}", args, self._child)


def _asking(asked: ClusterInputs, signing: Sequence[ClusterInputs]) -> ProxyTrustArgs:
    prints = [each.material.fingerprints() for each in signing if each.material]
    return ProxyTrustArgs(prints, asked.cluster.kubeconfig, asked.cluster.target)


def _once(done: Sequence[pulumi.CustomResource], record: pulumi.Output[Record]) -> pulumi.Output[Record]:
    """Record a cluster's trust only when it is in use: an update that fails before leaves the previous record."""
    return pulumi.Output.all(record, *(each.id for each in done)).apply(lambda known: known[0])


def _summary(mesh: Mesh, stack: str) -> dict[str, object]:
    declared = mesh.plan.declared
    return {
        "provisioner": declared.provider.name,
        "name": mesh.cluster.name,
        **({"uid": mesh.cluster.uid} if mesh.cluster.uid else {}),
        "context": declared.name,
        "kubeconfig": f"kubeconfigs/{stack}/{declared.name}",
        "gateway": mesh.gateway.addresses if mesh.gateway else [],
        "network": declared.network,
        "trustDomain": declared.trust_domain,
        **relocation.told(mesh.plan.istio),
    }
