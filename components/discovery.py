"""Endpoint discovery: one cluster's istiod learns of another cluster, and of every service in it."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from mesh_federation.plan import discovery
from mesh_federation.resources.objects import ClusterTarget, create


@dataclass(frozen=True)
class DiscoveryArgs:
    """Inputs of a Discovery.

    Attributes:
        plan: who reads whom.
        kubeconfig: with which the istiod reads; secret.
        target: the cluster whose istiod reads.
        after: what must run before calls are sent there: a reader that moves to a new cluster must be served in it.
    """

    plan: discovery.DiscoveryPlan
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    after: Sequence[pulumi.Resource]


class Discovery(pulumi.ComponentResource):
    """**mesh-federation:index:Discovery** - a cluster of the mesh, as the istiod of another knows it.

    Produces the remote Secret.
    """

    def __init__(self, name: str, args: DiscoveryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the other cluster known.

        Args:
            name: of the component.
            args: who reads whom.
            opts: options of the component.
        """
        super().__init__("mesh-federation:index:Discovery", name, None, opts)
        body = discovery.remote_secret(args.plan, args.kubeconfig.apply(_encoded))
        create(body, args.target, self, args.after)
        self.register_outputs({})


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
