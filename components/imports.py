"""An import: one service of other clusters, made reachable in this one."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.objects import Place, create
from model import routing


@dataclass(frozen=True)
class ImportArgs:
    """Inputs of an Import.

    Attributes:
        plan: what is imported from where.
        addresses: of each source's gateway, in the order of the plan's sources.
        place: the importing cluster.
        after: what must exist before its objects are accepted, the exports among it.
    """

    plan: routing.ImportPlan
    addresses: Sequence[pulumi.Output[Sequence[str]]]
    place: Place
    after: Sequence[pulumi.Resource]


class Import(pulumi.ComponentResource):
    """**mesh-federation:index:Import** - a service of other clusters under a name that callers here can use.

    Produces a ServiceEntry whose endpoints are the exporters' gateways, and a DestinationRule where a connection pool
    or failover is asked for.

    Attributes:
        host: name under which it is called.
    """

    host: pulumi.Output[str]

    def __init__(self, name: str, args: ImportArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the service reachable.

        Args:
            name: of the component.
            args: what is imported where.
            opts: options of the component.
        """
        super().__init__("mesh-federation:index:Import", name, None, opts)
        plan = args.plan
        addresses = pulumi.Output.all(*args.addresses)
        body = routing.service_entry(plan, [[] for _ in plan.sources])
        spec = body["spec"]
        assert isinstance(spec, dict)
        reached = {
            "endpoints": addresses.apply(lambda known: routing.endpoints(plan, known)),
            "resolution": addresses.apply(routing.resolution),
        }
        create({**body, "spec": {**spec, **reached}}, args.place, self, args.after)
        if rule := routing.destination_rule(plan):
            create(rule, args.place, self, args.after)
        self.host = pulumi.Output.from_input(plan.host)
        self.register_outputs({"host": self.host})
