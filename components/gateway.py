"""Gateways of a cluster: the east-west one, the only door through which others reach it, and that of the way out."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.authority import restarted_by
from components.objects import Body, KubernetesObject, Place, create_all


@dataclass(frozen=True)
class GatewayArgs:
    """Inputs of a Gateway.

    Attributes:
        objects: rendered gateway chart.
        addresses: under which callers reach it; empty: read from the Service once it has one.
        roots: hash of the trusted roots; another one restarts its pods.
        place: the cluster.
        namespace: in which it is.
        after: what must run before its pods; the injection webhook fills in their image.
        balancer: what gives its Service an address; its pods start meanwhile.
    """

    objects: Sequence[Body]
    addresses: Sequence[str]
    roots: pulumi.Output[str]
    place: Place
    namespace: pulumi.Resource
    after: Sequence[pulumi.Resource]
    balancer: Sequence[pulumi.Resource]


class Gateway(pulumi.ComponentResource):
    """**mesh-federation:index:Gateway** - an Envoy that passes mutual TLS on by server name, without ending it.

    Produces every object of the gateway chart.

    Attributes:
        addresses: IP addresses or host names, known at preview wherever the model fixes them.
        running: its Deployments.
    """

    addresses: pulumi.Output[Sequence[str]]
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
        permitted = create_all(others, args.place, self, [args.namespace])
        stamped = [restarted_by(args.roots, body) for body in _of_kind("Deployment", args.objects)]
        self.running = create_all(stamped, args.place, self, [*args.after, *permitted])
        [service] = create_all(_of_kind("Service", args.objects), args.place, self, [*args.after, *args.balancer])
        self.addresses = _addresses(service, args.addresses)
        self.register_outputs({"addresses": self.addresses})


def _of_kind(kind: str, objects: Sequence[Body]) -> list[Body]:
    return [body for body in objects if body["kind"] == kind]


def _addresses(service: KubernetesObject, known: Sequence[str]) -> pulumi.Output[Sequence[str]]:
    """Return those that are known, else those of the Service: its load balancer's, or its own in the cluster."""
    if known:
        return pulumi.Output.from_input(list(known))
    return pulumi.Output.all(service.spec, service.observed).apply(lambda seen: _assigned(*seen))


def _assigned(spec: object, status: object) -> list[str]:
    """Read the addresses that a load balancer gave: IP addresses, or host names on some clouds."""
    if isinstance(spec, dict) and spec["type"] == "ClusterIP":
        return [spec["clusterIP"]]
    ingress = status["loadBalancer"]["ingress"] if isinstance(status, dict) else []
    return sorted(entry.get("ip") or entry["hostname"] for entry in ingress)
