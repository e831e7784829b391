"""The facts that a picture of a federation shows, taken from the plan.

They contain no secrets: of provided authorities only the subjects of their roots.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mesh_federation.plan import trust
from mesh_federation.plan.exports import ExportPlan
from mesh_federation.plan.federation import ClusterPlan, Plan
from mesh_federation.stack import config
from mesh_federation.stack.config import ENCRYPTED

Mode = Literal["remote", "local", "global"]


@dataclass(frozen=True)
class Root:
    """A root certificate authority.

    Attributes:
        name: subject of the root, or its cluster if it is encrypted.
        signs: clusters whose intermediates the root signs, sorted.
    """

    name: str
    signs: tuple[str, ...]


@dataclass(frozen=True)
class Trust:
    """The roots of the federation.

    Attributes:
        model: common, separate or provided.
        scope: whether other clusters are trusted for each link, or every cluster trusts all roots.
        roots: sorted by name.
    """

    model: config.TrustModel
    scope: config.TrustScope
    roots: tuple[Root, ...]


@dataclass(frozen=True)
class Gateway:
    """The east-west gateway of a cluster.

    Attributes:
        addresses: addresses for other clusters; empty if they are known after `up` only.
        port: port for calls from other clusters.
        is_open: the gateway forwards calls to every service, because other clusters discover this one.
    """

    addresses: tuple[str, ...]
    port: int
    is_open: bool


@dataclass(frozen=True)
class Egress:
    """The egress gateway of a cluster.

    Attributes:
        address: address inside the cluster; empty if it is known after `up` only.
        confines: namespaces whose calls may leave through this gateway only; `*` for all.
    """

    address: str
    confines: tuple[str, ...]


@dataclass(frozen=True)
class Caller:
    """Permitted callers of an exported service in one other cluster.

    Attributes:
        cluster: its name.
        accounts: namespace/serviceAccount of each caller; empty for every workload there.
    """

    cluster: str
    accounts: tuple[str, ...]


@dataclass(frozen=True)
class Port:
    """A port of a service.

    Attributes:
        name: of the Service's port.
        number: of the Service's port.
        protocol: in Istio's words.
    """

    name: str
    number: int
    protocol: str


@dataclass(frozen=True)
class Export:
    """A service that a cluster exports.

    Attributes:
        path: where in the stack file it is declared.
        service: namespace/name.
        ports: as declared.
        hosts: host names at the gateway.
        callers: the only permitted callers, sorted by cluster.
    """

    path: str
    service: str
    ports: tuple[Port, ...]
    hosts: tuple[str, ...]
    callers: tuple[Caller, ...]


@dataclass(frozen=True)
class Import:
    """A service of another cluster that a cluster makes reachable.

    Attributes:
        path: where in the stack file it is declared.
        service: namespace/name.
        source: the exporting cluster.
        mode: remote, local or global.
        host: host name for callers.
        ports: ports for callers.
        via: direct, or egress.
        api: istio, or gateway.
        weight: share of calls in percent; None where nothing is weighed.
        failover: region that takes over; empty for any, None for none.
    """

    path: str
    service: str
    source: str
    mode: Mode
    host: str
    ports: tuple[Port, ...]
    via: Literal["direct", "egress"]
    api: Literal["istio", "gateway"]
    weight: int | None
    failover: str | None


@dataclass(frozen=True)
class Discovery:
    """A cluster whose istiod reads another's API server.

    Attributes:
        path: where in the stack file it is declared.
        of: cluster whose API server is read.
        crosses: calls pass its gateway, because the cluster is on another network.
    """

    path: str
    of: str
    crosses: bool


@dataclass(frozen=True)
class Cluster:
    """A cluster and its mesh.

    Attributes:
        path: where in the stack file it is declared.
        name: logical name.
        provisioner: provider of the cluster; `partner` for one of another stack.
        istio: its release; empty where it is not known.
        is_of_others: its Istio belongs to others.
        locality: of its gateway as importers see it.
        network: its Istio network.
        mesh: its mesh ID.
        trust_domain: of its identities.
        root: name of the root that vouches for it; empty where no mesh is known.
        accepts: foreign trust domains that it accepts, sorted.
        gateway: gateway for calls from other clusters; None if there is none.
        egress: egress gateway; None if no import uses one.
        exports: sorted by service.
        imports: sorted by service, mode and source.
        discoveries: sorted by `of`.
        read_by: clusters whose istiods read it, sorted.
    """

    path: str
    name: str
    provisioner: str
    istio: str
    is_of_others: bool
    locality: str
    network: str
    mesh: str
    trust_domain: str
    root: str
    accepts: tuple[str, ...]
    gateway: Gateway | None
    egress: Egress | None
    exports: tuple[Export, ...]
    imports: tuple[Import, ...]
    discoveries: tuple[Discovery, ...]
    read_by: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """A whole federation.

    Attributes:
        stack: its name.
        trust: the roots.
        clusters: sorted by name.
    """

    stack: str
    trust: Trust
    clusters: tuple[Cluster, ...]


def graph(federation: config.Federation, plan: Plan, stack: str) -> Graph:
    """Collect the facts from a model and its plan."""
    roots = tuple(sorted(_roots(plan.trust), key=lambda root: root.name))
    of_others = {name: _subject(name, known[0]) for name, known in federation.roots_of_others.items()}
    root_of = {**of_others, **{cluster: root.name for root in roots for cluster in root.signs}}
    everybody = {**plan.clusters, **plan.partners}
    return Graph(
        stack=stack,
        trust=Trust(federation.trust.model, federation.trust.scope, roots),
        clusters=tuple(_cluster(federation, each, root_of.get(name, "")) for name, each in sorted(everybody.items())),
    )


def _roots(planned: trust.TrustPlan) -> Iterator[Root]:
    for made in planned.roots:
        signed = (each.cluster for each in planned.intermediates if each.root == made)
        yield Root(made.common_name, tuple(sorted(signed)))
    provided: dict[str, list[str]] = {}
    for cluster, given in sorted(planned.provided.items()):
        provided.setdefault(_subject(cluster, given.root), []).append(cluster)
    for root in planned.given:
        if root != ENCRYPTED:
            provided.setdefault(_subject("", root), [])  # trusted while a rotation lasts, and signs nothing
    for subject, clusters in provided.items():
        yield Root(subject, tuple(clusters))


def _subject(cluster: str, root: str) -> str:
    """Return the subject of a provided root; in a valid model no two roots share one."""
    if root == ENCRYPTED:
        return f"encrypted root of {cluster}"
    from cryptography import x509  # takes longer to load than all else here

    return x509.load_pem_x509_certificate(root.encode()).subject.rfc4514_string()


def _cluster(federation: config.Federation, planned: ClusterPlan, root: str) -> Cluster:
    own = planned.declared
    return Cluster(
        path=own.path,
        name=own.name,
        provisioner="partner" if own.name in federation.partners else own.provider.name,
        istio=planned.istio_version if planned.istio or own.observed else "",
        is_of_others=planned.istio is None,
        locality=own.locality,
        network=own.network,
        mesh=own.mesh_id,
        trust_domain=own.trust_domain,
        root=root,
        accepts=tuple(trust.peers(federation, own.name)),
        gateway=Gateway(planned.addresses, own.gateway.port, planned.is_open) if planned.has_gateway else None,
        egress=_egress(planned),
        exports=tuple(_export(offer) for offer in planned.exports),
        imports=tuple(_imports(federation, planned)),
        discoveries=tuple(_discoveries(federation, planned)),
        read_by=tuple(link.cluster for link in planned.read_by),
    )


def _egress(planned: ClusterPlan) -> Egress | None:
    if planned.egress is None:
        return None
    confined = planned.egress.confined
    return Egress(planned.egress.address, ("*",) if confined == (planned.declared.root_namespace,) else confined)


def _export(planned: ExportPlan) -> Export:
    callers = (
        Caller(consumer.cluster, tuple(sorted(map(str, consumer.service_accounts or ()))))
        for consumer in planned.export.to
    )
    return Export(
        path=planned.export.path,
        service=str(planned.export.service),
        ports=_ports(planned.export.ports),
        hosts=planned.hosts,
        callers=tuple(sorted(callers, key=lambda caller: caller.cluster)),
    )


def _imports(federation: config.Federation, planned: ClusterPlan) -> Iterator[Import]:
    """Split the plan's groups into the imports of the stack file, which results of checks refer to."""
    for group in planned.imports:
        declared = [i for i in federation.imports if (i.cluster, i.service) == (planned.name, group.service)]
        for source in group.sources:
            same = (group.mode, group.host, source.cluster)
            link = next(link for link in declared if (link.mode, link.host, link.source) == same)
            is_weighed = len(group.sources) > 1 or link.weight is not None
            yield Import(
                path=link.path,
                service=str(link.service),
                source=link.source,
                mode=link.mode,
                host=group.host,
                ports=_ports(group.ports),
                via=link.via,
                api=link.api,
                weight=source.weight if is_weighed else None,
                failover=(group.failover.to or "") if group.failover else None,
            )


def _ports(declared: tuple[config.Port, ...]) -> tuple[Port, ...]:
    return tuple(Port(port.name, port.number, port.protocol.value) for port in declared)


def _discoveries(federation: config.Federation, planned: ClusterPlan) -> Iterator[Discovery]:
    paths = {(link.cluster, link.of): link.path for link in federation.discovery}
    for link in planned.discovers:
        yield Discovery(paths[link.cluster, link.of], link.of, link.crosses)
