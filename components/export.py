"""The component Export."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import local

from mesh_federation.jobs import export_check
from mesh_federation.jobs.export_check import ExportCheckSettings
from mesh_federation.plan.exports import ExportPlan, declaration
from mesh_federation.resources import job
from mesh_federation.resources.job import JobArgs
from mesh_federation.resources.objects import ClusterTarget, create_planned


@dataclass(frozen=True)
class ExportArgs:
    """Inputs of an Export.

    Attributes:
        plan: the service, and its callers.
        kubeconfig: of the exporting cluster; secret.
        target: the exporting cluster.
        after: resources that must exist before its objects are accepted.
    """

    plan: ExportPlan
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    after: Sequence[pulumi.Resource]


class Export(pulumi.ComponentResource):
    """**mesh-federation:index:Export** - a service that other clusters may call through the east-west gateway.

    Resources: an AuthorizationPolicy that refuses every foreign caller not named; after it the Gateway, of Istio or of
    the Gateway API, that exports the service's exact hosts; and, where the service is no sample of this stack, before
    both a Command that compares the declared Service and pods with the existing ones.

    Attributes:
        hosts: names under which the service is exported.
    """

    hosts: pulumi.Output[Sequence[str]]

    def __init__(self, name: str, args: ExportArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Export the service.

        Args:
            name: of the component.
            args: inputs.
            opts: resource options.
        """
        super().__init__("mesh-federation:index:Export", name, None, opts)
        after = [*args.after, *([] if args.plan.on_sample else [self._compared(name, args)])]
        create_planned(args.plan.objects, args.target, self, after)
        self.hosts = pulumi.Output.from_input(list(args.plan.hosts))
        self.register_outputs({"hosts": self.hosts})

    def _compared(self, name: str, args: ExportArgs) -> local.Command:
        """Stop before anything changes if the policy would cover other pods or ports than the Service has."""
        arguments = JobArgs(
            job=export_check.JOB,
            settings=ExportCheckSettings(cluster=args.target.cluster, export=declaration(args.plan)),
            triggers=[args.target.provider.id],
            kubeconfig=args.kubeconfig,
            target=args.target,
            after=[],  # at once: on an existing cluster, before most else is created
        )
        return job.run(f"{name}-compared", arguments, self)
