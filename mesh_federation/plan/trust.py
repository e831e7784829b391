"""Which certificate authorities there are, who signs whom, and what each cluster trusts.

Sources: Istio's plug-in CA layout (Secret `cacerts`), RFC 5280, walk-through 000 section 2.2.

Distinct subject names are not cosmetic: two roots of one name without key identifiers fail in an order-dependent way.
No extended key usage: a CA that has one fails Istio's own check. Istio binds no root to a trust domain. In scope `mesh`
any trusted root can mint any accepted identity; in scope `link` proxies are told which authorities vouch for which
trust domain (mesh_federation/plan/trust_binding.py).
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mesh_federation.plan.root_identity import GeneratedRoot, ProvidedRoot, RootIdentity
from mesh_federation.stack import pem
from mesh_federation.stack.config import Federation, Key, ProvidedAuthority, Trust, TrustModel, TrustScope

CA_USES = ("digital_signature", "content_commitment", "key_encipherment", "cert_signing", "crl_signing")
"""Key usage of every authority that this program makes."""


@dataclass(frozen=True)
class Root:
    """A self-signed authority.

    Attributes:
        name: of the resource; `root` when all clusters share it, else with the cluster's name in front.
        common_name: CN of its subject, unique in the federation.
        organization: O of its subject.
        days: lifetime.
        key: what kind of key it has.
    """

    name: str
    common_name: str
    organization: str
    days: int
    key: Key

    @property
    def identity(self) -> GeneratedRoot:
        """The attributes that identify it; changing any of them makes a new root."""
        return GeneratedRoot(self.common_name, self.organization, self.key.algorithm, _size(self.key), self.days)


@dataclass(frozen=True)
class Intermediate:
    """The authority with which one cluster's istiod signs workload certificates.

    Attributes:
        name: of the resource.
        cluster: whose.
        root: the root that signs it.
        common_name: CN of its subject.
        days: lifetime.
    """

    name: str
    cluster: str
    root: Root
    common_name: str
    days: int

    def describe(self) -> str:
        """Return in one line for people what another one would differ in."""
        key = self.root.key
        return f"{self.common_name} of {self.root.organization}, {key.algorithm} {_size(key)}"


@dataclass(frozen=True)
class Bundle:
    """The roots that the workloads of one cluster trust for every identity that they accept.

    Attributes:
        roots: that this program makes, sorted by name.
        given: PEM of those that are provided.
    """

    roots: tuple[Root, ...]
    given: tuple[str, ...]

    @property
    def identities(self) -> tuple[RootIdentity, ...]:
        """Its roots, in the order of their descriptions."""
        roots: set[RootIdentity] = {*(root.identity for root in self.roots), *map(_identity, self.given)}
        return tuple(sorted(roots, key=lambda root: root.describe()))


@dataclass(frozen=True)
class Anchors:
    """The authorities that vouch for the identities of one cluster, and for no others.

    A root that no other cluster has, or else the intermediate, as a certificate that it signs itself: its twin. Envoy
    takes no intermediate for an anchor.

    Attributes:
        roots: that this program makes.
        given: PEM of provided roots.
        intermediates: that this program makes.
        provided: intermediates of the user's own.
    """

    roots: tuple[Root, ...]
    given: tuple[str, ...]
    intermediates: tuple[Intermediate, ...]
    provided: tuple[ProvidedAuthority, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Each of them in one line for people, sorted."""
        roots = (each.describe() for each in Bundle(self.roots, self.given).identities)
        made = (each.describe() for each in self.intermediates)
        return tuple(sorted({*roots, *made, *map(_describe, self.provided)}))

    @property
    def has_twins(self) -> bool:
        """Say whether the root alone would vouch for other clusters too."""
        return bool(self.intermediates or self.provided)


@dataclass(frozen=True)
class TrustPlan:
    """All authorities of a federation.

    Attributes:
        scope: whether workloads trust other clusters for each link, or all of them as one.
        roots: to be made and trusted, sorted by name; none when they are provided.
        given: PEM of the trusted roots that are provided, sorted by cluster.
        bundles: roots of each `cacerts`, by the cluster whose Istio this stack installs: all, or in scope `link` its
            own.
        intermediates: to be made, sorted by cluster; none when they are provided.
        provided: those of the user's own that sign, by cluster.
        anchors: what vouches for each cluster in scope `link`, those whose Istio belongs to others among them; nothing
            in scope `mesh`.
        distrusted: clusters that no other trusts.
        warn_days: how long before its end an authority is complained of.
        is_moving: whether proxies are asked, before anything changes, that all of them will go on trusting each other.
    """

    scope: TrustScope
    roots: tuple[Root, ...]
    given: tuple[str, ...]
    bundles: Mapping[str, Bundle]
    intermediates: tuple[Intermediate, ...]
    provided: dict[str, ProvidedAuthority]
    anchors: Mapping[str, Anchors]
    distrusted: frozenset[str]
    warn_days: int
    is_moving: bool

    @property
    def kept(self) -> tuple[Intermediate, ...]:
        """Intermediates to be made that sign for no cluster in this step, but vouch for it."""
        vouching = {each for anchors in self.anchors.values() for each in anchors.intermediates}
        return tuple(sorted(vouching - set(self.intermediates), key=lambda each: each.name))

    @property
    def issuers(self) -> dict[str, RootIdentity]:
        """Each cluster's root, by cluster."""
        made: dict[str, RootIdentity] = {each.cluster: each.root.identity for each in self.intermediates}
        return {**made, **{cluster: _identity(each.root) for cluster, each in self.provided.items()}}

    @property
    def signers(self) -> dict[str, frozenset[str]]:
        """The root and the intermediate under which each cluster signs, in one line each, by cluster."""
        made = {each.cluster: each.describe() for each in self.intermediates}
        named = {**made, **{cluster: _describe(each) for cluster, each in self.provided.items()}}
        return {cluster: frozenset({name, self.issuers[cluster].describe()}) for cluster, name in named.items()}

    def vouching(self, cluster: str) -> tuple[str, ...]:
        """Return what others accept the identities of a cluster under, each in one line for people."""
        if cluster in self.anchors:
            return self.anchors[cluster].names
        return tuple(root.describe() for root in self.bundles[cluster].identities)


def _identity(given: str) -> ProvidedRoot:
    """Identify a provided root by its fingerprint, if it can be read."""
    try:
        return ProvidedRoot(pem.fingerprint(pem.last(given)))
    except (ValueError, IndexError):
        return ProvidedRoot("")


def _describe(given: ProvidedAuthority) -> str:
    found = fingerprint_of(given.certificate)
    return f"a provided authority, SHA-256 {found}" if found else "a provided authority that only the engine can read"


def _size(key: Key) -> str:
    return str(key.curve if key.algorithm == "ECDSA" else key.bits)


def plan(federation: Federation) -> TrustPlan:
    """Decide the authorities that the declared trust model needs, in the step of a rotation that it is in.

    `add` trusts what is and what follows, and signs under what is. `switch` trusts both, and signs under what follows.
    `drop` is what follows alone; without a rotation there is nothing but what is.
    """
    now, following = federation.trust, federation.trust.following
    phase = now.rotation.phase if now.rotation else None
    signing = following if phase in ("switch", "drop") else now
    trusted = {None: [now], "add": [now, following], "switch": [now, following], "drop": [following]}[phase]
    is_bound = now.scope == "link"
    bundles = {name: _bundle(federation, trusted, name if is_bound else None) for name in federation.installed}
    all_trusted = _bundle(federation, trusted, None)
    return TrustPlan(
        scope=now.scope,
        roots=all_trusted.roots,
        given=all_trusted.given,
        bundles=bundles,
        intermediates=tuple(_intermediates(federation, signing)),
        provided=MODELS[signing.model].provided(signing),
        anchors=_anchors(federation, trusted) if is_bound else {},
        distrusted=frozenset(each.cluster for each in now.revoked if each.cluster),
        warn_days=now.warn_days,
        is_moving=phase is not None and not now.revoked,
    )


def _bundle(federation: Federation, trusted: Sequence[Trust], cluster: str | None) -> Bundle:
    """Find the roots of one cluster, or of all."""
    clusters = [cluster] if cluster else list(federation.installed)
    revoked = _revoked(federation.trust)
    made = {
        root.name: root
        for trust in trusted
        for name in clusters
        if (root := MODELS[trust.model].root(trust, name)) and root.common_name not in revoked
    }
    given = (trust.provided[name].root for trust in trusted for name in clusters if name in _given(trust))
    return Bundle(
        roots=tuple(made[name] for name in sorted(made)),
        given=tuple(text for text in given if _identity(text).sha256 not in revoked),
    )


def _anchors(federation: Federation, trusted: Sequence[Trust]) -> dict[str, Anchors]:
    """Decide what vouches for each cluster, in every one of some ends of a rotation."""
    shared = shared_roots(federation, trusted)
    own = {name: _anchors_of(federation, trusted, name, name in shared) for name in federation.installed}
    revoked = _revoked(federation.trust)
    others = {
        name: tuple(root for root in roots if fingerprint_of(root) not in revoked)
        for name, roots in federation.anchors_of_others.items()
    }
    return {**own, **{name: Anchors((), roots, (), ()) for name, roots in others.items()}}


def _anchors_of(federation: Federation, trusted: Sequence[Trust], cluster: str, by_twin: bool) -> Anchors:
    if not by_twin:
        own = _bundle(federation, trusted, cluster)
        return Anchors(own.roots, own.given, (), ())
    revoked = _revoked(federation.trust)
    signing = (_intermediate(federation, trust, cluster) for trust in trusted)
    made = (each for each in signing if each)
    given = (trust.provided[cluster] for trust in trusted if cluster in _given(trust))
    return Anchors(
        roots=(),
        given=(),
        intermediates=tuple(dict.fromkeys(e for e in made if revoked.isdisjoint((e.common_name, e.root.common_name)))),
        provided=tuple(e for e in given if revoked.isdisjoint(map(fingerprint_of, (e.certificate, e.root)))),
    )


def shared_roots(federation: Federation, trusted: Sequence[Trust]) -> frozenset[str]:
    """Return the clusters with a root that another cluster has too, in any of some ends of a rotation."""
    owners = {
        (name, root)
        for trust in trusted
        for name in federation.installed
        if (root := _root_of(trust, name)) is not None
    }
    count = Counter(root for _, root in owners)
    return frozenset(name for name, root in owners if count[root] > 1)


def _root_of(trust: Trust, cluster: str) -> Root | str | None:
    made = MODELS[trust.model].root(trust, cluster)
    return made or (trust.provided[cluster].root if cluster in _given(trust) else None)


def _revoked(trust: Trust) -> frozenset[str]:
    """Return names and fingerprints of revoked authorities."""
    return frozenset(each.authority for each in trust.revoked if each.authority)


def fingerprint_of(given: str) -> str:
    """Return the SHA-256 of a provided certificate; empty if only the engine can read it."""
    try:
        return pem.fingerprint(pem.certificates(given)[0])
    except (ValueError, IndexError):
        return ""


class AuthorityModel(ABC):
    """A trust model: who signs for each cluster. Adding one is a subclass, an entry in MODELS, and its rules."""

    @abstractmethod
    def root(self, trust: Trust, cluster: str) -> Root | None:
        """Return the root that this program makes for a cluster; None if it makes none."""

    def provided(self, trust: Trust) -> dict[str, ProvidedAuthority]:
        """Return the user's authorities, by the cluster that each signs for; none in most models."""
        return {}


class CommonRoot(AuthorityModel):
    """Trust model `common`: one root signs the intermediates of all clusters."""

    def root(self, trust: Trust, cluster: str) -> Root:
        """Return the one root."""
        return _root(trust, "")


class SeparateRoots(AuthorityModel):
    """Trust model `separate`: each cluster has a root of its own."""

    def root(self, trust: Trust, cluster: str) -> Root:
        """Return the cluster's root."""
        return _root(trust, cluster)


class ProvidedAuthorities(AuthorityModel):
    """Trust model `provided`: the user's own authorities sign; this program makes none."""

    def root(self, trust: Trust, cluster: str) -> None:
        """Return no root."""

    def provided(self, trust: Trust) -> dict[str, ProvidedAuthority]:
        """Return the authorities that the stack file provides."""
        return trust.provided


MODELS: Mapping[TrustModel, AuthorityModel] = {
    "common": CommonRoot(),
    "separate": SeparateRoots(),
    "provided": ProvidedAuthorities(),
}


def _root(trust: Trust, owner: str) -> Root:
    return Root(
        name=_joined("-", owner, "root", trust.root),
        common_name=_joined(" ", owner, "root CA", trust.root),
        organization=trust.organization,
        days=trust.root_days,
        key=trust.key,
    )


def _intermediates(federation: Federation, trust: Trust) -> Iterator[Intermediate]:
    every = (_intermediate(federation, trust, name) for name in federation.installed)
    return (each for each in every if each)


def _intermediate(federation: Federation, trust: Trust, cluster: str) -> Intermediate | None:
    """Name an intermediate as the root that signs it, so that another root's is another one."""
    root = MODELS[trust.model].root(trust, cluster)
    if root is None:
        return None
    own = trust.intermediates.get(cluster, federation.clusters[cluster].intermediate)
    return Intermediate(
        name=_joined("-", cluster, "intermediate", trust.root, own),
        cluster=cluster,
        root=root,
        common_name=_joined(" ", cluster, "intermediate CA", trust.root, own),
        days=trust.intermediate_days,
    )


def _given(trust: Trust) -> Mapping[str, ProvidedAuthority]:
    return MODELS[trust.model].provided(trust)


def _joined(between: str, *parts: str) -> str:
    return between.join(part for part in parts if part)


def peers(federation: Federation, cluster: str) -> list[str]:
    """Return the foreign trust domains that a cluster accepts: of clusters it serves or calls, sorted.

    They go into `meshConfig.caCertificates[].trustDomains`, never into `trustDomainAliases`: aliases make
    east.local/ns/x/sa/y and west.local/ns/x/sa/y one identity (istio#55529).
    """
    served = {c.cluster for export in federation.exports if export.cluster == cluster for c in export.to}
    called = {link.source for link in federation.imports if link.cluster == cluster}
    domains = {federation.clusters[peer].trust_domain for peer in served | called}
    return sorted(domains - {federation.clusters[cluster].trust_domain})
