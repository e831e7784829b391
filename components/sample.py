"""Sample workloads: something to call, and something to call with."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.certificate_authority import restarted_by
from mesh_federation.plan import samples
from mesh_federation.resources.objects import ClusterTarget, KubernetesObject, create
from mesh_federation.stack.config import Workload


@dataclass(frozen=True)
class SampleArgs:
    """Inputs of a Sample.

    Attributes:
        workload: which, and how many.
        revision: of the istiod that gives its pods their sidecars; empty for the default one.
        roots: hash of the trusted roots; another one restarts its pods.
        target: the cluster.
        namespaces: of the cluster, its own among them.
        after: what must run before its pods start; the injection webhook among it.
    """

    workload: Workload
    revision: str
    roots: pulumi.Output[str]
    target: ClusterTarget
    namespaces: Sequence[pulumi.Resource]
    after: Sequence[pulumi.Resource]


class Sample(pulumi.ComponentResource):
    """**mesh-federation:index:Sample** - a workload of Istio's samples, in the mesh.

    Produces a ServiceAccount, a Deployment and, when it is told to serve, a Service.

    Attributes:
        running: its Deployment.
        ready: what a caller elsewhere must wait for.
    """

    running: KubernetesObject
    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: SampleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Start the workload.

        Args:
            name: of the component.
            args: which one where.
            opts: options of the component.
        """
        super().__init__("mesh-federation:index:Sample", name, None, opts)
        account, self._service, deployment = samples.bodies(args.workload, args.revision)
        self._target = args.target
        permitted = create(account, args.target, self, args.namespaces)
        self.running = create(restarted_by(args.roots, deployment), args.target, self, [*args.after, permitted])
        self.ready = [self.running]
        self.register_outputs({})

    def serve(self, after: Sequence[pulumi.Resource]) -> None:
        """Make its Service: at once, or when the object that had its host until now is gone.

        Args:
            after: what must exist, or have gone, before it.
        """
        self.ready.append(create(self._service, self._target, self, after))
