"""Exports: which services of a cluster other meshes may call, through which gateway, and who may.

Sources: walk-throughs 000 to 002 (objects), pitfalls 10 and 12; docs/decisions.md for the policy.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from mesh_federation.jobs.export_check import DeclaredExport
from mesh_federation.plan import istio_values
from mesh_federation.plan.apis import APIS
from mesh_federation.plan.istio_api import SECURITY, manifest
from mesh_federation.plan.objects import Body, PlannedObject, object_name
from mesh_federation.plan.routing_api import ExportedHosts, RoutingApi
from mesh_federation.plan.samples import SAMPLES, SampleKind
from mesh_federation.stack.config import Export, Federation, Import, NamespacedName


@dataclass(frozen=True)
class Admission:
    """Who may call some pods from other meshes, and on which of their ports.

    Attributes:
        ports: of the pods, sorted.
        principals: SPIFFE principals, sorted; `domain/*` admits a whole cluster.
    """

    ports: tuple[int, ...]
    principals: tuple[str, ...]


@dataclass(frozen=True)
class ExportPlan:
    """One service that a cluster exports.

    Attributes:
        export: as declared.
        trust_domain: of the exporting cluster.
        allowed: SPIFFE principals of other meshes that may call, sorted; `domain/*` admits a whole cluster.
        targets: the port of the pods for each port of the export, in the order of these.
        admissions: to its pods: by this export, and by those that select the same pods.
        on_sample: its pods are a sample of this stack, so that all that is declared of them is known to be true.
        port: of the exporting cluster's gateway.
        gateway: name of that gateway.
        gateway_host: host name of its Service.
        hosts: under which the gateway exports it, sorted.
        api: of the object that exports it.
        revision: of the exporting cluster's istiod; empty for the default one.
    """

    export: Export
    trust_domain: str
    allowed: tuple[str, ...]
    targets: tuple[int, ...]
    admissions: tuple[Admission, ...]
    on_sample: bool
    port: int
    gateway: NamespacedName
    gateway_host: str
    hosts: tuple[str, ...]
    api: RoutingApi
    revision: str

    @property
    def name(self) -> str:
        """Name of the objects of this export."""
        return object_name("export", self.export.service)

    @property
    def principal(self) -> str:
        """SPIFFE identity of the service's pods."""
        return principal(self.trust_domain, self.export.identity)

    @property
    def is_global(self) -> bool:
        """Say whether the service is exported under its global host."""
        return self.export.global_host in self.hosts

    @property
    def objects(self) -> tuple[PlannedObject, ...]:
        """The policy, and after it the gateway: there is no moment in which anyone may call."""
        policy = PlannedObject(authorization(self))
        exported = ExportedHosts(self.hosts, self.port, self.gateway, self.gateway_host, self.revision)
        return policy, PlannedObject(self.api.export_gateway(self.export.service, exported), after=(policy.name,))


def exports(federation: Federation, cluster: str) -> list[ExportPlan]:
    """Plan the exports of one cluster, sorted by service."""
    own = federation.clusters[cluster]
    return [
        ExportPlan(
            export=export,
            trust_domain=own.trust_domain,
            allowed=allowed_principals(federation, export),
            targets=target_ports(federation, export),
            admissions=_admissions(federation, export),
            on_sample=sample_of(federation, export) is not None,
            port=own.gateway.port,
            gateway=istio_values.gateway(own),
            gateway_host=own.host_of(istio_values.gateway(own)),
            hosts=exported_hosts(federation, export),
            api=APIS["gateway" if any(link.api == "gateway" for link in _imports_of(federation, export)) else "istio"],
            revision=federation.istio_of(cluster).revision,
        )
        for export in sorted(federation.exports, key=lambda export: export.service)
        if export.cluster == cluster
    ]


def exported_hosts(federation: Federation, export: Export) -> tuple[str, ...]:
    """Return the names under which a service is imported, sorted; its own where nobody in this stack imports it.

    A partner's are those of its card.

    No others are exported: the global host needs an import as global, and its own name one as remote or local.
    """
    imported = tuple(sorted({link.exported_host for link in _imports_of(federation, export)}))
    return export.told_hosts or imported or (export.service_host,)


def _imports_of(federation: Federation, export: Export) -> list[Import]:
    every = federation.linked_imports
    return [link for link in every if (link.source, link.service) == (export.cluster, export.service)]


def allowed_principals(federation: Federation, export: Export) -> tuple[str, ...]:
    """Return the foreign principals that an export names, in the form that policies match."""
    allowed: set[str] = set()
    for consumer in export.to:
        domain = federation.clusters[consumer.cluster].trust_domain
        accounts = consumer.service_accounts
        allowed |= {f"{domain}/*"} if accounts is None else {principal(domain, account) for account in accounts}
    return tuple(sorted(allowed))


def sample_of(federation: Federation, export: Export) -> SampleKind | None:
    """Return the kind of the sample that an export selects; None where the pods are not this stack's."""
    exported = (export.cluster, export.service)
    kinds = (each.sample for each in federation.workloads if (each.cluster, each.reference) == exported)
    return next((SAMPLES[kind] for kind in kinds), None)


def target_ports(federation: Federation, export: Export) -> tuple[int, ...]:
    """Return the ports of an export's pods: as declared, else the sample's, else the Service's, as Kubernetes does."""
    sample = sample_of(federation, export)
    return tuple(port.target_port or (sample.target if sample else port.number) for port in export.ports)


def _admissions(federation: Federation, export: Export) -> tuple[Admission, ...]:
    """Return who may call an export's pods where: each pod is subject to the policies of all exports that select it."""
    callers: dict[int, set[str]] = defaultdict(set)
    for each in federation.exports:
        if covers_the_same(each, export):
            for port in target_ports(federation, each):
                callers[port].update(allowed_principals(federation, each))
    ports: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for port in sorted(callers):
        ports[tuple(sorted(callers[port]))].append(port)
    return tuple(
        sorted((Admission(tuple(numbers), named) for named, numbers in ports.items()), key=attrgetter("ports"))
    )


def covers_the_same(export: Export, other: Export) -> bool:
    """Say whether the policies of two exports are for the same pods."""
    same_namespace = (export.cluster, export.service.namespace) == (other.cluster, other.service.namespace)
    return same_namespace and export.workload_labels == other.workload_labels


def principal(domain: str, account: NamespacedName) -> str:
    """Return a workload identity as Istio's policies write it: SPIFFE without the scheme."""
    return f"{domain}/ns/{account.namespace}/sa/{account.name}"


def declaration(plan: ExportPlan) -> DeclaredExport:
    """Return what an export declares about a Service and its pods, for the job that compares it with them."""
    numbers = (str(port.number) for port in plan.export.ports)
    return DeclaredExport(
        service=str(plan.export.service),
        labels=plan.export.workload_labels,
        account=plan.export.identity.name,
        ports=dict(zip(numbers, plan.targets, strict=True)),
        by_service=plan.export.service_host in plan.hosts,
    )


def authorization(plan: ExportPlan) -> Body:
    """Body of the policy that refuses foreign callers that the export does not name, and all on ports that it does not.

    A DENY with exceptions, not an ALLOW: callers of the exporter's own mesh keep what they had.
    """
    selector = {"selector": {"matchLabels": plan.export.workload_labels}}
    spec = {**selector, "action": "DENY", "rules": _refused(plan.trust_domain, plan.admissions)}
    return manifest(SECURITY, "AuthorizationPolicy", plan.name, plan.export.service.namespace, spec)


def foreign_callers(namespace: str, trust_domain: str, plans: Sequence[ExportPlan]) -> Body:
    """Body of the mesh-wide policy that refuses foreign callers whom no export names, and all on ports of no export.

    It selects no pods, so it holds whatever labels they have, and however a caller reaches them.

    Args:
        namespace: the root namespace of the mesh.
        trust_domain: of the cluster.
        plans: all its exports.
    """
    ports = sorted({port for plan in plans for port in plan.targets})
    named = sorted({each for plan in plans for each in plan.allowed})
    admissions = [Admission(tuple(ports), tuple(named))]
    spec = {"action": "DENY", "rules": _refused(trust_domain, admissions if plans else [])}
    return manifest(SECURITY, "AuthorizationPolicy", "foreign-callers", namespace, spec)


def _refused(trust_domain: str, admissions: Sequence[Admission]) -> list[Body]:
    """Return the rules of a DENY that leave nothing but admissions to foreign callers.

    Ports are those of the pods: Istio's policies know no others.
    """
    ports = sorted({port for each in admissions for port in each.ports})
    several = len(admissions) > 1
    return [
        *(
            _rule(trust_domain, each.principals, {"ports": _texts(each.ports)} if several else {})
            for each in admissions
        ),
        _rule(trust_domain, (), {"notPorts": _texts(ports)} if ports else {}),
    ]


def _rule(trust_domain: str, principals: Sequence[str], operation: Mapping[str, object]) -> Body:
    source = {"principals": ["*"], "notPrincipals": [f"{trust_domain}/*", *principals]}
    return {"from": [{"source": source}], **({"to": [{"operation": operation}]} if operation else {})}


def _texts(ports: Iterable[int]) -> list[str]:
    return [str(port) for port in ports]
