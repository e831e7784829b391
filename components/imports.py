"""An import: one service of other clusters, made reachable in this one."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import pulumi
from pulumi_command import local

from components.cluster import SCRIPTS
from components.objects import KubernetesObject, Place, create
from model import routing


@dataclass(frozen=True)
class ImportArgs:
    """Inputs of an Import.

    Attributes:
        plan: what is imported from where.
        addresses: of each source's gateway, in the order of the plan's sources.
        kubeconfig: of the importing cluster; secret.
        place: the importing cluster.
        after: what must exist before its objects are accepted, the exports among it.
    """

    plan: routing.ImportPlan
    addresses: Sequence[pulumi.Output[Sequence[str]]]
    kubeconfig: pulumi.Output[str]
    place: Place
    after: Sequence[pulumi.Resource]


class Import(pulumi.ComponentResource):
    """**mesh-federation:index:Import** - a service of other clusters under a name that callers here can use.

    As remote: produces a ServiceEntry whose endpoints are the exporters' gateways, and a DestinationRule where a
    connection pool or failover is asked for. As local: a DestinationRule and, after it, a WorkloadEntry for each
    address of those gateways, beside the pods of a Service of this cluster. In both: a Command that frees the host for
    the one object that is to have it, the ServiceEntry or the Service.

    Attributes:
        host: name under which it is called.
        freed: what a Service of that host must wait for, as local.
    """

    host: pulumi.Output[str]
    freed: pulumi.Resource

    def __init__(self, name: str, args: ImportArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the service reachable.

        Args:
            name: of the component.
            args: what is imported where.
            opts: options of the component.
        """
        super().__init__("mesh-federation:index:Import", name, None, opts)
        rule = routing.destination_rule(args.plan)
        ruled = [create(rule, args.place, self, args.after)] if rule else []
        if args.plan.is_local:
            self.freed = self._freed(args, self._workload_entries(args, ruled))
        else:
            self.freed = self._freed(args, args.after)
            self._service_entry(args)
        self.host = pulumi.Output.from_input(args.plan.host)
        self.register_outputs({"host": self.host})

    def _freed(self, args: ImportArgs, after: Sequence[pulumi.Resource]) -> local.Command:
        """Take the host from whoever had it, at the last moment: until its next owner comes, nobody answers."""
        plan, place = args.plan, args.place
        return local.Command(
            f"{place.cluster}-{plan.name}-host",
            create=f"{SCRIPTS}.host",
            stdin=args.kubeconfig,
            environment={
                "HOST": plan.host,
                "SERVICE": str(plan.service),
                "OWNER": plan.owner,
                "CLUSTER": place.cluster,
                "STACK": place.stack,
            },
            triggers=[place.provider.id],
            logging=local.Logging.STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after), deleted_with=place.deleted_with),
        )

    def _service_entry(self, args: ImportArgs) -> None:
        plan, addresses = args.plan, pulumi.Output.all(*args.addresses)
        body = routing.service_entry(plan, [[] for _ in plan.sources])
        spec = body["spec"]
        assert isinstance(spec, dict)
        reached = {
            "endpoints": addresses.apply(lambda known: routing.endpoints(plan, known)),
            "resolution": addresses.apply(routing.resolution),
        }
        create({**body, "spec": {**spec, **reached}}, args.place, self, [*args.after, self.freed])

    def _workload_entries(self, args: ImportArgs, ruled: Sequence[pulumi.Resource]) -> list[KubernetesObject]:
        """Add the remote instances once callers accept their identities: until then every call of them would fail."""
        entries = []
        for source, addresses in zip(args.plan.sources, args.addresses, strict=True):
            for door in range(source.doors):
                address = addresses.apply(partial(_entry_address, args.plan, source, door))
                entry = routing.workload_entry(args.plan, source, door, address)
                entries.append(create(entry, args.place, self, [*args.after, *ruled]))
        return entries


def _entry_address(plan: routing.ImportPlan, source: routing.Source, door: int, addresses: Sequence[str]) -> str:
    try:
        return routing.entry_address(plan, source, addresses[door])
    except ValueError as unusable:
        raise pulumi.RunError(str(unusable)) from None
