"""The component GlobalHost."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from mesh_federation.plan.global_hosts import GlobalHostPlan
from mesh_federation.resources.host_release import HostReleaseArgs, release_host
from mesh_federation.resources.objects import ClusterTarget, create_planned


@dataclass(frozen=True)
class GlobalHostArgs:
    """Inputs of a GlobalHost.

    Attributes:
        plan: the host, and the labels of its endpoints.
        kubeconfig: of the cluster; secret.
        target: the cluster.
        after: resources that must exist before its object is accepted.
    """

    plan: GlobalHostPlan
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    after: Sequence[pulumi.Resource]


class GlobalHost(pulumi.ComponentResource):
    """**mesh-federation:index:GlobalHost** - the name that a service has in every mesh, in one cluster.

    Resources: a Command that releases the host from other objects, and after it the ServiceEntry that selects its
    endpoints.
    """

    def __init__(self, name: str, args: GlobalHostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the name known.

        Args:
            name: of the component.
            args: inputs.
            opts: resource options.
        """
        super().__init__("mesh-federation:index:GlobalHost", name, None, opts)
        plan, target = args.plan, args.target
        release = HostReleaseArgs(plan.host, None, plan.owner, args.kubeconfig, target, args.after)
        released = release_host(f"{target.cluster}-{plan.name}-host", release, self)
        create_planned(plan.objects, target, self, [*args.after, released])
        self.register_outputs({"host": pulumi.Output.from_input(plan.host)})
