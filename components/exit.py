"""The component Exit."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import local

from mesh_federation.jobs import egress_ready
from mesh_federation.jobs.egress_ready import EgressReadySettings
from mesh_federation.plan.egress import ExitPlan
from mesh_federation.plan.istio_values import labels_of
from mesh_federation.resources import job
from mesh_federation.resources.job import JobArgs
from mesh_federation.resources.objects import ClusterTarget, create_planned


@dataclass(frozen=True)
class ExitArgs:
    """Inputs of an Exit.

    Attributes:
        plan: the other cluster, and the hosts that are called there.
        addresses: of the other cluster's gateway.
        kubeconfig: of the cluster whose calls leave; secret.
        target: that cluster.
        after: resources that must exist before its objects are accepted, the egress gateway among them.
    """

    plan: ExitPlan
    addresses: pulumi.Output[Sequence[str]]
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    after: Sequence[pulumi.Resource]


class Exit(pulumi.ComponentResource):
    """**mesh-federation:index:Exit** - the route from a cluster's egress gateway to the gateway of another cluster.

    Resources: the ServiceEntry of that gateway; a listener and a route for each imported host (Gateway and
    VirtualService of Istio, or Gateway and TLSRoute of the Gateway API); and, unless the egress gateway is simulated, a
    Command that waits until its Envoys have all of them: no caller may be sent there before (pitfall 32).

    Attributes:
        ready: resources that callers wait for.
    """

    ready: Sequence[pulumi.Resource]

    def __init__(self, name: str, args: ExitArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the route.

        Args:
            name: of the component.
            args: inputs.
            opts: resource options.
        """
        super().__init__("mesh-federation:index:Exit", name, None, opts)
        addresses = {args.plan.cluster: args.addresses}
        made = [*create_planned(args.plan.objects, args.target, self, args.after, addresses).values()]
        self.ready = [self._confirmed(args, made)] if args.plan.has_envoys else made
        self.register_outputs({"port": pulumi.Output.from_input(args.plan.port)})

    def _confirmed(self, args: ExitArgs, made: Sequence[pulumi.Resource]) -> local.Command:
        plan, target = args.plan, args.target
        settings = EgressReadySettings(
            namespace=plan.gateway.namespace,
            selector=",".join(f"{key}={value}" for key, value in labels_of(plan.gateway).items()),
            port=plan.port,
            server_names=tuple(route.server_names for route in plan.routes),
            upstream=plan.upstream,
        )
        arguments = JobArgs(
            job=egress_ready.JOB,
            settings=settings,
            triggers=[target.provider.id, str(plan.port), " ".join(settings.server_names), plan.upstream],
            kubeconfig=args.kubeconfig,
            target=target,
            after=made,
        )
        return job.run(f"{target.cluster}-exit-{plan.cluster}", arguments, self)
