"""Gateways of other networks that a cluster finds through the Kubernetes Gateway API, instead of in every endpoint.

Source: walk-through 002 section 4.4, pitfalls 28, 29 and 30. Istio looks them up by network alone, so an importing
cluster may have one exporting cluster a network; a rule of the model sees to that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mesh_federation.plan import gateway_api
from mesh_federation.plan.gateway_api import Body
from mesh_federation.plan.routing import ImportPlan


@dataclass(frozen=True)
class Remote:
    """The gateway of one other network, as one cluster knows it.

    Attributes:
        cluster: whose gateway it is.
        network: its Istio network.
        port: of that gateway, or of the egress gateway that leads there.
    """

    cluster: str
    network: str
    port: int

    @property
    def name(self) -> str:
        """Name of the object."""
        return f"remote-{self.cluster}"

    def serves(self, link: ImportPlan) -> bool:
        """Say whether calls of an import go through it."""
        return link.by_network and self.cluster in {source.cluster for source in link.sources}


def remotes(imports: Sequence[ImportPlan]) -> list[Remote]:
    """Plan the remote gateways that one cluster's imports need, sorted by cluster."""
    sources = (source for plan in imports if plan.by_network for source in plan.sources)
    return sorted({Remote(s.cluster, s.network, s.port) for s in sources}, key=lambda remote: remote.cluster)


def gateway(remote: Remote, addresses: object) -> Body:
    """Body of a remote gateway; its addresses may still be unknown."""
    return gateway_api.remote(remote.name, remote.network, remote.port, addresses)
