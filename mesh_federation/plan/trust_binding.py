"""Trust for a link: which authorities a proxy accepts for which trust domain, as EnvoyFilters.

Istio puts all trusted roots into one bundle. These filters merge Envoy's SPIFFE validator into the TLS context that
istiod makes: certificates and policies stay, and each trust domain has a bundle of its own. An exported workload lists
its own trust domain and those of its consumers, a caller those of the exporters. Everything else trusts its own cluster
alone, because `cacerts` holds no root of another. Where a filter has no effect, callers of other clusters are refused.

Sources: Envoy's SPIFFECertValidatorConfig; istiod's merge of patches (pilot/pkg/networking/core/envoyfilter). Filter
chains are matched by the port of the pods: without it istiod would put TLS on chains that have none, in namespaces that
are not STRICT. Of filters on one workload the last one decides, so each exported workload has exactly one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mesh_federation.plan.exports import Admission, ExportPlan
from mesh_federation.plan.imports import ImportPlan
from mesh_federation.plan.istio_api import manifest
from mesh_federation.plan.objects import Body, Fill, PlannedObject
from mesh_federation.plan.trust import TrustPlan
from mesh_federation.stack.config import Federation

API = "networking.istio.io/v1alpha3"
KIND = "EnvoyFilter"
OWN_DOMAIN = "own-trust-domain"
"""The filter for all workloads of a mesh whose root vouches for other meshes too."""
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
VALIDATOR = "envoy.tls.cert_validator.spiffe"
INBOUND = "virtualInbound"
"""Istio's listener for all calls that reach a pod."""
_CONTEXT = ("common_tls_context", "combined_validation_context", "default_validation_context")
_DOMAINS = ("custom_validator_config", "typed_config", "trust_domains")


def anchors_value(cluster: str) -> str:
    """Name the value with which filters are filled: PEM of what vouches for a cluster."""
    return f"anchors of {cluster}"


@dataclass(frozen=True)
class Patch:
    """What one part of a proxy accepts: each trust domain under the authorities of its own cluster.

    Attributes:
        domains: trust domain of each accepted cluster, by cluster.
        port: of the pods, at which calls arrive; 0 for all ports.
        host: that is called; empty for calls that arrive.
        names: matchers of identities that are accepted beside those that istiod writes.
    """

    domains: Mapping[str, str]
    port: int = 0
    host: str = ""
    names: tuple[Mapping[str, str], ...] = ()

    @property
    def match(self) -> Body:
        """The part of the proxy: filter chains for mutual TLS, or the upstream of a host.

        Without the host, istiod would put TLS on calls that have none.
        """
        if self.host:
            return {"context": "SIDECAR_OUTBOUND", "cluster": {"service": self.host}}
        chain = {"transportProtocol": "tls", **({"destinationPort": self.port} if self.port else {})}
        return {"context": "SIDECAR_INBOUND", "listener": {"name": INBOUND, "filterChain": chain}}

    @property
    def body(self) -> Body:
        """The patch, without its anchors."""
        context = "UpstreamTlsContext" if self.host else "DownstreamTlsContext"
        domains = [{"name": each, "trust_bundle": {"inline_string": ""}} for each in self.domains.values()]
        typed = {"@type": f"{TLS}.SPIFFECertValidatorConfig", "trust_domains": domains}
        value: Body = {
            "custom_validator_config": {"name": VALIDATOR, "typed_config": typed},
            **({"match_subject_alt_names": [dict(name) for name in self.names]} if self.names else {}),
        }
        for key in reversed(_CONTEXT):
            value = {key: value}
        socket = {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": f"{TLS}.{context}", **value}}
        patch = {"operation": "MERGE", "value": {"transport_socket": socket}}
        return {"applyTo": "CLUSTER" if self.host else "FILTER_CHAIN", "match": self.match, "patch": patch}

    def fills(self, index: int) -> Iterator[Fill]:
        """Return the fields for its anchors, in the patch of a filter with this index."""
        above = ("spec", "configPatches", index, "patch", "value", "transport_socket", "typed_config")
        for number, cluster in enumerate(self.domains):
            path = (*above, *_CONTEXT, *_DOMAINS, number, "trust_bundle", "inline_string")
            yield Fill(path, (anchors_value(cluster),), _as_it_is, example="")


def _as_it_is(anchors: object) -> object:
    return anchors


@dataclass(frozen=True)
class Binding:
    """What some proxies of a cluster accept, as one EnvoyFilter.

    Attributes:
        name: of the filter.
        namespace: of the filter, and so of the proxies; the root namespace stands for all namespaces.
        root_namespace: of the mesh.
        labels: of the pods; empty for all.
        patches: what each part of these proxies accepts.
        after: names of filters that come before this one, and go after it.
    """

    name: str
    namespace: str
    root_namespace: str
    labels: Mapping[str, str]
    patches: tuple[Patch, ...]
    after: tuple[str, ...] = ()

    @property
    def object(self) -> PlannedObject:
        """The EnvoyFilter, to which anchors are filled in."""
        selector = {"workloadSelector": {"labels": dict(self.labels)}} if self.labels else {}
        spec = {**selector, "configPatches": [patch.body for patch in self.patches]}
        fills = tuple(fill for index, patch in enumerate(self.patches) for fill in patch.fills(index))
        return PlannedObject(manifest(API, KIND, self.name, self.namespace, spec), fills, self.after)

    def selects(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Say whether it is about the proxy of a pod with a sidecar."""
        return self.namespace in (self.root_namespace, namespace) and self.labels.items() <= labels.items()


def bindings(
    federation: Federation, trust: TrustPlan, cluster: str, exports: Sequence[ExportPlan], imports: Sequence[ImportPlan]
) -> tuple[Binding, ...]:
    """Plan what the proxies of one cluster accept: nothing in scope `mesh`, or where no mesh is known.

    Args:
        federation: the model.
        trust: what vouches for each cluster.
        cluster: whose proxies.
        exports: of the cluster.
        imports: of the cluster.
    """
    if cluster not in trust.anchors:
        return ()
    domains = {
        name: federation.clusters[name].trust_domain
        for name in sorted(federation.clusters)
        if name == cluster or name not in trust.distrusted
    }
    root = federation.clusters[cluster].root_namespace
    exported = tuple(_of_exports(cluster, root, domains, exports))
    return (
        *_of_mesh(trust, cluster, root, domains[cluster], exported),
        *exported,
        *(each for link in imports for each in _of_import(cluster, root, domains, link)),
    )


def _of_mesh(trust: TrustPlan, cluster: str, root: str, domain: str, exported: Sequence[Binding]) -> Iterator[Binding]:
    """Bind workloads without an export, where their root vouches for other meshes too.

    Those with one have their own filters all the while: without, they would refuse their callers for a moment.
    """
    if trust.anchors[cluster].has_twins:
        after = tuple(each.object.name for each in exported)
        yield Binding(OWN_DOMAIN, root, root, {}, (Patch({cluster: domain}),), after)


def _of_exports(
    cluster: str, root: str, domains: Mapping[str, str], exports: Sequence[ExportPlan]
) -> Iterator[Binding]:
    """Bind exported workloads, once for all exports of the same pods."""
    workloads: dict[tuple[str, tuple[tuple[str, str], ...]], ExportPlan] = {}
    for plan in exports:
        labels = tuple(sorted(plan.export.workload_labels.items()))
        workloads.setdefault((plan.export.service.namespace, labels), plan)
    for (namespace, _), plan in workloads.items():
        ports = ((admission, port) for admission in plan.admissions for port in admission.ports)
        patches = tuple(_admitting(cluster, domains, admission, port) for admission, port in ports)
        yield Binding(plan.name, namespace, root, plan.export.workload_labels, patches)


def _admitting(cluster: str, domains: Mapping[str, str], admission: Admission, port: int) -> Patch:
    """Accept on one port the own trust domain, and those of admitted callers: their accounts alone where named."""
    foreign = {name: domain for name, domain in domains.items() if name != cluster and _names(admission, domain)}
    own = {"prefix": f"spiffe://{domains[cluster]}/"}
    names = (matcher for domain in foreign.values() for matcher in _names(admission, domain))
    return Patch(dict(sorted({cluster: domains[cluster], **foreign}.items())), port=port, names=(own, *names))


def _names(admission: Admission, domain: str) -> list[Mapping[str, str]]:
    """Return the matchers of the identities of one trust domain that are admitted."""
    admitted = [each for each in admission.principals if each.startswith(f"{domain}/")]
    if f"{domain}/*" in admitted:
        return [{"prefix": f"spiffe://{domain}/"}]
    return [{"exact": f"spiffe://{each}"} for each in admitted]


def _of_import(cluster: str, root: str, domains: Mapping[str, str], link: ImportPlan) -> Iterator[Binding]:
    """Bind the callers of an import. It adds no identities to those that the import pins.

    Where all its sources are distrusted it accepts none: the own trust domain is not pinned.
    """
    sources = {source.cluster for source in link.sources} & set(domains)
    accepted = sources | ({cluster} if link.own or not sources else set())
    patch = Patch({name: domain for name, domain in domains.items() if name in accepted}, host=link.host)
    for caller in link.callers:
        yield Binding(link.name, root if caller == "*" else caller, root, {}, (patch,))
