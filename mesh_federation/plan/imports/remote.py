"""Imports as remote: a service under its own name, as a ServiceEntry whose endpoints are the exporters' gateways."""

from collections.abc import Sequence

from mesh_federation.plan.imports.base import SOME_ADDRESS, ImportPlan
from mesh_federation.plan.istio_api import NETWORKING, manifest, resolution
from mesh_federation.plan.objects import Body, Fill, PlannedObject
from mesh_federation.stack.config import Federation, Import


class RemoteImport(ImportPlan):
    """A service that the importing cluster does not run."""

    mode = "remote"

    @classmethod
    def has_local_endpoints(cls, federation: Federation, link: Import) -> bool:
        """No pods of the importing cluster answer."""
        return False

    @property
    def objects(self) -> tuple[PlannedObject, ...]:
        """The ServiceEntry, and the DestinationRule where one is needed."""
        spec = {
            "hosts": [self.host],
            "exportTo": list(self.visible_to),
            "location": "MESH_INTERNAL",
            "ports": [{"number": p.number, "name": p.name, "protocol": p.protocol.value} for p in self.ports],
            "resolution": "STATIC",
            "subjectAltNames": self.pinned,
            "endpoints": self._endpoints_by_network() if self.api.finds_gateways_by_network else [],
        }
        entry = PlannedObject(manifest(NETWORKING, "ServiceEntry", self.name, self.namespace, spec), self._fills())
        return (entry, self.destination_rule) if self.destination_rule else (entry,)

    def _fills(self) -> tuple[Fill, ...]:
        if self.api.finds_gateways_by_network:
            return ()
        clusters = tuple(source.cluster for source in self.sources)
        return (
            Fill(
                ("spec", "endpoints"), clusters, self._endpoints, self._endpoints(*([SOME_ADDRESS] for _ in clusters))
            ),
            Fill(("spec", "resolution"), clusters, resolution, resolution([SOME_ADDRESS])),
        )

    def _endpoints(self, *addresses: Sequence[str]) -> list[Body]:
        """Return one endpoint per address of each source's gateway."""
        return [
            {**self.endpoint(source, address), "weight": source.weight}
            for source, known in zip(self.sources, addresses, strict=True)
            if source in self.called_sources
            for address in known
        ]

    def _endpoints_by_network(self) -> list[Body]:
        return [{**self.endpoint(source, ""), "weight": source.weight} for source in self.called_sources]
