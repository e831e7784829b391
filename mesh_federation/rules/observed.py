"""Meshes that belong to others: what must have been observed of them, and what a link needs of them.

Sources: Istio's mesh configuration (trustDomainAliases, discoverySelectors, rootNamespace) and its guide to the
migration of trust domains; pilot/pkg/security/trustdomain expands aliases in policies; ambient proxies read no
EnvoyFilter.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mesh_federation.plan.imports import callers_of, has_local_endpoints, is_beside_service
from mesh_federation.plan.injection import DEFAULT_NAMESPACE
from mesh_federation.rules import anchors
from mesh_federation.stack.config import ISTIO_NAMESPACE, Cluster, Federation, ObservedMesh, Protocol
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule

OBSERVE = "run mesh observe"
UNLIKE = "the text of this certificate has headers, another label or characters that programs read differently"
_CONTRADICTIONS: Mapping[str, tuple[str, str]] = {
    "trust_domain": ("trustDomain", "trust_domain"),
    "cluster_domain": ("clusterDomain", "cluster_domain"),
}
"""Fields of a cluster that are observed: key in the stack file, and field of what was observed. Not the mesh ID and the
network: many owners call theirs mesh1 and network1, as Istio's guides do, and a stack tells them apart by other names.
"""
_HTTP = (Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB)
"""Protocols whose chains for TLS are all of Istio's own mutual TLS."""
_OF_ISTIOD = ("hub", "tag", "channel", "values", "egress_values")
"""Settings that act only where this stack installs Istio."""


def observed_meshes_belong_to_others(federation: Federation) -> Iterator[Problem]:
    """What a stack installs is declared, not observed."""
    for cluster in federation.clusters.values():
        if cluster.observed and cluster.istio.install:
            yield Problem(
                f"{cluster.path}.observed",
                FederationRule.OBSERVED_INSTALLED,
                f"this stack installs the Istio of {cluster.name}, so nothing is to be observed there",
                f"write {cluster.path}.istio: {{install: false}} if Istio belongs to others; or remove `observed`",
            )


def linked_meshes_are_known(federation: Federation) -> Iterator[Problem]:
    """A plan needs the trust domain, the roots and some more of a mesh."""
    links = _links(federation)
    for cluster in federation.clusters.values():
        if cluster.istio.install or cluster.name not in links or cluster.name in federation.partners:
            continue
        if cluster.provider.ours:
            yield Problem(
                f"{cluster.path}.istio.install",
                FederationRule.OBSERVED_MADE,
                f"{links[cluster.name]} needs the mesh of {cluster.name}, but this stack makes that cluster without"
                " Istio, so it has none when the stack comes up",
                "let this stack install it; or declare the cluster, once Istio is in it, in another stack with"
                " provisioner: existing",
            )
        elif cluster.observed is None:
            yield Problem(
                f"{cluster.path}.observed",
                FederationRule.NOT_OBSERVED,
                f"{links[cluster.name]} needs the mesh of {cluster.name}, whose Istio belongs to others, and nothing"
                " is known of it: neither its trust domain nor its roots",
                f"{OBSERVE}, which reads it from the cluster and writes it beside the stack file",
            )


def _links(federation: Federation) -> dict[str, str]:
    """Return the first entry that needs the mesh of a cluster, by cluster."""
    found: dict[str, str] = {}
    for export in federation.exports:
        for name in (export.cluster, *(consumer.cluster for consumer in export.to)):
            found.setdefault(name, export.path)
    for link in federation.imports:
        for name in (link.cluster, link.source):
            found.setdefault(name, link.path)
    for discovery in federation.discovery:
        for name in (discovery.cluster, discovery.of):
            found.setdefault(name, discovery.path)
    for workload in federation.workloads:
        found.setdefault(workload.cluster, workload.path)
    return found


def _observed(federation: Federation) -> Iterator[tuple[Cluster, ObservedMesh]]:
    for cluster in federation.clusters.values():
        if cluster.observed and not cluster.istio.install:
            yield cluster, cluster.observed


def declarations_agree_with_observations(federation: Federation) -> Iterator[Problem]:
    """What others decide cannot be declared otherwise here."""
    for cluster, observed in _observed(federation):
        given = {
            path: (str(getattr(cluster, field)), str(getattr(observed, known)))
            for field, (path, known) in _CONTRADICTIONS.items()
            if field in cluster.model_fields_set
        }
        given |= {
            f"istio.{key}": (str(value), str(getattr(observed, key)))
            for key in ("version", "revision", "namespace")
            if (value := getattr(cluster.istio, key)) is not None
        }
        for key, (declared, found) in given.items():
            if declared != found and (found or key == "istio.revision"):
                yield Problem(
                    f"{cluster.path}.{key}",
                    FederationRule.OBSERVED_DIFFERS,
                    f'the stack file says "{declared}", but "{found}" was observed of the mesh of {cluster.name}, which'
                    " belongs to others",
                    f"remove this key; or {OBSERVE} again if the mesh has changed, or another istiod is meant",
                )


def settings_of_others_act(federation: Federation) -> Iterator[Problem]:
    """A setting of an istiod that this stack does not install would be ignored."""
    if federation.istio.namespace != ISTIO_NAMESPACE and not federation.installed:
        yield Problem(
            "istio.namespace",
            FederationRule.KEY_WITHOUT_EFFECT,
            "has no effect: this stack installs no Istio",
            "move it to the clusters whose owners have Istio there: clusters.X.istio.namespace",
        )
    for cluster in federation.clusters.values():
        if cluster.istio.install:
            continue
        fields = type(cluster.istio).model_fields
        given = {f"istio.{fields[key].alias or key}": getattr(cluster.istio, key) for key in _OF_ISTIOD}
        for key, value in {**given, "intermediate": cluster.intermediate}.items():
            if value:
                yield Problem(
                    f"{cluster.path}.{key}",
                    FederationRule.KEY_WITHOUT_EFFECT,
                    f"has no effect: this stack does not install the Istio of {cluster.name}",
                    "remove it; what the owner of that Istio sets is read by mesh observe",
                )


def roots_are_of_one_mesh(federation: Federation) -> Iterator[Problem]:
    """A root vouches for one mesh; where others have it too, the twins of their authorities do."""
    meshes = federation.roots_of_others
    holders: dict[bytes, list[str]] = defaultdict(list)
    for name, roots in meshes.items():
        for text in roots:
            if (key := key_of(text)) and name not in holders[key]:
                holders[key].append(name)
    for name, roots in meshes.items():
        above = f"partners.{name}.mesh" if name in federation.partners else f"clusters.{name}.observed"
        again = _again(federation, name)
        unfit = _unfit(federation.clusters[name].trust_domain, roots)
        for index, text in enumerate(roots):
            where = f"{above}.roots[{index}]"
            if problem := unfit[index]:
                yield Problem(where, FederationRule.OBSERVED_ROOT, problem, again)
            elif others := _sharing(federation, name, holders[key_of(text)]):
                yield Problem(
                    where,
                    FederationRule.OBSERVED_ROOT,
                    f"{others[0]} has this root too, so it vouches for the identities of {others[0]} and of {name}:"
                    " each could issue those of the other, and no proxy could tell",
                    f"let the owner of one of them sign under a root of its own; then {again}; or let both owners make"
                    " twins of their authorities (clusters.X.istio.twin, docs/installed-istio.md)",
                )


def _again(federation: Federation, name: str) -> str:
    """Say how the roots of a mesh of others become known anew."""
    if federation.member_of and name in federation.member_of.cards:
        return f"bring up {name}, which writes its card anew"
    return "ask the partner for a new card" if name in federation.partners else f"{OBSERVE} again"


def _unfit(trust_domain: str, roots: Sequence[str]) -> list[str]:
    """Say of each root why it is none; empty where it is one."""
    found = [list(anchors.problems(text.encode(errors="replace"), trust_domain)) for text in roots]
    others = any(not problems for problems in found)
    return [_reason(text, problems, others) for text, problems in zip(roots, found, strict=True)]


def _reason(text: str, problems: Sequence[Problem], others: bool) -> str:
    """Say why a root is none; an expired one does no harm where there are others."""
    for each in problems:
        if not (others and each.rule in anchors.OUTDATED):
            return each.what
    return "" if problems or anchors.read_alike(text) else UNLIKE


def _sharing(federation: Federation, name: str, holders: Sequence[str]) -> list[str]:
    """Return the meshes that a root of this one vouches for too: those told before it, and those that have twins."""
    twins = {each for each in holders if each in federation.clusters and federation.clusters[each].istio.twin}
    before = holders[: holders.index(name)]
    return [] if name in twins else [each for each in holders if each != name and (each in before or each in twins)]


def key_of(text: str) -> bytes:
    """Return the public key of a root; empty if it cannot be read."""
    from cryptography.exceptions import UnsupportedAlgorithm

    from mesh_federation.stack import key_material

    try:
        return key_material.key_of(key_material.certificates(text.encode(errors="replace"))[0])
    except (key_material.UnusableMaterial, ValueError, UnsupportedAlgorithm):
        return b""


def links_bind_trust(federation: Federation) -> Iterator[Problem]:
    """In scope `mesh` every workload of a mesh would have to trust the roots of the others."""
    for name in federation.roots_of_others:
        if federation.trust.scope == "mesh":
            yield Problem(
                "trust.scope",
                FederationRule.OBSERVED_SCOPE,
                f"scope mesh would let every workload trust {name}, and change the mesh of {name}, which belongs to"
                " others",
                "remove trust.scope: scope link changes only what is exported and imported",
            )


def aliases_name_no_other_mesh(federation: Federation) -> Iterator[Problem]:
    """Policies about a trust domain hold for its aliases too: istiod expands them."""
    for cluster, observed in _observed(federation):
        for other in federation.clusters.values():
            if other.name != cluster.name and other.trust_domain in observed.trust_domain_aliases:
                yield Problem(
                    f"{cluster.path}.observed.trustDomainAliases",
                    FederationRule.OBSERVED_ALIAS,
                    f"{cluster.name} takes {other.trust_domain}, the trust domain of {other.name}, for another name of"
                    f" its own: its policies would admit workloads of {other.name} as its own",
                    f"let the owner of {cluster.name} remove the alias (meshConfig.trustDomainAliases), which is needed"
                    f" only until all workloads have new certificates; then {OBSERVE}",
                )


def meshes_have_what_links_need(federation: Federation) -> Iterator[Problem]:
    """What an installation lacks is told before anything is made."""
    links = _links(federation)
    for cluster, observed in _observed(federation):
        if cluster.name in links:
            for key, problem, fix in _lacking(federation, cluster, observed):
                yield Problem(f"{cluster.path}.observed.{key}", FederationRule.OBSERVED_UNSUPPORTED, problem, fix)
        for path, what in _unsupported(federation, cluster.name):
            yield Problem(
                path,
                FederationRule.OBSERVED_UNSUPPORTED,
                f"{what} changes more of {cluster.name} than exports and imports, and its Istio belongs to others",
                "use `via: direct`, `api: istio` and exports and imports for this cluster",
            )


def _lacking(federation: Federation, cluster: Cluster, observed: ObservedMesh) -> Iterator[tuple[str, str, str]]:
    name = cluster.name
    if observed.ambient:
        yield (
            "ambient",
            f"{name} has an ambient mesh, whose proxies read no EnvoyFilter: nothing would bind the trust of a link",
            f"let its owner run the linked workloads with sidecars and without ztunnel; then {OBSERVE}",
        )
    if not observed.trust_domain_validation:
        yield (
            "trustDomainValidation",
            f"the istiod of {name} runs with PILOT_SKIP_VALIDATE_TRUST_DOMAIN, so its proxies do not check the trust"
            " domain of their callers",
            "let its owner remove that variable (Helm: pilot.env; IstioOperator: values.pilot.env; Sail:"
            f" spec.values.pilot.env); then {OBSERVE}",
        )
    if observed.mutual_tls == "DISABLE":
        yield (
            "mutualTLS",
            f"a PeerAuthentication for the whole mesh of {name} switches mutual TLS off, and calls between meshes need"
            " it",
            f"let its owner set PERMISSIVE or STRICT; then {OBSERVE}",
        )
    for namespace, path in _namespaces(federation, name):
        if observed.namespaces is not None and namespace not in observed.namespaces:
            yield (
                "namespaces",
                f"the discovery selectors of the istiod of {name} leave {namespace} out, so it would ignore what"
                f" {path} needs there",
                f"let its owner select the namespace (meshConfig.discoverySelectors); then {OBSERVE}",
            )


def exported_ports_can_be_bound(federation: Federation) -> Iterator[Problem]:
    """Where plaintext is accepted, a port that is not HTTP has a filter chain for TLS of the workload's own.

    The filter of a link would match that chain too, and Envoy would reject the listener: running pods would keep the
    former one, and new ones would not become ready. Source: Istio's inbound listeners (TLS chains in PERMISSIVE mode).
    """
    for cluster, observed in _observed(federation):
        for export in federation.exports if observed.mutual_tls == "PERMISSIVE" else ():
            for index, port in enumerate(export.ports):
                if export.cluster == cluster.name and port.protocol not in _HTTP:
                    yield Problem(
                        f"{export.path}.ports[{index}].protocol",
                        FederationRule.OBSERVED_UNSUPPORTED,
                        f"{cluster.name} accepts plaintext beside mutual TLS, and there Envoy would reject the listener"
                        f" of a {port.protocol.value} port whose callers are bound to a link: new pods of"
                        f" {export.service} would not become ready",
                        "let the owner of the mesh set STRICT for all of it (PeerAuthentication), then"
                        f" {OBSERVE}; or export HTTP ports alone",
                    )


def _namespaces(federation: Federation, cluster: str) -> Iterator[tuple[str, str]]:
    """Yield the namespaces in which links of a cluster have objects, and the first entry that needs each."""
    found: dict[str, str] = {}
    own = federation.clusters[cluster].link_namespace
    for export in federation.exports:
        if export.cluster == cluster:
            found.setdefault(export.service.namespace, export.path)
            found.setdefault(own, export.path)
    for link in federation.imports:
        exported = federation.export(link.source, link.service)
        if link.cluster == cluster and exported:
            found.setdefault(link.service.namespace if is_beside_service(federation, link) else own, link.path)
            for caller in callers_of(cluster, [exported]):
                found.setdefault(federation.clusters[cluster].root_namespace if caller == "*" else caller, link.path)
    yield from found.items()


def _unsupported(federation: Federation, cluster: str) -> Iterator[tuple[str, str]]:
    for link in federation.imports:
        if cluster in (link.cluster, link.source) and link.api == "gateway":
            yield f"{link.path}.api", "`api: gateway`"
        if link.cluster == cluster and link.via == "egress":
            yield f"{link.path}.via", "`via: egress`"
    for discovery in federation.discovery:
        if cluster in (discovery.cluster, discovery.of):
            yield discovery.path, "endpoint discovery"


def hosts_can_be_resolved(federation: Federation) -> Iterator[Problem]:
    """A global host has no Service in any cluster, so only proxies answer queries for it."""
    for cluster, observed in _observed(federation):
        for link in federation.imports:
            has_own_name = link.mode == "global" or link.own_host is not None
            if link.cluster == cluster.name and has_own_name and not observed.dns_capture:
                yield Problem(
                    f"{link.path}.{'as' if link.mode == 'global' else 'host'}",
                    FederationRule.OBSERVED_NAMES,
                    f"no proxy of {cluster.name} answers DNS queries, so its workloads could not resolve {link.host}",
                    "write `as: remote` without `host`, for which this stack makes a Service; or let the owner of the"
                    ' mesh set meshConfig.defaultConfig.proxyMetadata.ISTIO_META_DNS_CAPTURE to "true" and restart the'
                    f" callers, then {OBSERVE}",
                )


def link_namespaces_are_apart(federation: Federation) -> Iterator[Problem]:
    """A namespace for links has none of the workloads, so that rights in it are rights in nothing else."""
    for cluster in federation.clusters.values():
        path, namespace = f"{cluster.path}.istio.linkNamespace", cluster.link_namespace
        if namespace == cluster.istio_namespace:
            continue
        if cluster.istio.install:
            problem = f"has no effect: this stack installs the Istio of {cluster.name}, with its gateway beside istiod"
            yield Problem(path, FederationRule.KEY_WITHOUT_EFFECT, problem, "remove it")
        if reason := _misplaced(cluster, namespace):
            fix = "let the owner of the cluster make a namespace for nothing else, and name it"
            yield Problem(path, FederationRule.LINK_NAMESPACE, f"{namespace} {reason}", fix)
        for used, where in _of_workloads(federation, cluster.name):
            if used == namespace:
                yield Problem(
                    path,
                    FederationRule.LINK_NAMESPACE,
                    f"{where} has pods in {namespace}: whoever may run pods beside them could take their identity, and"
                    " this stack must run its gateway in this namespace",
                    "name a namespace that holds nothing else",
                )


def _misplaced(cluster: Cluster, namespace: str) -> str:
    if namespace == DEFAULT_NAMESPACE:
        return "holds the objects of everybody who names no namespace"
    if namespace == cluster.root_namespace:
        return f"is the root namespace of {cluster.name}, whose objects apply to the whole mesh"
    return ""


def _of_workloads(federation: Federation, cluster: str) -> Iterator[tuple[str, str]]:
    """Yield the namespaces of a cluster's workloads that links name, and where each is declared."""
    for workload in federation.workloads:
        if workload.cluster == cluster:
            yield workload.reference.namespace, workload.path
    for link in federation.imports:
        if link.cluster == cluster and has_local_endpoints(federation, link):
            yield link.service.namespace, link.path
    for export in federation.exports:
        if export.cluster == cluster:
            yield export.service.namespace, export.path
        for consumer in export.to:
            if consumer.cluster == cluster:
                for account in consumer.service_accounts or ():
                    yield account.namespace, consumer.path


def filters_of_others_leave_tls_alone(federation: Federation) -> Iterator[Problem]:
    """Of filters that set the same part of a proxy the last one decides, and none may be ours alone."""
    for cluster, observed in _observed(federation):
        concerned: dict[str, str] = dict(_namespaces(federation, cluster.name))
        if not any(export.cluster == cluster.name for export in federation.exports):
            concerned.pop(cluster.link_namespace, None)  # without a gateway, no proxy is there
        by_namespace: dict[str, list[str]] = defaultdict(list)
        for each in observed.filters:
            by_namespace[each.namespace].append(str(each))
        for namespace in _concerned(observed, concerned):
            for name in by_namespace[namespace]:
                yield Problem(
                    f"{cluster.path}.observed.filters",
                    FederationRule.OBSERVED_FILTER,
                    f"EnvoyFilter {name} of {cluster.name} sets the TLS of proxies that this stack links: of two"
                    " filters the last one decides, and the trust of a link would depend on their order",
                    f"let its owner limit it to other workloads or remove it; then {OBSERVE}",
                )


def _concerned(observed: ObservedMesh, linked: Iterable[str]) -> list[str]:
    return sorted({*linked, observed.root_namespace}) if linked else []


RULES = (
    observed_meshes_belong_to_others,
    linked_meshes_are_known,
    declarations_agree_with_observations,
    settings_of_others_act,
    roots_are_of_one_mesh,
    links_bind_trust,
    aliases_name_no_other_mesh,
    meshes_have_what_links_need,
    exported_ports_can_be_bound,
    hosts_can_be_resolved,
    link_namespaces_are_apart,
    filters_of_others_leave_tls_alone,
)
