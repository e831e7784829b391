"""An export: one service that other clusters may reach, and the policy that says who may call it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.objects import Place, create
from model import routing


@dataclass(frozen=True)
class ExportArgs:
    """Inputs of an Export.

    Attributes:
        plan: what is offered to whom.
        place: the exporting cluster.
        after: what must run before its objects are accepted.
    """

    plan: routing.ExportPlan
    place: Place
    after: Sequence[pulumi.Resource]


class Export(pulumi.ComponentResource):
    """**mesh-federation:index:Export** - a service on the east-west gateway.

    Produces an AuthorizationPolicy that refuses every foreign caller not named, and after it the Gateway, of Istio or
    of the Gateway API, that offers the service's exact hosts: there is no moment in which anyone may call.

    Attributes:
        hosts: names under which the service is offered.
    """

    hosts: pulumi.Output[Sequence[str]]

    def __init__(self, name: str, args: ExportArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Offer the service.

        Args:
            name: of the component.
            args: what is offered where.
            opts: options of the component.
        """
        super().__init__("mesh-federation:index:Export", name, None, opts)
        policy = create(routing.authorization(args.plan), args.place, self, args.after)
        create(routing.gateway(args.plan), args.place, self, [*args.after, policy])
        self.hosts = pulumi.Output.from_input(list(args.plan.hosts))
        self.register_outputs({"hosts": self.hosts})
