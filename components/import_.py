"""An import: one service of other clusters, made reachable in this one."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import pulumi

from mesh_federation.plan import routing
from mesh_federation.resources import host_ownership
from mesh_federation.resources.host_ownership import OwnershipArgs
from mesh_federation.resources.objects import Body, ClusterTarget, KubernetesObject, create


@dataclass(frozen=True)
class ImportArgs:
    """Inputs of an Import.

    Attributes:
        plan: what is imported from where.
        addresses: of each source's gateway, in the order of the plan's sources.
        kubeconfig: of the importing cluster; secret.
        target: the importing cluster.
        after: what must exist before its objects are accepted and act: the exports, the remote gateways of its
            networks and, as global, the host that its entries join.
    """

    plan: routing.ImportPlan
    addresses: Sequence[pulumi.Output[Sequence[str]]]
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    after: Sequence[pulumi.Resource]


class Import(pulumi.ComponentResource):
    """**mesh-federation:index:Import** - a service of other clusters under a name that callers here can use.

    As remote: produces a ServiceEntry whose endpoints are the exporters' gateways, and a DestinationRule where a
    connection pool or failover is asked for. As local: a DestinationRule and, after it, a WorkloadEntry for each
    address of those gateways, beside the pods of a Service of this cluster. In both: a Command that frees the host for
    the one object that is to have it, the ServiceEntry or the Service. As global: entries that join the ServiceEntry of
    the global host, and a DestinationRule where one is asked for.

    Attributes:
        host: name under which it is called.
        freed: what a Service of that host must wait for; None unless imported as local.
    """

    host: pulumi.Output[str]
    freed: pulumi.Resource | None

    def __init__(self, name: str, args: ImportArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the service reachable.

        Args:
            name: of the component.
            args: what is imported where.
            opts: options of the component.
        """
        super().__init__("mesh-federation:index:Import", name, None, opts)
        rule = routing.destination_rule(args.plan)
        ruled = [create(rule, args.target, self, args.after)] if rule else []
        self.freed = None
        if args.plan.is_global:
            self._workload_entries(args, ruled)
        elif args.plan.is_local:
            self.freed = self._freed(args, self._workload_entries(args, ruled))
        else:
            self._service_entry(args)
        self.host = pulumi.Output.from_input(args.plan.host)
        self.register_outputs({"host": self.host})

    def _freed(self, args: ImportArgs, after: Sequence[pulumi.Resource]) -> pulumi.Resource:
        plan, target = args.plan, args.target
        owned = OwnershipArgs(plan.host, str(plan.service), plan.owner, args.kubeconfig, target, after)
        return host_ownership.free(f"{target.cluster}-{plan.name}-host", owned, self)

    def _service_entry(self, args: ImportArgs) -> None:
        plan = args.plan
        body = routing.service_entry(plan, [[] for _ in plan.sources])
        spec = body["spec"]
        assert isinstance(spec, dict)
        reached = {} if plan.by_network else _reached(plan, args.addresses)
        freed = self._freed(args, args.after)
        create({**body, "spec": {**spec, **reached}}, args.target, self, [*args.after, freed])

    def _workload_entries(self, args: ImportArgs, ruled: Sequence[pulumi.Resource]) -> list[KubernetesObject]:
        """Add the remote instances once callers accept their identities: until then every call of them would fail."""
        plan, entries = args.plan, []
        known = dict(zip(plan.sources, args.addresses, strict=True))
        for source in routing.called(plan):
            for door in range(source.doors):
                address = None if plan.by_network else known[source].apply(partial(_entry_address, plan, source, door))
                entry = routing.workload_entry(plan, source, door, address)
                entries.append(create(entry, args.target, self, [*args.after, *ruled]))
        return entries


def _reached(plan: routing.ImportPlan, addresses: Sequence[pulumi.Output[Sequence[str]]]) -> Body:
    known = pulumi.Output.all(*addresses)
    return {
        "endpoints": known.apply(lambda each: routing.endpoints(plan, each)),
        "resolution": known.apply(routing.resolution),
    }


def _entry_address(plan: routing.ImportPlan, source: routing.Source, door: int, addresses: Sequence[str]) -> str:
    try:
        return routing.entry_address(plan, source, addresses[door])
    except ValueError as unusable:
        raise pulumi.RunError(str(unusable)) from None
