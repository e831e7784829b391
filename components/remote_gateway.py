"""The gateway of another network, as one cluster finds it through the Kubernetes Gateway API."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from mesh_federation.plan import gateway_api, remote_gateways
from mesh_federation.resources.objects import ClusterTarget, create


@dataclass(frozen=True)
class RemoteGatewayArgs:
    """Inputs of a RemoteGateway.

    Attributes:
        plan: whose gateway it is.
        addresses: of that gateway.
        target: the cluster that is to find it.
        after: what must exist before its object is accepted.
    """

    plan: remote_gateways.Remote
    addresses: pulumi.Output[Sequence[str]]
    target: ClusterTarget
    after: Sequence[pulumi.Resource]


class RemoteGateway(pulumi.ComponentResource):
    """**mesh-federation:index:RemoteGateway** - where the gateway of another network is.

    Produces a Gateway of the Gateway API, class istio-remote; nothing is deployed for it.
    """

    def __init__(self, name: str, args: RemoteGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Tell the cluster.

        Args:
            name: of the component.
            args: which gateway, and where it is told.
            opts: options of the component.
        """
        super().__init__("mesh-federation:index:RemoteGateway", name, None, opts)
        typed = args.addresses.apply(gateway_api.typed)
        create(remote_gateways.gateway(args.plan, typed), args.target, self, args.after)
        self.register_outputs({"network": pulumi.Output.from_input(args.plan.network)})
