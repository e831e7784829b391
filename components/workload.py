"""Sample workloads: something to call, and something to call with."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.authority import restarted_by
from components.objects import Place, create
from model import samples
from model.config import Workload


@dataclass(frozen=True)
class SampleArgs:
    """Inputs of a Sample.

    Attributes:
        workload: which, and how many.
        roots: hash of the trusted roots; another one restarts its pods.
        place: the cluster.
        namespaces: of the cluster, its own among them.
        after: what must run before its pods start; the injection webhook among it.
    """

    workload: Workload
    roots: pulumi.Output[str]
    place: Place
    namespaces: Sequence[pulumi.Resource]
    after: Sequence[pulumi.Resource]


class Sample(pulumi.ComponentResource):
    """**mesh-federation:index:Sample** - a workload of Istio's samples, in the mesh.

    Produces a ServiceAccount, a Service and a Deployment.
    """

    def __init__(self, name: str, args: SampleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Start the workload.

        Args:
            name: of the component.
            args: which one where.
            opts: options of the component.
        """
        super().__init__("mesh-federation:index:Sample", name, None, opts)
        account, service, deployment = samples.bodies(args.workload)
        before = [create(body, args.place, self, args.namespaces) for body in (account, service)]
        create(restarted_by(args.roots, deployment), args.place, self, [*args.after, *before])
        self.register_outputs({})
