"""What a cluster holds of the Istio of others: the objects that are read, by one kubectl each."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mesh_federation.jobs.ownership_check import OWNER
from mesh_federation.verify.kubectl import CachedKubectl
from mesh_federation.verify.objects import EnvoyFilter, KubernetesPart, Namespace, ObjectMetadata, PeerAuthentication

SYSTEM = "kube-system"


class EnvironmentVariable(KubernetesPart):
    """An environment variable of a container."""

    name: str
    value: str = ""


class IstiodContainer(KubernetesPart):
    """A container of istiod."""

    image: str = ""
    env: tuple[EnvironmentVariable, ...] = ()


class IstiodPodSpec(KubernetesPart):
    """Pods of istiod."""

    containers: tuple[IstiodContainer, ...] = ()


class IstiodTemplate(KubernetesPart):
    """The template of istiod's pods."""

    spec: IstiodPodSpec = IstiodPodSpec()


class IstiodSpec(KubernetesPart):
    """Specification of an istiod."""

    template: IstiodTemplate = IstiodTemplate()


class OwnerReference(KubernetesPart):
    """What made an object."""

    kind: str = ""


class IstiodMetadata(ObjectMetadata):
    """Metadata of an istiod."""

    annotations: Mapping[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()


class Istiod(KubernetesPart):
    """The Deployment of an istiod."""

    metadata: IstiodMetadata
    spec: IstiodSpec = IstiodSpec()

    @property
    def revision(self) -> str:
        """Its revision; empty for the default one."""
        named = self.metadata.labels.get("istio.io/rev", "")
        return "" if named == "default" else named


class ConfigMap(KubernetesPart):
    """A ConfigMap."""

    metadata: ObjectMetadata
    data: Mapping[str, str] = {}


class DaemonSet(KubernetesPart):
    """A DaemonSet."""

    metadata: ObjectMetadata


class ServerRelease(KubernetesPart):
    """The release of an API server."""

    git_version: str


class ClusterVersion(KubernetesPart):
    """What kubectl says of releases."""

    server_version: ServerRelease


@dataclass(frozen=True)
class Contents:
    """What a cluster holds of the Istio of others.

    Attributes:
        uid: of the namespace kube-system.
        kubernetes: release of the API server.
        istiod: the one that is meant.
        config_maps: of its namespace.
        policies: every PeerAuthentication.
        filters: every EnvoyFilter that no stack of this program made.
        namespaces: all of them.
        has_ztunnel: an ambient mesh runs.
    """

    uid: str
    kubernetes: str
    istiod: Istiod
    config_maps: Sequence[ConfigMap]
    policies: Sequence[PeerAuthentication]
    filters: Sequence[EnvoyFilter]
    namespaces: Sequence[Namespace]
    has_ztunnel: bool


def read(kubectl: CachedKubectl, choose: Callable[[Sequence[Istiod]], Istiod]) -> Contents:
    """Read a cluster.

    Args:
        kubectl: of the cluster.
        choose: returns the istiod that is meant, of all that there are.

    Raises:
        Inconclusive: it does not answer, or does not allow it.
    """
    everywhere = "--all-namespaces"
    with ThreadPoolExecutor() as pool:
        version = pool.submit(kubectl.output, "version", "--output=json")
        istiods = pool.submit(kubectl.get_all, Istiod, "deployments", everywhere, "--selector=app=istiod")
        policies = pool.submit(kubectl.get_all, PeerAuthentication, "peerauthentications", everywhere)
        filters = pool.submit(kubectl.get_all, EnvoyFilter, "envoyfilters", everywhere)
        namespaces = pool.submit(kubectl.get_all, Namespace, "namespaces")
        ztunnels = pool.submit(kubectl.get_all, DaemonSet, "daemonsets", everywhere, "--selector=app=ztunnel")
        istiod = choose(istiods.result())
        maps = kubectl.get_all(ConfigMap, "configmaps", f"--namespace={istiod.metadata.namespace}")
    return Contents(
        uid=next((each.metadata.uid for each in namespaces.result() if each.metadata.name == SYSTEM), ""),
        kubernetes=ClusterVersion.model_validate_json(version.result()).server_version.git_version,
        istiod=istiod,
        config_maps=maps,
        policies=policies.result(),
        filters=[each for each in filters.result() if OWNER not in each.metadata.labels],
        namespaces=namespaces.result(),
        has_ztunnel=bool(ztunnels.result()),
    )
