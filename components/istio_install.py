"""The component IstioInstall."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi_command import local

from components.certificate_authority import Material
from mesh_federation.jobs import root_distribution
from mesh_federation.jobs.root_distribution import RootDistributionSettings
from mesh_federation.manifests import published
from mesh_federation.plan.istio_install import IstioInstallPlan
from mesh_federation.plan.objects import TRUST_HASH, PlannedObject
from mesh_federation.resources import crds, job
from mesh_federation.resources.crds import DefinitionsArgs
from mesh_federation.resources.job import JobArgs
from mesh_federation.resources.namespaces import create_namespaces
from mesh_federation.resources.objects import ClusterTarget, create_planned
from mesh_federation.resources.webhook import WebhookArgs, wait_for_webhook

SETTINGS = ("ConfigMap", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
"""Kinds of the charts' objects that change what proxies and the API server do; the others only say what istiod may do,
and need not wait for definitions."""


@dataclass(frozen=True)
class IstioInstallArgs:
    """Inputs of an IstioInstall.

    Attributes:
        plan: the control plane.
        definitions: file with Istio's custom resource definitions.
        gateway_api: file with those of the Gateway API; None where no import needs them.
        gateway_api_kinds: kinds of the Gateway API that the stack creates here.
        objects: of the charts base and istiod.
        material: signing certificates.
        kubeconfig: of the cluster; secret.
        target: the cluster.
        trust_checks: checks that these certificates cut off no proxy of any cluster.
        bindings: filters by which its proxies accept other clusters, for each link.
        anchors: what vouches for each cluster, by the names by which the filters ask for it.
        namespaces: of the filters.
    """

    plan: IstioInstallPlan
    definitions: Path
    gateway_api: Path | None
    gateway_api_kinds: Sequence[str]
    objects: Sequence[PlannedObject]
    material: Material
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    trust_checks: Sequence[pulumi.Resource]
    bindings: Sequence[PlannedObject]
    anchors: Mapping[str, pulumi.Output[str]]
    namespaces: Sequence[pulumi.Resource]


class IstioInstall(pulumi.ComponentResource):
    """**mesh-federation:index:IstioInstall** - a control plane that accepts configuration and workloads.

    Resources: Istio's namespace, the EnvoyFilters of trust for each link, the Secret cacerts, Commands that
    apply the definitions, every object of the charts base and istiod, Commands that wait for its webhooks and for the
    distribution of its roots, and the mesh-wide PeerAuthentication and AuthorizationPolicy.

    Attributes:
        namespace: Istio's.
        ready: resources that workloads and routing objects must wait for.
    """

    namespace: pulumi.Resource
    ready: Sequence[pulumi.Resource]

    def __init__(self, name: str, args: IstioInstallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Install the control plane.

        Args:
            name: of the component.
            args: inputs.
            opts: resource options.
        """
        super().__init__("mesh-federation:index:IstioInstall", name, None, opts)
        plan, target = args.plan, args.target
        [self.namespace] = create_namespaces([plan.namespace], args.kubeconfig, target, self)
        definitions = self._definitions(args)
        # Proxies learn what vouches for others before `cacerts` and the mesh configuration lose it, and forget it last.
        bound = create_planned(
            args.bindings, target, self, [self.namespace, *args.namespaces, *definitions], args.anchors
        )
        before = [self.namespace, *bound.values(), *args.trust_checks]
        certificates = create_planned([plan.certificates], target, self, before, args.material.files)
        istiod = [each for each in args.objects if each.kind == "Deployment"]
        settings = [each for each in args.objects if each.kind in SETTINGS]
        rest = [each for each in args.objects if each.kind not in ("Deployment", *SETTINGS)]
        others = create_planned(rest, target, self, [self.namespace])
        others |= create_planned(settings, target, self, [self.namespace, *bound.values()])
        checksum = args.material.checksum()
        before = [*certificates.values(), *definitions, *others.values()]
        running = create_planned(istiod, target, self, before, {TRUST_HASH: checksum})
        webhook = WebhookArgs("istiod", plan.probe, args.kubeconfig, target, list(running.values()), [checksum])
        answering = wait_for_webhook(f"{target.cluster}-webhook", webhook, self)
        accepting = [*definitions, answering]
        create_planned([plan.strict_mtls], target, self, accepting)
        # No gateway opens, and no pod starts, before foreign callers are refused.
        refusing = create_planned([plan.foreign_callers], target, self, accepting)
        self.ready = [*accepting, *refusing.values(), self._roots(args, list(running.values()))]
        self.register_outputs({})

    def _definitions(self, args: IstioInstallArgs) -> list[pulumi.Resource]:
        """Apply definitions before istiod: it looks for those of the Gateway API when it starts (pitfall 24)."""
        cluster, known = args.target.cluster, (args.kubeconfig, args.target)
        istio = DefinitionsArgs(args.definitions, f"Istio {args.plan.release}", *known)
        applied: list[pulumi.Resource] = [crds.apply(f"{cluster}-crds", istio, self)]
        if args.gateway_api:
            bundle = published.bundle(args.gateway_api)
            gateway_api = DefinitionsArgs(args.gateway_api, bundle, *known, args.gateway_api_kinds)
            applied.append(crds.apply(f"{cluster}-gateway-api-crds", gateway_api, self))
        return applied

    def _roots(self, args: IstioInstallArgs, running: Sequence[pulumi.Resource]) -> local.Command:
        """Wait until every namespace has the new roots: pods that start before do not trust istiod."""
        target, roots = args.target, args.material.bundle_hash()
        arguments = JobArgs(
            job=root_distribution.JOB,
            settings=roots.apply(RootDistributionSettings),
            triggers=[target.provider.id, roots],
            kubeconfig=args.kubeconfig,
            target=target,
            after=running,
        )
        return job.run(f"{target.cluster}-roots", arguments, self)
