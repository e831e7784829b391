"""An export: one service that other clusters may reach, and the policy that says who may call it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import local

from mesh_federation.jobs import export_check
from mesh_federation.jobs.export_check import ExportCheckSettings
from mesh_federation.plan import routing
from mesh_federation.resources import job
from mesh_federation.resources.job import JobArgs
from mesh_federation.resources.objects import ClusterTarget, create


@dataclass(frozen=True)
class ExportArgs:
    """Inputs of an Export.

    Attributes:
        plan: what is offered to whom.
        kubeconfig: of the exporting cluster; secret.
        target: the exporting cluster.
        after: what must run before its objects are accepted.
    """

    plan: routing.ExportPlan
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    after: Sequence[pulumi.Resource]


class Export(pulumi.ComponentResource):
    """**mesh-federation:index:Export** - a service on the east-west gateway.

    Produces an AuthorizationPolicy that refuses every foreign caller not named, and after it the Gateway, of Istio or
    of the Gateway API, that offers the service's exact hosts: there is no moment in which anyone may call. Before both,
    where the service is no sample of this stack, a Command compares what is declared with the Service and its pods.

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
        after = [*args.after, *([] if args.plan.on_sample else [self._compared(name, args)])]
        policy = create(routing.authorization(args.plan), args.target, self, after)
        create(routing.gateway(args.plan), args.target, self, [*after, policy])
        self.hosts = pulumi.Output.from_input(list(args.plan.hosts))
        self.register_outputs({"hosts": self.hosts})

    def _compared(self, name: str, args: ExportArgs) -> local.Command:
        """Stop before anything changes where the policy would cover other pods or ports than those that answer."""
        comparing = JobArgs(
            job=export_check.JOB,
            settings=ExportCheckSettings(cluster=args.target.cluster, export=routing.declaration(args.plan)),
            triggers=[args.target.provider.id],
            kubeconfig=args.kubeconfig,
            target=args.target,
            after=[],  # at once: on a cluster that was there before, before most else is made
        )
        return job.run(f"{name}-compared", comparing, self)
