"""Remote gateways: gateways of other networks, as a cluster finds them through the Kubernetes Gateway API.

Source: walk-through 002 section 4.4, pitfalls 28, 29 and 30. Istio looks them up by network alone, so an importing
cluster may have one exporting cluster per network; a rule of the model enforces that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mesh_federation.plan import gateway_api
from mesh_federation.plan.imports import ImportPlan
from mesh_federation.plan.objects import Fill, PlannedObject
from mesh_federation.stack.config import NamespacedName


@dataclass(frozen=True)
class RemoteGatewayPlan:
    """The gateway of one other network, as one cluster knows it.

    Attributes:
        cluster: whose gateway it is.
        namespace: Istio's, in the importing cluster.
        network: its Istio network.
        port: of that gateway, or of the egress gateway that leads to it.
    """

    cluster: str
    namespace: str
    network: str
    port: int

    @property
    def name(self) -> str:
        """Name of the object."""
        return f"remote-{self.cluster}"

    @property
    def objects(self) -> tuple[PlannedObject]:
        """The Gateway, with the addresses at which the importing cluster reaches the other."""
        name = NamespacedName(self.namespace, self.name)
        body = gateway_api.remote(name, self.network, self.port, [])
        return (PlannedObject(body, (Fill(("spec", "addresses"), (self.cluster,), gateway_api.typed),)),)

    def serves(self, link: ImportPlan) -> bool:
        """Say whether calls of an import go through it."""
        clusters = {source.cluster for source in link.sources}
        return link.api.finds_gateways_by_network and self.cluster in clusters


def remote_gateways(namespace: str, imports: Sequence[ImportPlan]) -> list[RemoteGatewayPlan]:
    """Plan the remote gateways that one cluster's imports need, sorted by cluster.

    Args:
        namespace: of Istio in that cluster.
        imports: of that cluster.
    """
    sources = (source for plan in imports if plan.api.finds_gateways_by_network for source in plan.sources)
    needed = {RemoteGatewayPlan(source.cluster, namespace, source.network, source.port) for source in sources}
    return sorted(needed, key=lambda gateway: gateway.cluster)
