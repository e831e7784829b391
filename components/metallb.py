"""The component MetalLB."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi

from mesh_federation.plan import metallb
from mesh_federation.plan.objects import PlannedObject
from mesh_federation.resources import crds
from mesh_federation.resources.crds import DefinitionsArgs
from mesh_federation.resources.namespaces import create_namespaces
from mesh_federation.resources.objects import ClusterTarget, create_planned
from mesh_federation.resources.webhook import WebhookArgs, wait_for_webhook

PODS = ("Deployment", "DaemonSet")


@dataclass(frozen=True)
class MetalLBArgs:
    """Inputs of a MetalLB.

    Attributes:
        manifest: file with its custom resource definitions.
        objects: all others of that file.
        configuration: the addresses that it may assign, and how it announces them.
        kubeconfig: of the cluster; secret.
        target: the cluster.
    """

    manifest: Path
    objects: Sequence[PlannedObject]
    configuration: Sequence[PlannedObject]
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget


class MetalLB(pulumi.ComponentResource):
    """**mesh-federation:index:MetalLB** - assigns addresses of the lab network to Services of type LoadBalancer.

    Resources: a Command that applies the definitions of its manifest, every other object of that, a Command that waits
    for its webhook, an IPAddressPool and an L2Advertisement.

    Attributes:
        ready: resources that a Service that needs an address must wait for.
    """

    ready: Sequence[pulumi.Resource]

    def __init__(self, name: str, args: MetalLBArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Install MetalLB.

        Args:
            name: of the component.
            args: inputs.
            opts: resource options.
        """
        super().__init__("mesh-federation:index:MetalLB", name, None, opts)
        target = args.target
        definitions = DefinitionsArgs(args.manifest, "MetalLB", args.kubeconfig, target)
        defined = crds.apply(f"{target.cluster}-metallb-crds", definitions, self)
        own = [each for each in args.objects if each.kind == "Namespace"]
        namespaces = create_namespaces(own, args.kubeconfig, target, self)
        rest = [each for each in args.objects if each.kind not in ("Namespace", *PODS)]
        before = create_planned(rest, target, self, namespaces)
        pods = [each for each in args.objects if each.kind in PODS]
        running = create_planned(pods, target, self, [defined, *before.values()])
        # Only the controller serves it; addresses are assigned before the speakers on the nodes announce them.
        serving = [running[each.name] for each in pods if each.kind == "Deployment"]
        webhook = WebhookArgs("MetalLB", metallb.probe(), args.kubeconfig, target, serving)
        answering = wait_for_webhook(f"{target.cluster}-metallb-webhook", webhook, self)
        self.ready = list(create_planned(args.configuration, target, self, [answering]).values())
        self.register_outputs({})
