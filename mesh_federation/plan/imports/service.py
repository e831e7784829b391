"""Imports as remote where proxies answer no DNS queries: a Service without pods gives the host an address.

Proxies resolve hosts without a Service only where Istio's DNS capture is on, which no chart sets by itself. The
exporters' gateways are WorkloadEntries, which istiod adds to the endpoints of the Service that selects them.
"""

from mesh_federation.plan.imports.base import EntriesImport
from mesh_federation.plan.imports.global_host import IMPORT_LABEL
from mesh_federation.plan.objects import Body, PlannedObject, object_name
from mesh_federation.stack.config import Export, Federation, Import

EXPORT_TO = "networking.istio.io/exportTo"
"""Annotation of a Service: namespaces whose proxies see it."""


class ServiceImport(EntriesImport):
    """A service that the importing cluster does not run, under its own name, as a Service of this stack."""

    mode = "remote"
    has_service = True

    @classmethod
    def has_local_endpoints(cls, federation: Federation, link: Import) -> bool:
        """No pods of the importing cluster answer."""
        return False

    @classmethod
    def endpoint_labels(cls, federation: Federation, link: Import, export: Export) -> dict[str, str]:
        """Return a label that no pod has: the Service selects the exporters' gateways alone."""
        return {IMPORT_LABEL: object_name("import", link.service)}

    @property
    def owner(self) -> str:
        """The Service of this import."""
        return f"Service {self.service}"

    @property
    def objects(self) -> tuple[PlannedObject, ...]:
        """The Service, and then its endpoints."""
        return PlannedObject(self._service()), *super().objects

    def _service(self) -> Body:
        metadata = {
            "name": self.service.name,
            "namespace": self.service.namespace,
            "annotations": {EXPORT_TO: ",".join(self.visible_to)},
        }
        ports = [{"name": port.name, "port": port.number, "protocol": "TCP"} for port in self.ports]
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": dict(self.labels), "ports": ports},
        }
