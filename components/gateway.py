"""The component Gateway."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from mesh_federation.jobs import load_balancer
from mesh_federation.jobs.load_balancer import LoadBalancerSettings
from mesh_federation.plan import gateway_addresses
from mesh_federation.plan.objects import TRUST_HASH, PlannedObject
from mesh_federation.resources import job
from mesh_federation.resources.job import JobArgs
from mesh_federation.resources.objects import (
    SKIP_AWAIT,
    WAIT_FOR_ADDRESS,
    ClusterTarget,
    KubernetesObject,
    create,
    create_planned,
)


@dataclass(frozen=True)
class GatewayArgs:
    """Inputs of a Gateway.

    Attributes:
        objects: of the gateway chart.
        addresses: under which callers reach it; empty: read from the Service.
        is_internal: its callers are in the same cluster, and reach the Service at its own address.
        is_assigned: the load balancer is ours, and assigns the address that the Service requests.
        roots: hash of the trusted roots; another one restarts its pods.
        kubeconfig: of the cluster; secret.
        target: the cluster.
        before: resources that must exist before any of its objects.
        after: resources that must exist before its pods, whose image the injection webhook fills in.
        balancer: resources that assign an address to its Service; its pods start meanwhile.
    """

    objects: Sequence[PlannedObject]
    addresses: Sequence[str]
    is_internal: bool
    is_assigned: bool
    roots: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    before: Sequence[pulumi.Resource]
    after: Sequence[pulumi.Resource]
    balancer: Sequence[pulumi.Resource]


class Gateway(pulumi.ComponentResource):
    """**mesh-federation:index:Gateway** - an Envoy that passes mutual TLS on by server name: east-west, or egress.

    Resources: every object of the gateway chart and, where a load balancer of others assigns the Service's address, a
    Command that waits for it.

    Attributes:
        addresses: IP addresses or host names, known at preview wherever the model fixes them.
        for_importers: those of them that importers call.
        running: its Deployments.
    """

    addresses: pulumi.Output[Sequence[str]]
    for_importers: pulumi.Output[Sequence[str]]
    running: Sequence[KubernetesObject]

    def __init__(self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Install the gateway.

        Args:
            name: of the component.
            args: inputs.
            opts: resource options.
        """
        super().__init__("mesh-federation:index:Gateway", name, None, opts)
        [planned_service] = [each for each in args.objects if each.kind == "Service"]
        deployments = [each for each in args.objects if each.kind == "Deployment"]
        others = [each for each in args.objects if each.kind not in ("Deployment", "Service")]
        before = create_planned(others, args.target, self, args.before)
        roots = {TRUST_HASH: args.roots}
        running = create_planned(deployments, args.target, self, [*args.after, *before.values()], roots)
        self.running = list(running.values())
        wait = WAIT_FOR_ADDRESS if args.is_assigned else SKIP_AWAIT
        service = create(planned_service.body, args.target, self, [*args.after, *args.balancer], wait)
        self.addresses = self._addresses(planned_service, service, args)
        self.for_importers = self.addresses.apply(gateway_addresses.for_importers)
        self.register_outputs({"addresses": self.addresses})

    def _addresses(
        self, planned: PlannedObject, service: KubernetesObject, args: GatewayArgs
    ) -> pulumi.Output[Sequence[str]]:
        """Return the known addresses, else the Service's own, or those that its load balancer assigns."""
        if args.addresses:
            return pulumi.Output.from_input(list(args.addresses))
        if args.is_internal:
            # Its spec is known at preview as it is declared, without the address; its status is not.
            return pulumi.Output.all(service.spec, service.observed).apply(lambda made: [made[0]["clusterIP"]])
        target = args.target
        arguments = JobArgs(
            job=load_balancer.JOB,
            settings=LoadBalancerSettings(target.cluster, planned.reference.namespace, planned.reference.name),
            triggers=[target.provider.id, service.uid],
            kubeconfig=args.kubeconfig,
            target=target,
            after=[service],
        )
        printed = job.run(f"{target.cluster}-gateway-address", arguments, self).stdout
        # After a refresh the Service itself knows better. The job needs a kubeconfig, but addresses are no secret.
        known = pulumi.Output.all(service.observed, pulumi.Output.unsecret(printed))
        return known.apply(lambda values: _assigned(*values))


def _assigned(status: object, printed: str) -> list[str]:
    """Read the addresses that a load balancer assigned: IP addresses, or host names on some clouds."""
    balancer = status.get("loadBalancer") if isinstance(status, dict) else None
    return gateway_addresses.assigned((balancer or {}).get("ingress") or json.loads(printed))
