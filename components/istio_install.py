"""Istio's control plane in one cluster: namespace, CRDs, signing certificates, istiod, STRICT mutual TLS."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi_command import local

from components.certificate_authority import Material, restarted_by
from mesh_federation.jobs import root_distribution
from mesh_federation.jobs.root_distribution import RootDistributionSettings
from mesh_federation.manifests import published
from mesh_federation.plan import istio_values, routing
from mesh_federation.resources import crds, job, namespaces, webhook
from mesh_federation.resources.crds import DefinitionsArgs
from mesh_federation.resources.job import JobArgs
from mesh_federation.resources.objects import Body, ClusterTarget, create, create_all
from mesh_federation.resources.webhook import WebhookArgs


@dataclass(frozen=True)
class IstioInstallArgs:
    """Inputs of an IstioInstall.

    Attributes:
        network: Istio network of the cluster.
        release: of Istio.
        foreign_callers: policy that refuses callers of other meshes whom no export names.
        crds: file with Istio's custom resource definitions.
        gateway_api: file with those of the Gateway API; None where no link needs them.
        used: kinds of the Gateway API that the stack makes here.
        objects: rendered base and istiod charts.
        material: signing certificates.
        kubeconfig: of the cluster; secret.
        target: the cluster.
        trusting: by which no proxy of any cluster is cut off by these certificates.
    """

    network: str
    release: str
    foreign_callers: Body
    crds: Path
    gateway_api: Path | None
    used: Sequence[str]
    objects: Sequence[Body]
    material: Material
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    trusting: Sequence[pulumi.Resource]


class IstioInstall(pulumi.ComponentResource):
    """**mesh-federation:index:IstioInstall** - a control plane that accepts configuration and workloads.

    Produces the namespace istio-system, the Secret cacerts, Commands that apply the CRDs, every object of the
    charts base and istiod, Commands that wait for its webhooks and for its roots to be known, and the mesh-wide
    PeerAuthentication and AuthorizationPolicy.

    Attributes:
        namespace: in which it is.
        ready: what workloads and routing objects must wait for.
    """

    namespace: pulumi.Resource
    ready: Sequence[pulumi.Resource]

    def __init__(self, name: str, args: IstioInstallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Install the control plane.

        Args:
            name: of the component.
            args: what is installed where.
            opts: options of the component.
        """
        super().__init__("mesh-federation:index:IstioInstall", name, None, opts)
        target = args.target
        [self.namespace] = namespaces.create_all([istio_values.namespace(args.network)], args.kubeconfig, target, self)
        certificates = create(args.material.secret(), target, self, [self.namespace, *args.trusting])
        crds = self._definitions(args)
        istiod = [body for body in args.objects if _is_istiod(body)]
        rest = create_all([body for body in args.objects if not _is_istiod(body)], target, self, [self.namespace])
        before = [certificates, *crds, *rest]
        running = create_all([restarted_by(args.material.checksum(), body) for body in istiod], target, self, before)
        waiting = WebhookArgs(
            "istiod", istio_values.probe(), args.kubeconfig, target, running, [args.material.checksum()]
        )
        answering = webhook.answers(f"{target.cluster}-webhook", waiting, self)
        accepting = [*crds, answering, self._roots(args, answering)]
        create(routing.strict_mtls(), target, self, accepting)
        # No gateway opens, and no pod starts, before foreign callers are refused.
        self.ready = [*accepting, create(args.foreign_callers, target, self, accepting)]
        self.register_outputs({})

    def _definitions(self, args: IstioInstallArgs) -> list[pulumi.Resource]:
        """Apply definitions before istiod: it looks for those of the Gateway API when it starts (pitfall 24)."""
        cluster, known = args.target.cluster, (args.kubeconfig, args.target)
        istio = DefinitionsArgs(args.crds, f"Istio {args.release}", *known)
        applied: list[pulumi.Resource] = [crds.apply(f"{cluster}-crds", istio, self)]
        if args.gateway_api:
            bundle = DefinitionsArgs(args.gateway_api, published.bundle(args.gateway_api), *known, args.used)
            applied.append(crds.apply(f"{cluster}-gateway-api-crds", bundle, self))
        return applied

    def _roots(self, args: IstioInstallArgs, answering: pulumi.Resource) -> local.Command:
        """Wait until every namespace has heard of new roots: pods that start before do not trust istiod."""
        target, roots = args.target, args.material.told()
        waiting = JobArgs(
            job=root_distribution.JOB,
            settings=roots.apply(RootDistributionSettings),
            triggers=[target.provider.id, roots],
            kubeconfig=args.kubeconfig,
            target=target,
            after=[answering],
        )
        return job.run(f"{target.cluster}-roots", waiting, self)


def _is_istiod(body: Body) -> bool:
    return body["kind"] == "Deployment"
