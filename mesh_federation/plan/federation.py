"""The plan: everything that follows from the declared model, decided before anything is created.

Stack file -> model -> plan -> components -> engine. Components read the plan and decide nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

from mesh_federation.clusters.addresses import gateway_address, pools
from mesh_federation.clusters.provider import LoadBalancer
from mesh_federation.jobs.prerequisites import Prerequisite
from mesh_federation.plan import (
    discovery,
    egress,
    gateway_addresses,
    gateway_api,
    global_hosts,
    istio_values,
    metallb,
    namespaces,
    trust,
    trust_binding,
)
from mesh_federation.plan.discovery import DiscoveryPlan
from mesh_federation.plan.exports import ExportPlan, exports
from mesh_federation.plan.imports import ImportPlan, imports
from mesh_federation.plan.istio_install import IstioInstallPlan
from mesh_federation.plan.istio_values import Values
from mesh_federation.plan.objects import Body, PlannedObject
from mesh_federation.plan.provisioning import Provision, provision
from mesh_federation.plan.remote_gateways import RemoteGatewayPlan, remote_gateways
from mesh_federation.plan.samples import SAMPLES, SamplePlan
from mesh_federation.stack.config import Cluster, Federation, NamespacedName, is_address


@dataclass(frozen=True)
class Release:
    """A chart of Istio in a cluster.

    Attributes:
        reference: its namespace and its name.
        chart: base, istiod or gateway.
        values: Helm values.
    """

    reference: NamespacedName
    chart: str
    values: Values

    @property
    def name(self) -> str:
        """Name of the release."""
        return self.reference.name


@dataclass(frozen=True)
class ClusterPlan:
    """One cluster and its mesh.

    Attributes:
        declared: as in the stack file.
        provision: how it is made.
        istio_version: the Istio release that runs in it.
        istio_charts: `official`, or the folder of Istio's charts.
        charts_version: the Istio release of those charts; an istiod of others takes a gateway of any.
        istio: the control plane; None where it belongs to others.
        pool: addresses that its load balancer may assign; None where others decide that.
        addresses: of its east-west gateway as others reach it; empty when only the running Service has them.
        releases: charts of Istio, each of which brings objects of its own.
        revision: of its istiod; empty for the default one.
        exports: services that others may call.
        imports: services of others.
        bindings: what its proxies accept of other clusters, for each link; none in trust scope `mesh`.
        global_hosts: names that a service has in every mesh, as far as this cluster exports or imports them.
        egress: how its calls leave, where they leave through a gateway; else None.
        remote_gateways: gateways of other networks that it finds through the Gateway API.
        discovers: clusters of its mesh that its istiod reads.
        read_by: clusters of its mesh whose istiods read it.
        namespaces: of its services, but for those that others own.
        prerequisites: objects that others must have made in it before.
        samples: workloads to try it with.
    """

    declared: Cluster
    provision: Provision
    istio_version: str
    istio_charts: str
    charts_version: str
    istio: IstioInstallPlan | None
    pool: IPv4Network | None
    addresses: tuple[str, ...]
    releases: tuple[Release, ...]
    revision: str
    exports: tuple[ExportPlan, ...]
    imports: tuple[ImportPlan, ...]
    bindings: tuple[trust_binding.Binding, ...]
    global_hosts: tuple[global_hosts.GlobalHostPlan, ...]
    egress: egress.EgressPlan | None
    remote_gateways: tuple[RemoteGatewayPlan, ...]
    discovers: tuple[DiscoveryPlan, ...]
    read_by: tuple[DiscoveryPlan, ...]
    namespaces: tuple[PlannedObject, ...]
    prerequisites: tuple[Prerequisite, ...]
    samples: tuple[SamplePlan, ...]

    @property
    def name(self) -> str:
        """The cluster's logical name."""
        return self.declared.name

    @property
    def balanced_by_metallb(self) -> bool:
        """Say whether this program installs MetalLB in the cluster."""
        return self.declared.load_balancer is LoadBalancer.METALLB

    @property
    def is_open(self) -> bool:
        """Say whether its gateway passes calls for every service on: only because others discover the cluster."""
        return any(link.crosses for link in self.read_by)

    @property
    def values(self) -> dict[str, Values]:
        """Helm values of its charts, by the name of the release."""
        return {each.name: each.values for each in self.releases}

    @property
    def gateway(self) -> NamespacedName:
        """Its east-west gateway: namespace and name of its release, its Service and its Deployment."""
        return istio_values.gateway(self.declared)

    @property
    def has_gateway(self) -> bool:
        """Say whether it has an east-west gateway of this stack: not where others own Istio and nothing is exported."""
        return self.gateway.name in self.values

    @property
    def linked_namespaces(self) -> frozenset[str] | None:
        """Namespaces with the pods of its links, exported ones and callers; None where any pod may call."""
        callers = {caller for link in self.imports for caller in link.callers}
        return None if "*" in callers else frozenset(callers | {each.export.service.namespace for each in self.exports})

    @property
    def load_balancer(self) -> tuple[PlannedObject, ...]:
        """Configuration of MetalLB, where this program installs it."""
        if self.pool is None or not self.balanced_by_metallb:
            return ()
        return PlannedObject(metallb.pool(self.pool)), PlannedObject(metallb.advertisement())

    @property
    def open_gateway(self) -> tuple[PlannedObject, ...]:
        """The Gateway that passes calls for every service on, where others discover the cluster."""
        own = self.declared
        body = discovery.open_gateway(self.gateway, own.gateway.port, own.cluster_domain)
        return (PlannedObject(body),) if self.is_open else ()

    @property
    def objects(self) -> tuple[PlannedObject, ...]:
        """Every object in the cluster that no chart and no manifest of others brings, each once."""
        groups = (
            self.istio.objects if self.istio else (),
            self.load_balancer,
            self.namespaces,
            (each.object for each in self.bindings),
            *(each.objects for each in self.exports),
            *(each.objects for each in self.global_hosts),
            *(each.objects for each in self.remote_gateways),
            *(each.objects for each in self.imports),
            self.egress.objects if self.egress else (),
            *(each.reader_objects for each in self.read_by),
            *(each.objects for each in self.discovers),
            self.open_gateway,
            *(each.objects for each in self.samples),
        )
        return tuple(planned for group in groups for planned in group)

    @property
    def bodies(self) -> list[Body]:
        """Bodies of these objects, as far as the plan knows them."""
        return [planned.body for planned in self.objects]


@dataclass(frozen=True)
class Sources:
    """Where charts and manifests come from.

    Attributes:
        metallb: `official`, or the path of MetalLB's manifest.
        metallb_hub: registry and path of MetalLB's images; None for the publisher's.
        gateway_api: `official`, or the path of the Gateway API's definitions; None where no import needs them.
    """

    metallb: str
    metallb_hub: str | None
    gateway_api: str | None


@dataclass(frozen=True)
class Plan:
    """A whole federation.

    Attributes:
        sources: of charts and manifests.
        trust: certificate authorities.
        clusters: by name, sorted.
        partners: clusters of other stacks, in which nothing is made; by name, sorted.
    """

    sources: Sources
    trust: trust.TrustPlan
    clusters: dict[str, ClusterPlan]
    partners: dict[str, ClusterPlan]


def plan(federation: Federation, stack: str) -> Plan:
    """Decide everything that follows from a valid model.

    Args:
        federation: a model without problems, as the loader returns it.
        stack: name of the Pulumi stack; clusters of two stacks never share a name.
    """
    made = {name: provision(federation, federation.clusters[name], stack) for name in sorted(federation.clusters)}
    links = discovery.discoveries(federation, {name: each.name for name, each in made.items()})
    trusted = trust.plan(federation)
    cut = pools(federation.lab.subnet, federation.in_lab) if federation.in_lab else {}
    pool_of = {name: pool for name, pool in cut.items() if name in federation.own}
    plans = {name: _cluster(federation, trusted, each, pool_of.get(name), links) for name, each in made.items()}
    return Plan(
        sources=_sources(federation),
        trust=trusted,
        clusters={name: each for name, each in plans.items() if name not in federation.partners},
        partners={name: each for name, each in plans.items() if name in federation.partners},
    )


def _sources(federation: Federation) -> Sources:
    return Sources(
        metallb=federation.lab.metallb_manifest,
        metallb_hub=federation.images.metallb,
        gateway_api=federation.istio.gateway_api if gateway_api.used(federation) else None,
    )


def _cluster(
    federation: Federation,
    trusted: trust.TrustPlan,
    made: Provision,
    pool: IPv4Network | None,
    links: Sequence[DiscoveryPlan],
) -> ClusterPlan:
    declared = federation.clusters[made.cluster]
    exported, imported = exports(federation, declared.name), imports(federation, declared.name)
    leaving = egress.plan(federation, declared.name, imported)
    isolated = leaving.isolated if leaving else ()
    fixed = _fixed_address(declared, pool, made.generation)
    istio = federation.istio_of(declared.name)
    release = federation.istio_release(declared.name)
    return ClusterPlan(
        declared=declared,
        provision=made,
        istio_version=release,
        istio_charts=istio.charts,
        charts_version=istio.version,
        istio=IstioInstallPlan(release, declared.istio_namespace, declared.network, declared.trust_domain, exported)
        if declared.istio.install
        else None,
        pool=pool,
        addresses=gateway_addresses.declared(declared, istio) or ((str(fixed),) if fixed else ()),
        releases=tuple(_releases(federation, declared, fixed, bool(exported), leaving)),
        revision=istio.revision,
        exports=tuple(exported),
        imports=tuple(imported),
        bindings=trust_binding.bindings(federation, trusted, declared.name, exported, imported),
        global_hosts=tuple(global_hosts.hosts(exported, imported)),
        egress=leaving,
        remote_gateways=tuple(remote_gateways(declared.istio_namespace, imported)),
        discovers=tuple(link for link in links if link.cluster == declared.name),
        read_by=tuple(link for link in links if link.of == declared.name),
        namespaces=tuple(namespaces.injected(federation, declared.name, isolated)),
        prerequisites=tuple(namespaces.prerequisites(federation, declared.name, isolated)),
        samples=_samples(federation, declared.name, istio.revision, imported),
    )


def _releases(
    federation: Federation,
    declared: Cluster,
    address: IPv4Address | IPv6Address | None,
    is_exporter: bool,
    leaving: egress.EgressPlan | None,
) -> Iterator[Release]:
    """Choose the charts of a cluster: where Istio belongs to others, a gateway beside theirs for exports."""
    if declared.istio.install:
        istio_base, istiod = (NamespacedName(declared.istio_namespace, name) for name in ("istio-base", "istiod"))
        yield Release(istio_base, "base", istio_values.base_values(federation, declared))
        yield Release(istiod, "istiod", istio_values.istiod_values(federation, declared))
    if declared.istio.install or is_exporter:
        values = istio_values.gateway_values(federation, declared, address)
        yield Release(istio_values.gateway(declared), "gateway", values)
    if leaving:
        yield Release(istio_values.egress_gateway(declared), "gateway", leaving.values)


def _fixed_address(declared: Cluster, pool: IPv4Network | None, generation: str) -> IPv4Address | IPv6Address | None:
    """Return the address to ask the load balancer for: the declared one, or one of the cluster's pool."""
    if pool is None:
        return None
    given = [address for address in declared.gateway.addresses if is_address(address)]
    return ip_address(given[0]) if given else gateway_address(pool, generation)


def _samples(
    federation: Federation, cluster: str, revision: str, imported: Sequence[ImportPlan]
) -> tuple[SamplePlan, ...]:
    """Plan a cluster's samples, sorted, each with the image that it is to have if one is declared anywhere."""
    mirrored: dict[str, str | None] = {sample: getattr(federation.images, sample) for sample in SAMPLES}
    joined = {link.service for link in imported if link.joins_service}
    own = (workload for workload in federation.workloads if workload.cluster == cluster)
    imaged = [w.model_copy(update={"image": w.image or mirrored[w.sample]}) for w in own]
    imaged.sort(key=lambda workload: workload.reference)
    return tuple(SamplePlan(each, revision, each.reference in joined) for each in imaged)
