"""Global hosts: one name for a service in every mesh, <name>.mesh.global, as one ServiceEntry a cluster.

Source: walk-through 002 section 4.4, pitfalls 27, 28 and 38. In the exporting cluster it selects the service's pods, so
that the gateway knows the host; in an importing one the entries that lead to the exporters' gateways, and the pods of a
cluster that runs the service too. A cluster that does both has one ServiceEntry for both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mesh_federation.plan.istio_values import NAMESPACE
from mesh_federation.plan.routing import NETWORKING, Body, ExportPlan, ImportPlan, manifest, object_name
from mesh_federation.stack.config import NamespacedName, Port


@dataclass(frozen=True)
class GlobalHost:
    """One global host in one cluster.

    Attributes:
        service: whose it is.
        namespace: of its objects.
        ports: of the service, with the port of its pods where that differs.
        selector: labels of what answers: pods, entries or both.
        pinned: identities that callers accept, as they stand in certificates.
        visible_to: namespaces that see the host; `*` is all.
    """

    service: NamespacedName
    namespace: str
    ports: tuple[Port, ...]
    selector: dict[str, str]
    pinned: tuple[str, ...]
    visible_to: tuple[str, ...]

    @property
    def host(self) -> str:
        """The name under which it is called."""
        return self.service.global_host

    @property
    def name(self) -> str:
        """Name of its ServiceEntry."""
        return object_name("global", self.service)

    @property
    def owner(self) -> str:
        """The one object that has the host."""
        return f"ServiceEntry {self.namespace}/{self.name}"


def hosts(exports: Sequence[ExportPlan], imports: Sequence[ImportPlan]) -> list[GlobalHost]:
    """Plan the global hosts of one cluster, sorted by service, from all that it exports and imports."""
    offered = {plan.export.service: plan for plan in exports}
    known = {service for service, plan in offered.items() if plan.is_global}
    linked = {plan.service: plan for plan in imports if plan.is_global}
    return [_host(service, offered.get(service), linked.get(service)) for service in sorted(known | set(linked))]


def _host(service: NamespacedName, offered: ExportPlan | None, linked: ImportPlan | None) -> GlobalHost:
    """Describe a host that a cluster exports, imports or both; an export of its own knows the ports of its pods."""
    if linked is None:
        assert offered is not None
        return GlobalHost(
            service=service,
            namespace=service.namespace,
            ports=offered.export.ports,
            selector=offered.export.workload_labels,
            pinned=(f"spiffe://{offered.principal}",),
            visible_to=(NAMESPACE,),
        )
    return GlobalHost(
        service=service,
        namespace=linked.namespace,
        ports=offered.export.ports if offered else linked.ports,
        selector=linked.labels,
        pinned=tuple(linked.pinned),
        visible_to=_visible_to(linked, offered is not None and offered.is_global),
    )


def _visible_to(linked: ImportPlan, is_offered: bool) -> tuple[str, ...]:
    """Show the host to its callers, and to the own gateway only where that is to offer it (pitfall 38, both halves)."""
    seen = {*linked.visible_to, *([NAMESPACE] if is_offered else [])}
    return ("*",) if "*" in seen else tuple(sorted(seen))


def service_entry(host: GlobalHost) -> Body:
    """Body of the ServiceEntry of a global host. It has no endpoints of its own: what it selects are its endpoints."""
    spec = {
        "hosts": [host.host],
        "exportTo": list(host.visible_to),
        "location": "MESH_INTERNAL",
        "ports": [
            {
                "number": port.number,
                "targetPort": port.target_port or port.number,
                "name": port.name,
                "protocol": port.protocol.value,
            }
            for port in host.ports
        ],
        "resolution": "STATIC",
        "subjectAltNames": list(host.pinned),
        "workloadSelector": {"labels": host.selector},
    }
    return manifest(NETWORKING, "ServiceEntry", host.name, host.namespace, spec)
