"""What a certificate hierarchy does not protect against, in a few sentences.

Sources: Istio binds no root to a trust domain (pilot/pkg/trustbundle); since 1.27 it hands proxies a list of what is
revoked, where `cacerts` has one (`ca-crl.pem`, istio#56529), which this program does not write; Envoy's SPIFFE
validator reads no such list; whoever reads the Secret `cacerts` has what istiod signs with.
"""

from collections.abc import Iterator, Sequence

from mesh_federation.plan import trust as planning
from mesh_federation.stack import pem
from mesh_federation.stack.config import ENCRYPTED, Federation, Trust

ONE_ROOT = (
    "Clusters share a root: whoever has its key, or that of any intermediate under it, can mint any identity of any"
    " cluster."
)
SEVERAL_ROOTS = (
    "Clusters have roots of their own, and Istio binds no root to a trust domain: whoever has the key of any trusted"
    " root, or of an intermediate under it, can mint any accepted identity. This is independent operation, not mutual"
    " distrust."
)
UNKNOWN_ROOTS = (
    "Only the engine can read which clusters share a root. With one in common, whoever has a key under it can mint any"
    " identity of any cluster; with roots of their own any identity that is accepted, as Istio binds no root to a trust"
    " domain."
)
KEYS_MADE = (
    "The keys that this stack makes, those of roots too, lie encrypted in its state: whoever has that and its"
    " passphrase has them all. Provided intermediates keep the keys of roots out of it."
)
KEYS_GIVEN = (
    "The keys of provided intermediates lie encrypted in the state of the stack; the keys of their roots need not be"
    " anywhere near it."
)
NO_REVOCATION = (
    "This program revokes nothing: Istio takes revocation lists since 1.27 (ca-crl.pem in cacerts), and it writes none."
    " A stolen workload certificate is good until it ends, within a day, a stolen intermediate for as long as its root"
    " is trusted."
)
ONE_CLUSTER = (
    "Whoever has the key of a cluster's authority can issue every identity of that cluster, for all its exports and"
    " imports; other clusters' identities it cannot issue."
)
OWN_CALLS = (
    "Clusters share a root: whoever has its key, or that of any intermediate under it, can pose as a server to callers"
    " of the same mesh, because only calls of imports are bound to an authority."
)
ALPHA_API = (
    "Trust for each link is made of EnvoyFilters, an alpha API of Istio: after an upgrade one may have no effect. Then"
    " callers of other clusters are refused, and mesh verify --only=trust.bound says which proxy is concerned."
)
REVOCATION = (
    "A stolen workload certificate is good until it ends, within a day. An authority or a cluster is taken out by"
    " trust.revoked; revocation lists are not read."
)
SECRETS = (
    "Whoever may read the Secret cacerts in the namespace of istiod can mint as that istiod can: administrators of"
    " its cluster among others."
)
UNWATCHED = "Nobody is warned of the end of an authority before somebody runs up, preview or verify."


def limits(federation: Federation) -> Iterator[str]:
    """Say what the hierarchy does not protect against; while a rotation lasts, for both its ends."""
    ends = _ends(federation.trust)
    roots = _of_links(federation) if federation.trust.scope == "link" else _of_mesh(federation, ends)
    yield from dict.fromkeys(roots)
    yield from dict.fromkeys(KEYS_GIVEN if end.model == "provided" else KEYS_MADE for end in ends)
    yield REVOCATION if federation.trust.scope == "link" else NO_REVOCATION
    yield SECRETS
    for link in federation.discovery:
        yield f"The istiod of {link.cluster} reads the Secrets of {link.of}, cacerts among them."
    yield UNWATCHED


def _of_links(federation: Federation) -> Iterator[str]:
    yield ONE_CLUSTER
    if any(each.has_twins for each in planning.plan(federation).anchors.values()):
        yield OWN_CALLS
    yield ALPHA_API


def _of_mesh(federation: Federation, ends: Sequence[Trust]) -> Iterator[str]:
    for end in ends:
        yield from _of_roots(end, len(federation.clusters))


def _ends(trust: Trust) -> tuple[Trust, ...]:
    """Return the ends of a rotation that matter in its step: after the last one, the first end does no more."""
    if trust.rotation is None:
        return (trust,)
    return (trust.following,) if trust.rotation.phase == "drop" else (trust, trust.following)


def _of_roots(trust: Trust, clusters: int) -> Iterator[str]:
    if trust.model != "provided":
        yield SEVERAL_ROOTS if trust.model == "separate" and clusters > 1 else ONE_ROOT
        return
    roots = [each.root if each.root == ENCRYPTED else pem.chain(each.root) for each in trust.provided.values()]
    if ENCRYPTED in roots:
        yield UNKNOWN_ROOTS
        return
    if clusters == 1 or len(set(roots)) < len(roots):
        yield ONE_ROOT
    if len(set(roots)) > 1:
        yield SEVERAL_ROOTS
