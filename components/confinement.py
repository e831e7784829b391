"""The component Confinement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from mesh_federation.plan.egress import EgressPlan
from mesh_federation.resources.objects import ClusterTarget, create_planned


@dataclass(frozen=True)
class ConfinementArgs:
    """Inputs of a Confinement.

    Attributes:
        plan: egress of the cluster.
        addresses: of the gateways of all clusters that its exits lead to, by cluster.
        target: the cluster.
        after: resources that must exist before: callers that already leave through the egress gateway.
    """

    plan: EgressPlan
    addresses: Mapping[str, pulumi.Output[Sequence[str]]]
    target: ClusterTarget
    after: Sequence[pulumi.Resource]


class Confinement(pulumi.ComponentResource):
    """**mesh-federation:index:Confinement** - closes every route around the egress gateway.

    Resources: a Sidecar for each namespace of callers, whose proxies then refuse hosts that the mesh does not know, and
    a NetworkPolicy for each, which keeps its pods from the other clusters' gateways with or without a proxy.
    """

    def __init__(self, name: str, args: ConfinementArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Close the other routes.

        Args:
            name: of the component.
            args: inputs.
            opts: resource options.
        """
        super().__init__("mesh-federation:index:Confinement", name, None, opts)
        create_planned(args.plan.confinement, args.target, self, args.after, args.addresses)
        self.register_outputs({})
