"""MetalLB in one cluster: made before the gateway asks for its address."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import pulumi

from mesh_federation.plan import metallb
from mesh_federation.resources import crds, namespaces
from mesh_federation.resources.crds import DefinitionsArgs
from mesh_federation.resources.objects import Body, ClusterTarget, create_all
from mesh_federation.resources.webhook import WebhookArgs, answers

FIRST = "Namespace"
LAST = ("Deployment", "DaemonSet")


@dataclass(frozen=True)
class MetalLBArgs:
    """Inputs of a MetalLB.

    Attributes:
        manifest: file with its custom resource definitions.
        objects: all others of that file.
        pool: addresses that it may hand out.
        kubeconfig: of the cluster; secret.
        target: the cluster.
    """

    manifest: Path
    objects: Sequence[Body]
    pool: IPv4Network
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget


class MetalLB(pulumi.ComponentResource):
    """**mesh-federation:index:MetalLB** - gives Services of type LoadBalancer addresses of the lab network.

    Produces a Command that applies the definitions of its manifest, every other object of that, a Command that waits
    for its webhook, an IPAddressPool and an L2Advertisement.

    Attributes:
        ready: what a Service that needs an address must wait for.
    """

    ready: Sequence[pulumi.Resource]

    def __init__(self, name: str, args: MetalLBArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Install it.

        Args:
            name: of the component.
            args: what is installed where.
            opts: options of the component.
        """
        super().__init__("mesh-federation:index:MetalLB", name, None, opts)
        target = args.target
        defined = crds.apply(
            f"{target.cluster}-metallb-crds", DefinitionsArgs(args.manifest, "MetalLB", args.kubeconfig, target), self
        )
        spaces = [body for body in args.objects if body["kind"] == FIRST]
        first = namespaces.create_all(spaces, args.kubeconfig, target, self)
        rest = [body for body in args.objects if body["kind"] not in (FIRST, *LAST)]
        permitted = create_all(rest, target, self, first)
        last = [body for body in args.objects if body["kind"] in LAST]
        running = create_all(last, target, self, [defined, *permitted])
        # Only the controller serves it; addresses are given out before the speakers on the nodes announce them.
        serving = [made for body, made in zip(last, running, strict=True) if body["kind"] == "Deployment"]
        waiting = WebhookArgs("MetalLB", metallb.probe(), args.kubeconfig, target, serving)
        answering = answers(f"{target.cluster}-metallb-webhook", waiting, self)
        self.ready = create_all([metallb.pool(args.pool), metallb.advertisement()], target, self, [answering])
        self.register_outputs({})
