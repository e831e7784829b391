"""The component Discovery."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from mesh_federation.plan.discovery import KUBECONFIG, DiscoveryPlan
from mesh_federation.resources.objects import ClusterTarget, create_planned


@dataclass(frozen=True)
class DiscoveryArgs:
    """Inputs of a Discovery.

    Attributes:
        plan: the cluster that reads and the one that is read.
        kubeconfig: with which the istiod reads; secret.
        target: the cluster that reads.
        after: resources that must exist before calls are sent there: a new cluster of the reader must be served in it.
    """

    plan: DiscoveryPlan
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    after: Sequence[pulumi.Resource]


class Discovery(pulumi.ComponentResource):
    """**mesh-federation:index:Discovery** - endpoint discovery: an istiod learns of another cluster and its services.

    Resources: the remote Secret.
    """

    def __init__(self, name: str, args: DiscoveryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the other cluster known.

        Args:
            name: of the component.
            args: inputs.
            opts: resource options.
        """
        super().__init__("mesh-federation:index:Discovery", name, None, opts)
        create_planned(args.plan.objects, args.target, self, args.after, {KUBECONFIG: args.kubeconfig})
        self.register_outputs({})
