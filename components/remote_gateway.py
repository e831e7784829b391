"""The component RemoteGateway."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from mesh_federation.plan.remote_gateways import RemoteGatewayPlan
from mesh_federation.resources.objects import ClusterTarget, create_planned


@dataclass(frozen=True)
class RemoteGatewayArgs:
    """Inputs of a RemoteGateway.

    Attributes:
        plan: the gateway's network and port.
        addresses: at which callers reach it.
        target: the importing cluster.
        after: resources that must exist before its object is accepted.
    """

    plan: RemoteGatewayPlan
    addresses: pulumi.Output[Sequence[str]]
    target: ClusterTarget
    after: Sequence[pulumi.Resource]


class RemoteGateway(pulumi.ComponentResource):
    """**mesh-federation:index:RemoteGateway** - where the gateway of another network is, for one importing cluster.

    Resources: a Gateway of the Gateway API, of class istio-remote; nothing is deployed for it.
    """

    def __init__(self, name: str, args: RemoteGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Describe the gateway.

        Args:
            name: of the component.
            args: inputs.
            opts: resource options.
        """
        super().__init__("mesh-federation:index:RemoteGateway", name, None, opts)
        addresses = {args.plan.cluster: args.addresses}
        create_planned(args.plan.objects, args.target, self, args.after, addresses)
        self.register_outputs({"network": pulumi.Output.from_input(args.plan.network)})
