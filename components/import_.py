"""The component Import."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import local

from components.sample import Sample
from mesh_federation.plan.imports import ImportPlan
from mesh_federation.resources.host_release import HostReleaseArgs, release_host
from mesh_federation.resources.objects import ClusterTarget, create, create_planned


@dataclass(frozen=True)
class ImportArgs:
    """Inputs of an Import.

    Attributes:
        plan: the service and its sources.
        addresses: at which callers reach each source, by cluster.
        joined: the sample of this cluster whose Service remote instances join; None where there is none.
        kubeconfig: of the importing cluster; secret.
        target: the importing cluster.
        namespaces: of the importing cluster's services.
        after: resources that must exist before its objects are accepted and have an effect: the exports, the remote
            gateways of its networks and, as global, the host that its entries join.
    """

    plan: ImportPlan
    addresses: Mapping[str, pulumi.Output[Sequence[str]]]
    joined: Sample | None
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    namespaces: Sequence[pulumi.Resource]
    after: Sequence[pulumi.Resource]


class Import(pulumi.ComponentResource):
    """**mesh-federation:index:Import** - a service of other clusters under a name that callers here can use.

    Resources: those that its mode plans (mesh_federation/plan/imports), and a Command that releases the host from its
    previous owner, where the mode does so. As remote: a ServiceEntry whose endpoints are the exporters' gateways, and a
    DestinationRule where one is needed. As local: a DestinationRule for callers that the exports name and one for all
    others, a WorkloadEntry for each address of those gateways and, below the sample, the Service that they join. As
    global: such entries for the GlobalHost.

    Attributes:
        host: name under which the service is called.
        service: the joined sample's Service; None where there is none.
    """

    host: pulumi.Output[str]
    service: pulumi.Resource | None

    def __init__(self, name: str, args: ImportArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the service reachable.

        Args:
            name: of the component.
            args: inputs.
            opts: resource options.
        """
        super().__init__("mesh-federation:index:Import", name, None, opts)
        plan, after, self.service = args.plan, list(args.after), None
        if plan.releases_host and not plan.joins_service:
            after.append(self._released(args, after))
        made = create_planned(plan.objects, args.target, self, after, args.addresses)
        if plan.joins_service:
            released = self._released(args, list(made.values()))
            if sample := args.joined:
                self.service = create(sample.plan.service.body, args.target, sample, [*args.namespaces, released])
        self.host = pulumi.Output.from_input(plan.host)
        self.register_outputs({"host": self.host})

    def _released(self, args: ImportArgs, after: Sequence[pulumi.Resource]) -> local.Command:
        plan, target = args.plan, args.target
        release = HostReleaseArgs(plan.host, str(plan.service), plan.owner, args.kubeconfig, target, after)
        return release_host(f"{target.cluster}-{plan.name}-host", release, self)
