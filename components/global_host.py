"""A global host: one name for a service in every mesh, in one cluster that exports or imports it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from mesh_federation.plan import global_hosts
from mesh_federation.resources import host_ownership
from mesh_federation.resources.host_ownership import OwnershipArgs
from mesh_federation.resources.objects import ClusterTarget, create


@dataclass(frozen=True)
class GlobalHostArgs:
    """Inputs of a GlobalHost.

    Attributes:
        plan: which host, and what answers for it.
        kubeconfig: of the cluster; secret.
        target: the cluster.
        after: what must exist before its object is accepted.
    """

    plan: global_hosts.GlobalHost
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    after: Sequence[pulumi.Resource]


class GlobalHost(pulumi.ComponentResource):
    """**mesh-federation:index:GlobalHost** - a name under which a service is called in every mesh.

    Produces a ServiceEntry that selects what answers, and a Command that frees the host for it.
    """

    def __init__(self, name: str, args: GlobalHostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the name known.

        Args:
            name: of the component.
            args: which name where.
            opts: options of the component.
        """
        super().__init__("mesh-federation:index:GlobalHost", name, None, opts)
        plan, target = args.plan, args.target
        owned = OwnershipArgs(plan.host, None, plan.owner, args.kubeconfig, target, args.after)
        freed = host_ownership.free(f"{target.cluster}-{plan.name}-host", owned, self)
        create(global_hosts.service_entry(plan), target, self, [*args.after, freed])
        self.register_outputs({"host": pulumi.Output.from_input(plan.host)})
