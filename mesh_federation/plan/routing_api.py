"""What an API must be able to express, so that imports can be routed by it: Istio's own, or the Kubernetes Gateway API.

Adding one is a subclass, its name in the stack file's schema, and an entry in `apis.py`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from mesh_federation.plan.objects import Body, object_name
from mesh_federation.stack.config import NamespacedName


@dataclass(frozen=True)
class ExportedHosts:
    """Hosts that an east-west gateway passes on.

    Attributes:
        hosts: exact names, sorted.
        port: of the gateway.
        gateway: the namespace and the name of its Service.
        gateway_host: host name of that Service.
        revision: of the istiod that reads the object; empty for the default one.
    """

    hosts: tuple[str, ...]
    port: int
    gateway: NamespacedName
    gateway_host: str
    revision: str


@dataclass(frozen=True)
class EgressListener:
    """One host on an egress gateway, and the gateway of another cluster that its calls go to.

    Attributes:
        service: whose host it is.
        host: by which the exporter's gateway passes calls on.
        is_global: it is the service's global host.
        cluster: the exporting cluster.
        gateway: the namespace and the name of the egress gateway's Service.
        gateway_host: host name of that Service.
        port: of the egress gateway.
        upstream_host: by which the egress gateway knows the gateway of that cluster.
        upstream_port: of that gateway.
        revision: of the istiod that reads the objects; empty for the default one.
    """

    service: NamespacedName
    host: str
    is_global: bool
    cluster: str
    gateway: NamespacedName
    gateway_host: str
    port: int
    upstream_host: str
    upstream_port: int
    revision: str

    @property
    def server_names(self) -> str:
        """Server names in the callers' TLS: port and subset precede the host (pitfall 33)."""
        return f"*.{self.host}"

    def named(self, role: str) -> str:
        """Name an object of this listener."""
        kind = "global" if self.is_global else "own"
        return object_name(role, self.service, kind, self.cluster)


class RoutingApi(ABC):
    """An API by which exports and imports are routed.

    Attributes:
        finds_gateways_by_network: endpoints have no address; a remote gateway object has those of their network.
    """

    finds_gateways_by_network: ClassVar[bool]

    @abstractmethod
    def export_gateway(self, service: NamespacedName, exported: ExportedHosts) -> Body:
        """Body of the object by which the east-west gateway passes calls for one service on."""

    @abstractmethod
    def egress_route(self, listener: EgressListener) -> tuple[Body, Body]:
        """Bodies of a listener of the egress gateway and of the route from there to the other cluster's gateway."""
