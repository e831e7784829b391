"""Which certificate authorities there are, who signs whom, and what each cluster trusts.

Sources: Istio's plug-in CA layout (Secret `cacerts`), RFC 5280, walk-through 000 section 2.2.

Distinct subject names are not cosmetic: two roots of one name without key identifiers fail in an order-dependent way.
No extended key usage: a CA that has one fails Istio's own check. Roots are bound to no trust domain by Istio: any
trusted root can mint any accepted identity, so `separate` means independent operation, not mutual distrust.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mesh_federation.plan.root_identity import GeneratedRoot, ProvidedRoot, RootIdentity
from mesh_federation.stack import pem
from mesh_federation.stack.config import Federation, Key, ProvidedAuthority, Trust, TrustModel

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
        size = str(self.key.curve if self.key.algorithm == "ECDSA" else self.key.bits)
        return GeneratedRoot(self.common_name, self.organization, self.key.algorithm, size, self.days)


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


@dataclass(frozen=True)
class TrustPlan:
    """All authorities of a federation.

    Attributes:
        roots: to be made and trusted, sorted by name; none when they are provided.
        given: PEM of the trusted roots that are provided, sorted by cluster.
        intermediates: to be made, sorted by cluster; none when they are provided.
        provided: those of the user's own that sign, by cluster.
        warn_days: how long before its end an authority is complained of.
        is_moving: whether proxies are asked, before anything changes, that all of them will go on trusting each other.
    """

    roots: tuple[Root, ...]
    given: tuple[str, ...]
    intermediates: tuple[Intermediate, ...]
    provided: dict[str, ProvidedAuthority]
    warn_days: int
    is_moving: bool

    @property
    def issuers(self) -> dict[str, RootIdentity]:
        """Each cluster's root, by cluster."""
        made: dict[str, RootIdentity] = {each.cluster: each.root.identity for each in self.intermediates}
        return {**made, **{cluster: _identity(each.root) for cluster, each in self.provided.items()}}

    @property
    def accepted(self) -> tuple[RootIdentity, ...]:
        """The trusted roots, in the order of their descriptions."""
        roots: set[RootIdentity] = {*(root.identity for root in self.roots), *map(_identity, self.given)}
        return tuple(sorted(roots, key=lambda root: root.describe()))


def _identity(given: str) -> ProvidedRoot:
    """Identify a provided root by its fingerprint, if it can be read."""
    try:
        return ProvidedRoot(pem.fingerprint(pem.last(given)))
    except (ValueError, IndexError):
        return ProvidedRoot("")


def plan(federation: Federation) -> TrustPlan:
    """Decide the authorities that the declared trust model needs, in the step of a rotation that it is in.

    `add` trusts what is and what follows, and signs under what is. `switch` trusts both, and signs under what follows.
    `drop` is what follows alone; without a rotation there is nothing but what is.
    """
    now, following = federation.trust, federation.trust.following
    phase = now.rotation.phase if now.rotation else None
    signing = following if phase in ("switch", "drop") else now
    trusted = {None: [now], "add": [now, following], "switch": [now, following], "drop": [following]}[phase]
    roots = {root.name: root for trust in trusted for root in MODELS[trust.model].roots(federation, trust).values()}
    return TrustPlan(
        roots=tuple(roots[name] for name in sorted(roots)),
        given=tuple(root for trust in trusted for root in _given(trust)),
        intermediates=tuple(_intermediates(federation, signing)),
        provided=MODELS[signing.model].provided(signing),
        warn_days=now.warn_days,
        is_moving=phase is not None,
    )


class AuthorityModel(ABC):
    """A trust model: who signs for each cluster. Adding one is a subclass, an entry in MODELS, and its rules."""

    @abstractmethod
    def roots(self, federation: Federation, trust: Trust) -> dict[str, Root]:
        """Return the roots that this program makes, by the cluster that each signs for."""

    def provided(self, trust: Trust) -> dict[str, ProvidedAuthority]:
        """Return the user's authorities, by the cluster that each signs for; none in most models."""
        return {}


class CommonRoot(AuthorityModel):
    """Trust model `common`: one root signs the intermediates of all clusters."""

    def roots(self, federation: Federation, trust: Trust) -> dict[str, Root]:
        """Return the one root for every cluster."""
        return {cluster: _root(trust, "") for cluster in federation.clusters}


class SeparateRoots(AuthorityModel):
    """Trust model `separate`: each cluster has a root of its own."""

    def roots(self, federation: Federation, trust: Trust) -> dict[str, Root]:
        """Return one root per cluster."""
        return {cluster: _root(trust, cluster) for cluster in federation.clusters}


class ProvidedAuthorities(AuthorityModel):
    """Trust model `provided`: the user's own authorities sign; this program makes none."""

    def roots(self, federation: Federation, trust: Trust) -> dict[str, Root]:
        """Return no root."""
        return {}

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
    """Name intermediates as the root that signs them, so that another root's is another one."""
    for name, root in sorted(MODELS[trust.model].roots(federation, trust).items()):
        own = federation.clusters[name].intermediate
        yield Intermediate(
            name=_joined("-", name, "intermediate", trust.root, own),
            cluster=name,
            root=root,
            common_name=_joined(" ", name, "intermediate CA", trust.root, own),
            days=trust.intermediate_days,
        )


def _given(trust: Trust) -> list[str]:
    provided = MODELS[trust.model].provided(trust)
    return [provided[name].root for name in sorted(provided)]


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
