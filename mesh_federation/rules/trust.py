"""Trust domains, meshes and roots: what clusters share, and what each has for itself."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator

from mesh_federation.rules.names import fitting, from_name
from mesh_federation.stack.config import Cluster, Export, Federation, NamespacedName, Trust
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule
from mesh_federation.stack.text import escape_unprintable

_TRUST_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_LENGTH = 255
_POINTER = "cluster.local"
"""In policies, this name means the trust domain of the mesh itself."""


def trust_domains_are_names(federation: Federation) -> Iterator[Problem]:
    """The SPIFFE standard limits what a trust domain may look like."""
    for cluster in federation.clusters.values():
        domain = cluster.trust_domain
        if from_name(cluster, domain):
            continue
        if len(domain) > _LENGTH:
            problem = f"{domain[:20]}... has {len(domain)} characters; SPIFFE allows {_LENGTH}"
            yield Problem(f"{cluster.path}.trustDomain", FederationRule.BAD_TRUST_DOMAIN, problem, "use a shorter name")
        elif not _TRUST_DOMAIN.fullmatch(domain):
            yield Problem(
                f"{cluster.path}.trustDomain",
                FederationRule.BAD_TRUST_DOMAIN,
                f'"{domain}" is not a valid trust domain, the host part of spiffe://<trust domain>/ns/../sa/..',
                f"use lower-case letters, digits, dots and dashes, for example {fitting(cluster.name) or 'east'}.local",
            )


def authorities(federation: Federation) -> Iterator[tuple[str, Trust]]:
    """Yield the current trust and, during a rotation, the next one; each with its key path."""
    yield "trust", federation.trust
    if federation.trust.rotation:
        yield "trust.rotation", federation.trust.following


def _groups(federation: Federation, key: Callable[[Cluster], str]) -> list[list[Cluster]]:
    groups: dict[str, list[Cluster]] = defaultdict(list)
    for cluster in federation.clusters.values():
        groups[key(cluster)].append(cluster)
    return [group for group in groups.values() if len(group) > 1]


def trust_domains_tell_callers_apart(federation: Federation) -> Iterator[Problem]:
    """Workloads of one trust domain have the same identities, so an export treats its clusters alike."""
    for group in _groups(federation, lambda cluster: cluster.trust_domain):
        names = {cluster.name for cluster in group}
        for export in federation.exports:
            if not (names & export.consumers):
                continue
            pair = _treated_differently(export, group)
            if pair is None:
                continue
            first, later = pair
            yield Problem(
                f"{later.path}.trustDomain",
                FederationRule.TRUST_DOMAIN_TAKEN,
                f"cluster {first.name} has the trust domain {later.trust_domain} too, but {export.path} of"
                f" {export.cluster} admits other callers of {first.name} than of {later.name}: their identities are the"
                " same",
                f"admit the same callers of both clusters under `to` of {export.path}"
                if first.mesh_id == later.mesh_id
                else f"give {later.name} its own trust domain, for example {later.name}.local",
            )
            break


Admitted = frozenset[NamespacedName] | None


def _treated_differently(export: Export, group: list[Cluster]) -> tuple[Cluster, Cluster] | None:
    """Find two clusters of one trust domain whose callers this export treats differently."""
    admitted: dict[str, Admitted] = {
        c.cluster: None if c.service_accounts is None else frozenset(c.service_accounts) for c in export.to
    }
    admitted[export.cluster] = None  # callers of the exporting cluster itself are never refused
    first = group[0]
    for later in group[1:]:
        if admitted.get(first.name, frozenset()) != admitted.get(later.name, frozenset()):
            return first, later
    return None


def named_callers_keep_their_trust_domain(federation: Federation) -> Iterator[Problem]:
    """Istiod replaces cluster.local in a named caller by its own trust domain.

    Source: ReplaceTrustDomainAliases (istio, pilot/pkg/security/trustdomain); it keeps `cluster.local/*`.
    """
    for export in federation.exports:
        here = federation.clusters.get(export.cluster)
        for consumer in export.to:
            there = federation.clusters.get(consumer.cluster)
            if not (here and there and consumer.service_accounts) or there.trust_domain == here.trust_domain:
                continue
            if there.trust_domain == _POINTER:
                yield Problem(
                    f"{there.path}.trustDomain",
                    FederationRule.TRUST_DOMAIN_OF_ISTIO,
                    f"{export.path} names service accounts of {there.name}, whose trust domain is {_POINTER}; the"
                    f" istiod of {here.name} reads that name as its own trust domain, {here.trust_domain}, so none of"
                    " them could call",
                    f"give {there.name} its own trust domain, for example {there.name}.local; or remove its"
                    f" serviceAccounts in {export.path} to admit every workload of {there.name}",
                )


def networks_are_of_one_mesh(federation: Federation) -> Iterator[Problem]:
    """On one network, pods call each other directly, which needs one mesh."""
    for group in _groups(federation, lambda cluster: cluster.network):
        first = group[0]
        for later in group[1:]:
            if later.mesh_id != first.mesh_id:
                yield Problem(
                    f"{later.path}.network",
                    FederationRule.NETWORK_OF_TWO_MESHES,
                    f"clusters {first.name} (meshID {first.mesh_id}) and {later.name} (meshID {later.mesh_id}) share"
                    f' the network "{later.network}": Istio would send calls directly to pods, around the gateways',
                    f"give {later.name} its own network, for example {later.name}-network, or give both the same"
                    " meshID",
                )


def meshes_are_of_one_trust(federation: Federation) -> Iterator[Problem]:
    """Clusters of one mesh trust each other's workloads like their own."""
    for group in _groups(federation, lambda cluster: cluster.mesh_id):
        first = group[0]
        for later in group[1:]:
            if later.trust_domain != first.trust_domain:
                key = "trustDomain"
                fix = f"write trustDomain: {first.trust_domain}, or give {later.name} its own meshID"
                if later.observed:  # its owner chose the trust domain
                    key = "meshID"
                    fix = f"give {later.name} a meshID of its own, by which this stack tells the two meshes apart"
                yield Problem(
                    f"{later.path}.{key}",
                    FederationRule.MESH_OF_TWO_TRUST_DOMAINS,
                    f"clusters {first.name} ({first.trust_domain}) and {later.name} ({later.trust_domain}) have"
                    f" the meshID {later.mesh_id}: workloads of one mesh need one trust domain",
                    fix,
                )
        for section, trust in authorities(federation):
            if trust.model == "separate":
                others = " and ".join(cluster.name for cluster in group)
                yield Problem(
                    f"{section}.model",
                    FederationRule.MESH_OF_TWO_ROOTS,
                    f"model separate gives {others} one root each, but they have the meshID {first.mesh_id}: workloads"
                    " of one mesh need one root",
                    "write model: common, or give each cluster its own meshID",
                )


def provided_names_all_clusters(federation: Federation) -> Iterator[Problem]:
    """Model `provided` has an authority for every cluster; the other models have none."""
    for section, trust in authorities(federation):
        yield from _unused(section, trust) if trust.model != "provided" else _unmatched(section, trust, federation)


def _unused(section: str, trust: Trust) -> Iterator[Problem]:
    if trust.provided:
        yield Problem(
            f"{section}.provided",
            FederationRule.PROVIDED_UNUSED,
            f"authorities are given for {', '.join(trust.provided)}, but with {section}.model {trust.model} this"
            " program makes the authorities, so the given ones would be ignored",
            f"write model: provided, or remove {section}.provided",
        )


def _unmatched(section: str, trust: Trust, federation: Federation) -> Iterator[Problem]:
    for name in federation.clusters:
        if name in federation.installed and name not in trust.provided:
            yield Problem(
                f"{section}.provided",
                FederationRule.PROVIDED_INCOMPLETE,
                f"{section}.model is provided, but cluster {name} has no authority here, so its istiod could not sign"
                " certificates",
                f"add {section}.provided.{name} with certificate, key, chain and root",
            )
    for name in trust.provided:
        if name not in federation.clusters:
            yield Problem(
                f"{section}.provided.{name}",
                FederationRule.PROVIDED_FOR_NOBODY,
                f"{name} is not a cluster of this federation; its clusters are {', '.join(federation.clusters)}",
                "write the name of a cluster, or remove this authority",
            )
        elif name not in federation.installed:
            yield Problem(
                f"{section}.provided.{name}",
                FederationRule.PROVIDED_FOR_NOBODY,
                f"this stack installs no Istio in {name}, so nothing there would sign with this authority",
                "remove this authority: what vouches for that cluster is read by mesh observe",
            )


def organizations_can_be_read(federation: Federation) -> Iterator[Problem]:
    """Programs that show a certificate show its organization, which must not control a terminal or hold NUL."""
    trust = federation.trust
    following = (trust.rotation and trust.rotation.organization) or ""
    for section, organization in (("trust", trust.organization), ("trust.rotation", following)):
        if not organization.isprintable():
            yield Problem(
                f"{section}.organization",
                FederationRule.ORGANIZATION_UNPRINTABLE,
                f'"{escape_unprintable(organization)}" has unprintable characters: it becomes part of the subject of'
                " every authority, which programs compare, cut off at NUL, or print to a terminal",
                "use letters, digits, spaces and punctuation",
            )


RULES = (
    organizations_can_be_read,
    trust_domains_are_names,
    trust_domains_tell_callers_apart,
    named_callers_keep_their_trust_domain,
    networks_are_of_one_mesh,
    meshes_are_of_one_trust,
    provided_names_all_clusters,
)
