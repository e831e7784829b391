"""Gateways of a cluster: the east-west one, the only door through which others reach it, and that of the way out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.certificate_authority import restarted_by
from mesh_federation.jobs import load_balancer
from mesh_federation.jobs.load_balancer import LoadBalancerSettings
from mesh_federation.plan import gateway_addresses
from mesh_federation.plan.istio_values import GATEWAY, NAMESPACE
from mesh_federation.resources import job
from mesh_federation.resources.job import JobArgs
from mesh_federation.resources.objects import (
    SKIP_AWAIT,
    WAIT_FOR_ADDRESS,
    Body,
    ClusterTarget,
    KubernetesObject,
    create,
    create_all,
)


@dataclass(frozen=True)
class GatewayArgs:
    """Inputs of a Gateway.

    Attributes:
        objects: rendered gateway chart.
        addresses: under which callers reach it; empty: read from the Service.
        inside: its callers are in the same cluster, and reach the Service at its own address.
        assigned: the load balancer is ours, and gives the Service the address that it asks for.
        roots: hash of the trusted roots; another one restarts its pods.
        kubeconfig: of the cluster; secret.
        target: the cluster.
        namespace: in which it is.
        after: what must run before its pods; the injection webhook fills in their image.
        balancer: what gives its Service an address; its pods start meanwhile.
    """

    objects: Sequence[Body]
    addresses: Sequence[str]
    inside: bool
    assigned: bool
    roots: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    namespace: pulumi.Resource
    after: Sequence[pulumi.Resource]
    balancer: Sequence[pulumi.Resource]


class Gateway(pulumi.ComponentResource):
    """**mesh-federation:index:Gateway** - an Envoy that passes mutual TLS on by server name, without ending it.

    Produces every object of the gateway chart, and where a load balancer that is not ours gives the Service its address
    a Command that waits for it.

    Attributes:
        addresses: IP addresses or host names, known at preview wherever the model fixes them.
        called: those of them that callers are told.
        running: its Deployments.
    """

    addresses: pulumi.Output[Sequence[str]]
    called: pulumi.Output[Sequence[str]]
    running: Sequence[KubernetesObject]

    def __init__(self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Install the gateway.

        Args:
            name: of the component.
            args: what is installed where.
            opts: options of the component.
        """
        super().__init__("mesh-federation:index:Gateway", name, None, opts)
        others = [body for body in args.objects if body["kind"] not in ("Deployment", "Service")]
        permitted = create_all(others, args.target, self, [args.namespace])
        stamped = [restarted_by(args.roots, body) for body in _of_kind("Deployment", args.objects)]
        self.running = create_all(stamped, args.target, self, [*args.after, *permitted])
        [body] = _of_kind("Service", args.objects)
        wait = WAIT_FOR_ADDRESS if args.assigned else SKIP_AWAIT
        service = create(body, args.target, self, [*args.after, *args.balancer], wait)
        self.addresses = self._addresses(service, args)
        self.called = self.addresses.apply(gateway_addresses.called)
        self.register_outputs({"addresses": self.addresses})

    def _addresses(self, service: KubernetesObject, args: GatewayArgs) -> pulumi.Output[Sequence[str]]:
        """Return those that are known, else the Service's own, or what its load balancer gives it."""
        if args.addresses:
            return pulumi.Output.from_input(list(args.addresses))
        if args.inside:
            # Its spec is known at preview as it is declared, without the address; its status is not.
            return pulumi.Output.all(service.spec, service.observed).apply(lambda made: [made[0]["clusterIP"]])
        target = args.target
        waiting = JobArgs(
            job=load_balancer.JOB,
            settings=LoadBalancerSettings(cluster=target.cluster, namespace=NAMESPACE, service=GATEWAY),
            triggers=[target.provider.id, service.uid],
            kubeconfig=args.kubeconfig,
            target=target,
            after=[service],
        )
        told = job.run(f"{target.cluster}-gateway-address", waiting, self).stdout
        # After a refresh the Service itself knows better. A kubeconfig was needed: that makes no secret of addresses.
        return pulumi.Output.all(service.observed, pulumi.Output.unsecret(told)).apply(lambda seen: _balanced(*seen))


def _of_kind(kind: str, objects: Sequence[Body]) -> list[Body]:
    return [body for body in objects if body["kind"] == kind]


def _balanced(status: object, told: str) -> list[str]:
    """Read the addresses that a load balancer gave: IP addresses, or host names on some clouds."""
    balancer = status.get("loadBalancer") if isinstance(status, dict) else None
    return gateway_addresses.given((balancer or {}).get("ingress") or json.loads(told))
