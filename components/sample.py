"""The component Sample."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from mesh_federation.plan.objects import TRUST_HASH
from mesh_federation.plan.samples import SamplePlan
from mesh_federation.resources.objects import ClusterTarget, KubernetesObject, create, filled


@dataclass(frozen=True)
class SampleArgs:
    """Inputs of a Sample.

    Attributes:
        plan: kind and number of its pods.
        roots: hash of the trusted roots; another one restarts its pods.
        target: the cluster.
        namespaces: of the cluster, its own among them.
        after: resources that must exist before its pods start, the injection webhook among them.
    """

    plan: SamplePlan
    roots: pulumi.Output[str]
    target: ClusterTarget
    namespaces: Sequence[pulumi.Resource]
    after: Sequence[pulumi.Resource]


class Sample(pulumi.ComponentResource):
    """**mesh-federation:index:Sample** - a workload of Istio's samples, in the mesh.

    Resources: a ServiceAccount, a Deployment and a Service. A Service that instances of other clusters join is created
    by the Import that joins them, as the previous owner of its host must release that first.

    Attributes:
        plan: of the sample.
        running: its Deployment.
        ready: resources that a caller elsewhere must wait for.
    """

    plan: SamplePlan
    running: KubernetesObject
    ready: Sequence[pulumi.Resource]

    def __init__(self, name: str, args: SampleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Start the workload.

        Args:
            name: of the component.
            args: inputs.
            opts: resource options.
        """
        super().__init__("mesh-federation:index:Sample", name, None, opts)
        self.plan = args.plan
        account, service, deployment = args.plan.objects
        made = create(account.body, args.target, self, args.namespaces)
        body = filled(deployment, {TRUST_HASH: args.roots})
        self.running = create(body, args.target, self, [*args.after, made])
        services = [] if args.plan.is_joined else [create(service.body, args.target, self, args.namespaces)]
        self.ready = [self.running, *services]
        self.register_outputs({})
