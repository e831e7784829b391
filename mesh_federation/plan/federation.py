"""The plan: everything the declared model comes to, decided before anything is created.

Stack file -> model -> plan -> components -> engine. Components read the plan and decide nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

from mesh_federation.clusters.provider import LoadBalancer
from mesh_federation.plan import (
    discovery,
    egress,
    gateway_addresses,
    gateway_api,
    global_hosts,
    istio_values,
    namespaces,
    remote_gateways,
    routing,
    samples,
    trust,
)
from mesh_federation.plan.addresses import gateway_address, pools
from mesh_federation.plan.istio_values import Values
from mesh_federation.plan.namespaces import Needed
from mesh_federation.plan.provisioning import Provision, provision
from mesh_federation.stack.config import Cluster, Federation, Workload, is_address


@dataclass(frozen=True)
class ClusterPlan:
    """One cluster and its mesh.

    Attributes:
        declared: as in the stack file.
        provision: how it is made.
        istio_version: its Istio release.
        pool: addresses its load balancer may hand out; None where that is not ours to say.
        addresses: of its east-west gateway as others reach it; empty when only the running Service can tell.
        base_values: Helm values of Istio's base chart.
        istiod_values: Helm values of the istiod chart.
        gateway_values: Helm values of the gateway chart.
        exports: what it offers.
        imports: what it makes reachable.
        global_hosts: names that a service has in every mesh, as far as this cluster offers or imports them.
        egress: how its calls leave, where they leave through a gateway; else None.
        remotes: gateways of other networks that it finds through the Gateway API.
        discovers: clusters of its mesh that its istiod reads.
        read_by: clusters of its mesh whose istiods read it.
        namespaces: bodies of the namespaces of its services, but for those that are somebody else's.
        needed: what others must have made in it before.
        workloads: its samples.
    """

    declared: Cluster
    provision: Provision
    istio_version: str
    pool: IPv4Network | None
    addresses: tuple[str, ...]
    base_values: Values
    istiod_values: Values
    gateway_values: Values
    exports: tuple[routing.ExportPlan, ...]
    imports: tuple[routing.ImportPlan, ...]
    global_hosts: tuple[global_hosts.GlobalHost, ...]
    egress: egress.EgressPlan | None
    remotes: tuple[remote_gateways.Remote, ...]
    discovers: tuple[discovery.DiscoveryPlan, ...]
    read_by: tuple[discovery.DiscoveryPlan, ...]
    namespaces: tuple[routing.Body, ...]
    needed: tuple[Needed, ...]
    workloads: tuple[Workload, ...]

    @property
    def name(self) -> str:
        """The cluster's logical name."""
        return self.declared.name

    @property
    def revision(self) -> str:
        """Revision of its istiod; empty for the default one."""
        return str(self.istiod_values["revision"])

    @property
    def balanced_by_metallb(self) -> bool:
        """Say whether this program installs MetalLB in the cluster."""
        return self.declared.load_balancer is LoadBalancer.METALLB

    @property
    def is_open(self) -> bool:
        """Say whether its gateway passes calls for every service on: that follows from being discovered, alone."""
        return any(link.crosses for link in self.read_by)

    @property
    def foreign_callers(self) -> routing.Body:
        """Body of the policy that stands in front of every pod of the mesh, exported or not."""
        return routing.foreign_callers(self.declared.trust_domain, self.exports)

    @property
    def objects(self) -> list[routing.Body]:
        """Bodies of everything in the cluster that no chart brings; endpoints of imports are left open."""
        made = [istio_values.namespace(self.declared.network), istio_values.certificates({}), routing.strict_mtls()]
        made += [self.foreign_callers, *self.namespaces]
        for offered in self.exports:
            made += [routing.authorization(offered), routing.gateway(offered)]
        made += [global_hosts.service_entry(host) for host in self.global_hosts]
        made += [remote_gateways.gateway(remote, []) for remote in self.remotes]
        for link in self.imports:
            made += routing.opened(link)
        made += egress.bodies(self.egress) if self.egress else []
        for read in self.read_by:
            made += discovery.reader(read)
        made += [discovery.remote_secret(known, "") for known in self.discovers]
        if self.is_open:
            made.append(discovery.passage(self.declared.gateway.port))
        for workload in self.workloads:
            made += samples.bodies(workload, self.revision)
        return made


@dataclass(frozen=True)
class Sources:
    """Where charts and manifests come from.

    Attributes:
        charts: `official`, or the folder of Istio's charts.
        metallb: `official`, or the path of MetalLB's manifest.
        metallb_hub: registry and path of MetalLB's images; None for the publisher's.
        gateway_api: `official`, or the path of the Gateway API's definitions; None where no link needs them.
    """

    charts: str
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
    """

    sources: Sources
    trust: trust.TrustPlan
    clusters: dict[str, ClusterPlan]


def plan(federation: Federation, stack: str) -> Plan:
    """Decide everything that follows from a valid model.

    Args:
        federation: a model without findings.
        stack: name of the Pulumi stack; clusters of two stacks never share a name.
    """
    in_lab = [name for name, cluster in federation.clusters.items() if cluster.has_lab_address]
    pool_of = pools(federation.lab.subnet, in_lab) if in_lab else {}
    made = {name: provision(federation, federation.clusters[name], stack) for name in sorted(federation.clusters)}
    links = discovery.discoveries(federation, {name: each.name for name, each in made.items()})
    return Plan(
        sources=_sources(federation),
        trust=trust.plan(federation),
        clusters={name: _cluster(federation, each, pool_of.get(name), links) for name, each in made.items()},
    )


def _sources(federation: Federation) -> Sources:
    return Sources(
        charts=federation.istio.charts,
        metallb=federation.lab.metallb_manifest,
        metallb_hub=federation.images.metallb,
        gateway_api=federation.istio.gateway_api if gateway_api.used(federation) else None,
    )


def _cluster(
    federation: Federation, made: Provision, pool: IPv4Network | None, links: Sequence[discovery.DiscoveryPlan]
) -> ClusterPlan:
    declared = federation.clusters[made.cluster]
    exports = tuple(routing.exports(federation, declared.name))
    imports = tuple(routing.imports(federation, declared.name))
    leaving = egress.plan(federation, declared.name, imports)
    isolated = leaving.isolated if leaving else ()
    fixed = _fixed_address(declared, pool, made.generation)
    return ClusterPlan(
        declared=declared,
        provision=made,
        istio_version=declared.istio_version or federation.istio.version,
        pool=pool,
        addresses=gateway_addresses.declared(declared, federation.istio) or ((str(fixed),) if fixed else ()),
        base_values=istio_values.base_values(federation, declared),
        istiod_values=istio_values.istiod_values(federation, declared),
        gateway_values=istio_values.gateway_values(federation, declared, fixed),
        exports=exports,
        imports=imports,
        global_hosts=tuple(global_hosts.hosts(exports, imports)),
        egress=leaving,
        remotes=tuple(remote_gateways.remotes(imports)),
        discovers=tuple(link for link in links if link.cluster == declared.name),
        read_by=tuple(link for link in links if link.of == declared.name),
        namespaces=tuple(namespaces.injected(federation, declared.name, isolated)),
        needed=tuple(namespaces.needed(federation, declared.name, isolated)),
        workloads=_workloads(federation, declared.name),
    )


def _fixed_address(declared: Cluster, pool: IPv4Network | None, generation: str) -> IPv4Address | IPv6Address | None:
    """Return the address to ask the load balancer for: the declared one, or one of the cluster's pool."""
    if pool is None:
        return None
    given = [address for address in declared.gateway.addresses if is_address(address)]
    return ip_address(given[0]) if given else gateway_address(pool, generation)


def _workloads(federation: Federation, cluster: str) -> tuple[Workload, ...]:
    """Return a cluster's samples, sorted, each with the image that it is to have if one is declared anywhere."""
    mirrored = {"sleep": federation.images.sleep, "httpbin": federation.images.httpbin}
    own = (workload for workload in federation.workloads if workload.cluster == cluster)
    imaged = (w.model_copy(update={"image": w.image or mirrored[w.sample]}) for w in own)
    return tuple(sorted(imaged, key=lambda workload: workload.reference))
