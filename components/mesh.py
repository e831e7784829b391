"""The mesh of one cluster, and what it offers to others: what links between clusters are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.cluster import Cluster
from components.export import Export
from components.gateway import Gateway
from components.global_host import GlobalHost
from components.istio_install import IstioInstall
from components.sample import Sample
from mesh_federation.plan.federation import ClusterPlan


@dataclass(frozen=True)
class Mesh:
    """One cluster with its control plane and gateway, ready to be linked.

    Attributes:
        plan: what is decided about it.
        cluster: in which it is.
        istio: its control plane.
        gateway: through which others reach it.
        egress: through which its calls leave; None where they leave directly.
        roots: hash of the roots that it trusts.
        namespaces: of its services.
        global_hosts: by the service's namespace/name.
    """

    plan: ClusterPlan
    cluster: Cluster
    istio: IstioInstall
    gateway: Gateway
    egress: Gateway | None
    roots: pulumi.Output[str]
    namespaces: Sequence[pulumi.Resource]
    global_hosts: Mapping[str, GlobalHost]

    @property
    def joined(self) -> set[str]:
        """Services, as namespace/name, that instances of other meshes join: theirs is the host of an import."""
        return {str(plan.service) for plan in self.plan.imports if plan.is_local}

    def named(self, service: str) -> list[pulumi.Resource]:
        """Return the global host of a service, where it has one here."""
        return [self.global_hosts[service]] if service in self.global_hosts else []

    @property
    def ready(self) -> list[pulumi.Resource]:
        """What routing objects and workloads wait for."""
        return [*self.istio.ready, *self.namespaces]


@dataclass(frozen=True)
class MeshResources:
    """A mesh with what it offers to others.

    Attributes:
        mesh: the mesh.
        exports: by the service's namespace/name.
        samples: likewise.
        passage: what opens its gateway for all services, where others discover it.
    """

    mesh: Mesh
    exports: Mapping[str, Export]
    samples: Mapping[str, Sample]
    passage: Sequence[pulumi.Resource]

    @property
    def in_use(self) -> list[pulumi.CustomResource]:
        """What runs with the certificates that its cluster was given: its gateways and samples, and istiod before."""
        gateways = [each for each in (self.mesh.gateway, self.mesh.egress) if each]
        return [
            *(resource for gateway in gateways for resource in gateway.running),
            *(sample.running for sample in self.samples.values()),
        ]

    @property
    def everything(self) -> list[pulumi.Resource]:
        """What must run before any service can be called: gateway, passage through it, and all samples."""
        running = (resource for sample in self.samples.values() for resource in sample.ready)
        return [self.mesh.gateway, *self.passage, *running]

    def behind(self, service: str) -> list[pulumi.Resource]:
        """Return what must run before a call can succeed: gateway, listener, and the sample that is called."""
        sample = self.samples[service].ready if service in self.samples else []
        return [self.mesh.gateway, self.exports[service], *sample]
