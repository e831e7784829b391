"""A global host: one name for a service in every mesh, in one cluster that exports or imports it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components import ownership
from components.objects import Place, create
from components.ownership import OwnershipArgs
from model import globalhosts


@dataclass(frozen=True)
class GlobalHostArgs:
    """Inputs of a GlobalHost.

    Attributes:
        plan: which host, and what answers for it.
        kubeconfig: of the cluster; secret.
        place: the cluster.
        after: what must exist before its object is accepted.
    """

    plan: globalhosts.GlobalHost
    kubeconfig: pulumi.Output[str]
    place: Place
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
        plan, place = args.plan, args.place
        owned = OwnershipArgs(plan.host, None, plan.owner, args.kubeconfig, place, args.after)
        freed = ownership.free(f"{place.cluster}-{plan.name}-host", owned, self)
        create(globalhosts.service_entry(plan), place, self, [*args.after, freed])
        self.register_outputs({"host": pulumi.Output.from_input(plan.host)})
