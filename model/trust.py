"""Which certificate authorities there are, who signs whom, and what each cluster trusts.

Sources: Istio's plug-in CA layout (Secret `cacerts`), RFC 5280, walk-through 000 section 2.2.

Distinct subject names are not cosmetic: two roots of one name without key identifiers fail in an order-dependent way.
No extended key usage: a CA that has one fails Istio's own check. Roots are bound to no trust domain by Istio: any
trusted root can mint any accepted identity, so `separate` means independent operation, not mutual distrust.
"""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from model.config import Federation, Key, ProvidedAuthority

CA_USES = ("digital_signature", "content_commitment", "key_encipherment", "cert_signing", "crl_signing")
"""Key usage of every authority that this program makes."""

CERTIFICATE = "-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True)
class Root:
    """A self-signed authority.

    Attributes:
        name: `root` when all clusters share it, else the cluster's name.
        common_name: CN of its subject, unique in the federation.
        days: lifetime.
    """

    name: str
    common_name: str
    days: int


@dataclass(frozen=True)
class Intermediate:
    """The authority with which one cluster's istiod signs workload certificates.

    Attributes:
        cluster: whose.
        root: name of the root that signs it.
        common_name: CN of its subject.
        days: lifetime.
    """

    cluster: str
    root: str
    common_name: str
    days: int


@dataclass(frozen=True)
class TrustPlan:
    """All authorities of a federation.

    Attributes:
        roots: to be made, sorted by name; none when they are provided.
        intermediates: to be made, sorted by cluster; none when they are provided.
        provided: the user's own, by cluster.
        key: keys of those to be made.
        organization: O of every subject.
    """

    roots: tuple[Root, ...]
    intermediates: tuple[Intermediate, ...]
    provided: dict[str, ProvidedAuthority]
    key: Key
    organization: str


def plan(federation: Federation) -> TrustPlan:
    """Decide the authorities that the declared trust model needs."""
    trust = federation.trust
    clusters = sorted(federation.clusters)
    signers = {
        "common": dict.fromkeys(clusters, "root"),
        "separate": {cluster: cluster for cluster in clusters},
        "provided": {},
    }[trust.model]
    return TrustPlan(
        roots=tuple(Root(name, _root_name(name), trust.root_days) for name in sorted(set(signers.values()))),
        intermediates=tuple(
            Intermediate(cluster, root, f"{cluster} intermediate CA", trust.intermediate_days)
            for cluster, root in signers.items()
        ),
        provided=trust.provided if trust.model == "provided" else {},
        key=trust.key,
        organization=trust.organization,
    )


def _root_name(name: str) -> str:
    return "root CA" if name == "root" else f"{name} root CA"


def bundle(roots: Iterable[str]) -> str:
    """Join root certificates to the trust bundle: each once, in one order for every cluster (pitfall 4).

    Args:
        roots: PEM texts, each of one or more certificates.
    """
    return "".join(sorted({certificate for text in roots for certificate in certificates(text)}))


def chain(*links: str) -> str:
    """Join certificates to `cert-chain.pem`: the intermediate first, its own root last (pitfall 8)."""
    return "".join(certificate for text in links for certificate in certificates(text))


def certificates(pem: str) -> list[str]:
    """Split PEM text into its certificates, each ending in one newline; text around them is dropped."""
    end = "-----END CERTIFICATE-----"
    bodies = [part.split(end)[0].strip() for part in pem.split(CERTIFICATE)[1:]]
    return [f"{CERTIFICATE}\n{body}\n{end}\n" for body in bodies]


def fingerprint(pem: str) -> str:
    """Return the SHA-256 of a certificate's DER form in hexadecimal, as other programs print it without colons."""
    return sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def fingerprints(chain: str, bundle: str) -> dict[str, object]:
    """Tell the certificates of one cluster's authority apart by their fingerprints; nothing of it is secret.

    Args:
        chain: PEM from the intermediate to its own root.
        bundle: PEM of every trusted root.

    Returns:
        `authority`: of the intermediate. `root`: of its own root. `trusted`: of every root that the cluster trusts.
    """
    links = [fingerprint(pem) for pem in certificates(chain)]
    return {"authority": links[0], "root": links[-1], "trusted": [fingerprint(pem) for pem in certificates(bundle)]}


def peers(federation: Federation, cluster: str) -> list[str]:
    """Return the foreign trust domains that a cluster accepts: of clusters it serves or calls, sorted.

    They go into `meshConfig.caCertificates[].trustDomains`, never into `trustDomainAliases`: aliases make
    east.local/ns/x/sa/y and west.local/ns/x/sa/y one identity (istio#55529).
    """
    served = {c.cluster for export in federation.exports if export.cluster == cluster for c in export.to}
    called = {link.source for link in federation.imports if link.cluster == cluster}
    domains = {federation.clusters[peer].trust_domain for peer in served | called}
    return sorted(domains - {federation.clusters[cluster].trust_domain})
