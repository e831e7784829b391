"""Global hosts: one name for a service in every mesh, as httpbin.mesh.global, as one ServiceEntry per cluster.

Source: walk-through 002 section 4.4, pitfalls 27, 28 and 38. In the exporting cluster it selects the service's pods, so
that the gateway knows the host; in an importing one the entries that lead to the exporters' gateways, and the pods of a
cluster that runs the service too. A cluster that does both has one ServiceEntry for both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mesh_federation.plan.exports import ExportPlan
from mesh_federation.plan.imports import ImportPlan
from mesh_federation.plan.istio_api import NETWORKING, manifest
from mesh_federation.plan.objects import PlannedObject, object_name
from mesh_federation.stack.config import NamespacedName, Port


@dataclass(frozen=True)
class GlobalHostPlan:
    """One global host in one cluster.

    Attributes:
        service: whose it is.
        host: the name under which it is called.
        namespace: of its objects.
        ports: of the service, with the port of its pods where that differs.
        selector: labels of its endpoints: pods, entries or both.
        pinned: identities that callers accept, as certificates have them.
        visible_to: namespaces that see the host; `*` is all.
    """

    service: NamespacedName
    host: str
    namespace: str
    ports: tuple[Port, ...]
    selector: dict[str, str]
    pinned: tuple[str, ...]
    visible_to: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of its ServiceEntry."""
        return object_name("global", self.service)

    @property
    def owner(self) -> str:
        """The one object that has the host."""
        return f"ServiceEntry {self.namespace}/{self.name}"

    @property
    def objects(self) -> tuple[PlannedObject]:
        """The ServiceEntry. It has no endpoints of its own: the pods and entries that it selects are its endpoints."""
        spec = {
            "hosts": [self.host],
            "exportTo": list(self.visible_to),
            "location": "MESH_INTERNAL",
            "ports": [
                {
                    "number": port.number,
                    "targetPort": port.target_port or port.number,
                    "name": port.name,
                    "protocol": port.protocol.value,
                }
                for port in self.ports
            ],
            "resolution": "STATIC",
            "subjectAltNames": list(self.pinned),
            "workloadSelector": {"labels": self.selector},
        }
        return (PlannedObject(manifest(NETWORKING, "ServiceEntry", self.name, self.namespace, spec)),)


def hosts(exports: Sequence[ExportPlan], imports: Sequence[ImportPlan]) -> list[GlobalHostPlan]:
    """Plan the global hosts of one cluster, sorted by service, from all that it exports and imports."""
    exported = {plan.export.service: plan for plan in exports}
    global_exports = {service for service, plan in exported.items() if plan.is_global}
    imported = {plan.service: plan for plan in imports if plan.joins_global_host}
    services = sorted(global_exports | set(imported))
    return [_host(service, exported.get(service), imported.get(service)) for service in services]


def _host(service: NamespacedName, exported: ExportPlan | None, imported: ImportPlan | None) -> GlobalHostPlan:
    """Plan a host that a cluster exports, imports or both; an export of its own knows the ports of its pods."""
    if imported is None:
        assert exported is not None
        return GlobalHostPlan(
            service=service,
            host=exported.export.global_host,
            namespace=service.namespace,
            ports=exported.export.ports,
            selector=exported.export.workload_labels,
            pinned=(f"spiffe://{exported.principal}",),
            visible_to=(exported.gateway.namespace,),
        )
    return GlobalHostPlan(
        service=service,
        host=imported.host,
        namespace=imported.namespace,
        ports=exported.export.ports if exported else imported.ports,
        selector=imported.labels,
        pinned=tuple(imported.pinned),
        visible_to=_visible_to(imported, exported),
    )


def _visible_to(imported: ImportPlan, exported: ExportPlan | None) -> tuple[str, ...]:
    """Show the host to its callers, and to the own gateway only where that exports it (pitfall 38, both halves)."""
    namespaces = {*imported.visible_to, *([exported.gateway.namespace] if exported and exported.is_global else [])}
    return ("*",) if "*" in namespaces else tuple(sorted(namespaces))
