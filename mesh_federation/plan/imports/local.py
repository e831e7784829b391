"""Imports as local: remote instances join a Service of the importing cluster."""

from mesh_federation.plan.imports.base import EntriesImport
from mesh_federation.stack.config import Federation, Import


class LocalImport(EntriesImport):
    """A service that the importing cluster runs too, under the name that it has there.

    The DestinationRule is in the Service's namespace, where Istio looks for the rules of every caller of the cluster.
    """

    mode = "local"
    joins_service = True
    has_service = True

    @classmethod
    def has_local_endpoints(cls, federation: Federation, link: Import) -> bool:
        """Pods of the importing cluster always answer too."""
        return True

    @property
    def owner(self) -> str:
        """The Service that remote instances join."""
        return f"Service {self.service}"

    @property
    def visible_to(self) -> tuple[str, ...]:
        """Everybody in the cluster, as of the Service."""
        return ("*",)
