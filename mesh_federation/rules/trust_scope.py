"""Trust for each link: whether the release, the channel and the links of a stack admit it, and what is revoked.

Scope `link` is the default. Where it cannot hold, the stack has to say `mesh`, because that trusts more. Sources:
Istio's admission policy of the stable channel (validatingadmissionpolicy.yaml); waypoints and ztunnel read no
EnvoyFilter; an EnvoyFilter in the root namespace holds for all namespaces. Every accepted release matches filter chains
by port; none can match them by their transport socket yet (istio/api#3757).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import combinations

from mesh_federation.plan import trust as planning
from mesh_federation.rules.istio_values import flags
from mesh_federation.rules.trust import authorities
from mesh_federation.stack.config import Federation, Trust
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule

WHERE = "trust.scope"
MESH = "write trust: {scope: mesh}, in which every workload trusts the roots of all clusters"
AMBIENT = "PILOT_ENABLE_AMBIENT"


def the_channel_admits_filters(federation: Federation) -> Iterator[Problem]:
    """The admission policy of the stable channel refuses every EnvoyFilter."""
    stable = {key: None for name in federation.clusters if (key := _stable(federation, name))}
    for key in stable if _is_bound(federation) else ():
        yield Problem(
            WHERE,
            FederationRule.SCOPE_OF_STABLE_CHANNEL,
            f"scope link binds trust to links by EnvoyFilters, which the stable channel of Istio refuses ({key})",
            MESH,
        )


def _stable(federation: Federation, cluster: str) -> str:
    """Return what puts a cluster on the stable channel; empty if nothing does."""
    istio = federation.istio_of(cluster)
    if istio.channel == "stable":
        return f"{federation.istio_path(cluster, 'channel')}: stable"
    if istio.values.get("profile") == "stable":
        return f"{federation.istio_path(cluster, 'values', 'profile')}: stable"
    experimental = istio.values.get("experimental")
    enforced = isinstance(experimental, dict) and experimental.get("stableValidationPolicy")
    path = federation.istio_path(cluster, "values", "experimental", "stableValidationPolicy")
    return path if enforced in (True, "true") else ""


def workloads_have_sidecars(federation: Federation) -> Iterator[Problem]:
    """Proxies of ambient meshes read no EnvoyFilter."""
    ambient = {
        path: None
        for name in federation.clusters
        for path, value in flags(federation, name, AMBIENT)
        if value == "true"
    }
    for key in ambient if _is_bound(federation) else ():
        yield Problem(
            WHERE,
            FederationRule.SCOPE_OF_AMBIENT,
            f"{key} enables ambient mode, whose proxies read no EnvoyFilter: scope link would leave their trust to"
            " their own cluster alone",
            f"remove {AMBIENT}; or {MESH}",
        )


def links_tell_clusters_apart(federation: Federation) -> Iterator[Problem]:
    """Scope link binds an authority to a trust domain, so clusters of one trust domain cannot be told apart."""
    if not _is_bound(federation):
        return
    for link in federation.discovery[:1]:
        yield Problem(
            WHERE,
            FederationRule.SCOPE_OF_DISCOVERY,
            f"{link.cluster} discovers {link.of} as a part of its own mesh ({link.path}): all their workloads trust"
            " each other, and there is no export or import to which scope link could bind that trust",
            MESH,
        )
    discovered = {frozenset((link.cluster, link.of)) for link in federation.discovery}
    domains: dict[str, list[str]] = defaultdict(list)
    for cluster in federation.clusters.values():
        domains[cluster.trust_domain].append(cluster.name)
    for domain, clusters in domains.items():
        if unbound := [pair for pair in combinations(clusters, 2) if frozenset(pair) not in discovered]:
            first, second = unbound[0]
            yield Problem(
                WHERE,
                FederationRule.SCOPE_OF_ONE_TRUST_DOMAIN,
                f"{first} and {second} have one trust domain, {domain}, so the authority of either could issue the"
                " identities of both: scope link cannot bind each to its own",
                _renaming(federation, first, second),
            )


def _renaming(federation: Federation, *clusters: str) -> str:
    """Say how one of two clusters of one trust domain gets another."""
    theirs = [name for name in clusters if name in federation.roots_of_others]
    if not theirs:
        return f"give {clusters[-1]} its own trust domain, for example {clusters[-1]}.local; or {MESH}"
    name = theirs[-1]
    then = "send a new card" if name in federation.partners else "run mesh observe again"
    return (
        f"let the owner of {name} set meshConfig.trustDomain, for example to {name}.local, and restart its workloads"
        f" (Istio: Trust Domain Migration) and remove the alias for the old name; then {then}"
    )


def callers_can_be_selected(federation: Federation) -> Iterator[Problem]:
    """A filter in the root namespace holds for all namespaces, and none of ours for gateways that call."""
    if not _is_bound(federation):
        return
    own = federation.own  # where Istio of a partner is, its own stack knows
    for export in federation.exports:
        for consumer in export.to:
            callers = own.get(consumer.cluster)
            special = (callers.istio_namespace, callers.root_namespace) if callers else ()
            for account in consumer.service_accounts or ():
                if account.namespace in special:
                    yield Problem(
                        f"{consumer.path}.serviceAccounts",
                        FederationRule.SCOPE_OF_CALLER,
                        f"{account} of {consumer.cluster} is in {account.namespace}: a filter there holds for every"
                        f" namespace, so scope link cannot give the trust in {export.cluster} to this caller alone",
                        f"let a workload of another namespace call; or {MESH}",
                    )


def authorities_sign_for_one_cluster(federation: Federation) -> Iterator[Problem]:
    """An authority that signs for two clusters vouches for both."""
    for section, trust in authorities(federation):
        owners: dict[str, str] = {}
        for name, given in trust.provided.items() if trust.model == "provided" else ():
            first = owners.setdefault(planning.fingerprint_of(given.certificate) or name, name)
            if first != name and _is_bound(federation):
                yield Problem(
                    f"{section}.provided.{name}.certificate",
                    FederationRule.SCOPE_OF_ONE_AUTHORITY,
                    f"{first} signs with the same authority, so either cluster could issue the identities of the other:"
                    " scope link cannot bind it to one of them",
                    f"give {name} an intermediate of its own; or {MESH}",
                )


def shared_roots_sign_no_workloads(federation: Federation) -> Iterator[Problem]:
    """A root that signs the workloads of one cluster also vouches for everything below it."""
    for section, trust in authorities(federation):
        if trust.model != "provided" or not _is_bound(federation):
            continue
        roots = {name: planning.fingerprint_of(given.root) for name, given in trust.provided.items()}
        for name, given in trust.provided.items():
            below = [other for other, root in roots.items() if other != name and root and root == roots[name]]
            if below and planning.fingerprint_of(given.certificate) == roots[name]:
                yield Problem(
                    f"{section}.provided.{name}.certificate",
                    FederationRule.SCOPE_OF_ONE_AUTHORITY,
                    f"{name} signs with the root of {', '.join(below)}, which vouches for everything below it: scope"
                    f" link cannot bind it to {name}",
                    f"give {name} an intermediate of its own; or {MESH}",
                )


def twins_have_names(federation: Federation) -> Iterator[Problem]:
    """During a rotation other clusters trust the current and the next intermediate, which need two names."""
    if not _is_bound(federation) or federation.trust.rotation is None:
        return
    ends = [trust for _, trust in authorities(federation)]
    shared = planning.shared_roots(federation, ends)
    now, following = (_intermediates(federation, trust) for trust in ends)
    for name in sorted(shared & now.keys() & following.keys()):
        if now[name].name == following[name].name and now[name] != following[name]:
            yield Problem(
                "trust.rotation",
                FederationRule.TWIN_WITHOUT_NAME,
                f"the next intermediate of {name} would have the name of the current one, {now[name].name}, but with a"
                " root that clusters share, other clusters trust both during the rotation",
                "name the next roots, for example root: r2",
            )


def intermediates_are_of_clusters(federation: Federation) -> Iterator[Problem]:
    """A name for the intermediate of no cluster is a mistake; provided ones have no names."""
    for section, trust in authorities(federation):
        names = trust.intermediates if section == "trust" else _next_intermediates(federation)
        for cluster in names:
            if cluster not in federation.clusters or trust.model == "provided":
                why = "the intermediates are provided" if cluster in federation.clusters else "there is no such cluster"
                yield Problem(
                    f"{section}.intermediates.{cluster}",
                    FederationRule.INTERMEDIATE_OF_NOBODY,
                    f"names an intermediate of {cluster}, but {why}",
                    f"remove it; clusters are {', '.join(federation.clusters)}",
                )


def _next_intermediates(federation: Federation) -> Mapping[str, str]:
    rotation = federation.trust.rotation
    return (rotation.intermediates if rotation else None) or {}


def revocations_take_effect(federation: Federation) -> Iterator[Problem]:
    """What is revoked is one thing, is trusted, and signs for no cluster."""
    signing, trusted = _names_of_authorities(federation)
    for index, each in enumerate(federation.trust.revoked):
        where = f"trust.revoked[{index}]"
        if not _is_bound(federation):
            yield Problem(
                where,
                FederationRule.REVOKED_IN_MESH,
                "with scope mesh every workload trusts all roots for all identities; to revoke what is below a root,"
                " Istio needs a revocation list of every authority of every chain (ca-crl.pem), and this program has"
                " keys of some of them only",
                "remove it, and replace the roots by trust.rotation; or use scope link",
            )
        elif (each.cluster is None) == (each.authority is None):
            yield Problem(
                where,
                FederationRule.REVOKED_UNCLEAR,
                "names a cluster and an authority" if each.cluster else "names neither a cluster nor an authority",
                "write one of them in each item: {cluster: ...} or {authority: ...}",
            )
        elif each.cluster is not None and each.cluster not in federation.clusters:
            yield Problem(
                f"{where}.cluster",
                FederationRule.REVOKED_UNKNOWN,
                f"there is no cluster {each.cluster}; clusters are {', '.join(federation.clusters)}",
                "write the name of a cluster, or remove the item",
            )
        elif each.authority is not None and each.authority in signing:
            yield Problem(
                f"{where}.authority",
                FederationRule.REVOKED_SIGNS,
                f"{each.authority} signs for {', '.join(signing[each.authority])}: all its workloads would be refused",
                "let it sign with another authority first (trust.rotation), or revoke the cluster: {cluster: ...}",
            )
        elif each.authority is not None and each.authority not in trusted:
            known = ", ".join(sorted(trusted)) or "none"
            yield Problem(
                f"{where}.authority",
                FederationRule.REVOKED_UNKNOWN,
                f"no cluster trusts an authority {each.authority}, so there is nothing to revoke; trusted without"
                f" signing for a cluster: {known}",
                "remove the item: what is not trusted cannot come back by itself",
            )


def _names_of_authorities(federation: Federation) -> tuple[Mapping[str, list[str]], frozenset[str]]:
    """Return what signs for which clusters, and what else is trusted, by common name or fingerprint."""
    whole = federation.model_copy(update={"trust": federation.trust.model_copy(update={"revoked": ()})})
    plan = planning.plan(whole)
    signing: dict[str, list[str]] = defaultdict(list)
    for each in plan.intermediates:
        signing[each.common_name].append(each.cluster)
        signing[each.root.common_name].append(each.cluster)
    for name, given in plan.provided.items():
        for certificate in {given.certificate, given.root}:
            signing[planning.fingerprint_of(certificate)].append(name)
    trusted = {root.common_name for root in plan.roots} | set(map(planning.fingerprint_of, plan.given))
    for anchors in plan.anchors.values():
        trusted |= {each.common_name for each in anchors.intermediates}
        trusted |= {planning.fingerprint_of(each.certificate) for each in anchors.provided}
    return signing, frozenset(trusted - set(signing) - {""})


def _intermediates(federation: Federation, trust: Trust) -> dict[str, planning.Intermediate]:
    whole = federation.model_copy(update={"trust": trust.model_copy(update={"rotation": None, "revoked": ()})})
    return {each.cluster: each for each in planning.plan(whole).intermediates}


def _is_bound(federation: Federation) -> bool:
    return federation.trust.scope == "link"


RULES = (
    the_channel_admits_filters,
    workloads_have_sidecars,
    links_tell_clusters_apart,
    callers_can_be_selected,
    authorities_sign_for_one_cluster,
    shared_roots_sign_no_workloads,
    twins_have_names,
    intermediates_are_of_clusters,
    revocations_take_effect,
)
