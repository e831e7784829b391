"""Egress: the ways out of a cluster, and the end of all others."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import pulumi
from pulumi_command import local

from mesh_federation.jobs import egress_ready
from mesh_federation.jobs.egress_ready import EgressReadySettings
from mesh_federation.plan import egress
from mesh_federation.plan.istio_values import EGRESS_LABELS, NAMESPACE
from mesh_federation.resources import job
from mesh_federation.resources.job import JobArgs
from mesh_federation.resources.objects import Body, ClusterTarget, KubernetesObject, create, create_all


@dataclass(frozen=True)
class ExitArgs:
    """Inputs of an Exit.

    Attributes:
        plan: where it leads, and for which hosts.
        addresses: of the gateway of the cluster that it leads to.
        asked: whether there is an Envoy that can say whether it leads there.
        kubeconfig: of the cluster that it leads out of; secret.
        target: that cluster.
        after: what must run before its objects are accepted, the egress gateway among it.
    """

    plan: egress.Exit
    addresses: pulumi.Output[Sequence[str]]
    asked: bool
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    after: Sequence[pulumi.Resource]


class Exit(pulumi.ComponentResource):
    """**mesh-federation:index:Exit** - the way from a cluster's egress gateway to the gateway of another cluster.

    Produces the ServiceEntry of that gateway, a listener and a route for each imported host (Gateway and VirtualService
    of Istio, or Gateway and TLSRoute of the Gateway API), and a Command that waits until the egress gateway's Envoys
    have all of them: before that no caller may be sent there (pitfall 32).

    Attributes:
        ready: what callers wait for.
    """

    ready: Sequence[pulumi.Resource]

    def __init__(self, name: str, args: ExitArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Open the way out.

        Args:
            name: of the component.
            args: which way, and where.
            opts: options of the component.
        """
        super().__init__("mesh-federation:index:Exit", name, None, opts)
        entry = create(_described(args), args.target, self, args.after)
        made: list[pulumi.Resource] = [entry]
        for route in args.plan.routes:
            made += self._route(args, route, entry)
        self.ready = [self._leads_there(args, made)] if args.asked else made
        self.register_outputs({"port": pulumi.Output.from_input(args.plan.port)})

    def _route(self, args: ExitArgs, route: egress.Route, entry: pulumi.Resource) -> list[KubernetesObject]:
        """Make the listener, and then what leads on from it: a route without a destination would be refused."""
        listener, route_body = egress.route_bodies(args.plan, route)
        opened = create(listener, args.target, self, [*args.after, entry])
        return [opened, create(route_body, args.target, self, [opened])]

    def _leads_there(self, args: ExitArgs, made: Sequence[pulumi.Resource]) -> local.Command:
        plan, target = args.plan, args.target
        settings = EgressReadySettings(
            namespace=NAMESPACE,
            selector=",".join(f"{key}={value}" for key, value in EGRESS_LABELS.items()),
            port=plan.port,
            server_names=tuple(route.server_names for route in plan.routes),
            upstream=plan.upstream,
        )
        asking = JobArgs(
            job=egress_ready.JOB,
            settings=settings,
            triggers=[target.provider.id, str(plan.port), " ".join(settings.server_names), plan.upstream],
            kubeconfig=args.kubeconfig,
            target=target,
            after=made,
        )
        return job.run(f"{target.cluster}-exit-{plan.cluster}", asking, self)


def _described(args: ExitArgs) -> Body:
    """Body of the entry for the other gateway, whose addresses may still be unknown."""
    body = egress.service_entry(args.plan, [])
    known = args.addresses.apply(lambda each: egress.service_entry(args.plan, each)["spec"])
    return {**body, "spec": known}


@dataclass(frozen=True)
class ConfinementArgs:
    """Inputs of a Confinement.

    Attributes:
        plan: egress of the cluster.
        addresses: of the gateways of all clusters that its exits lead to.
        target: the cluster.
        after: what must be there before: callers that leave through the egress gateway by now.
    """

    plan: egress.EgressPlan
    addresses: Sequence[pulumi.Output[Sequence[str]]]
    target: ClusterTarget
    after: Sequence[pulumi.Resource]


class Confinement(pulumi.ComponentResource):
    """**mesh-federation:index:Confinement** - no way around the egress gateway.

    Produces a Sidecar for each namespace of callers, whose proxies then refuse what the mesh does not know, and a
    NetworkPolicy for each, which keeps its pods from the other clusters' gateways with or without a proxy.
    """

    def __init__(self, name: str, args: ConfinementArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Close the other ways.

        Args:
            name: of the component.
            args: which ways, and where.
            opts: options of the component.
        """
        super().__init__("mesh-federation:index:Confinement", name, None, opts)
        create_all([egress.sidecar(each) for each in args.plan.confined], args.target, self, args.after)
        known = pulumi.Output.all(*args.addresses).apply(lambda each: sorted({one for some in each for one in some}))
        for namespace in args.plan.isolated:
            spec = known.apply(partial(_policy, namespace))
            create({**egress.network_policy(namespace, []), "spec": spec}, args.target, self, args.after)
        self.register_outputs({})


def _policy(namespace: str, addresses: Sequence[str]) -> object:
    return egress.network_policy(namespace, addresses)["spec"]
