"""The Secret `cacerts` of a cluster: what istiod signs with, and what it trusts."""

import base64
import binascii
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mesh_federation.plan.istio_values import NAMESPACE
from mesh_federation.verify.certificates import Signer, fingerprint, read, title
from mesh_federation.verify.context import ClusterUnderTest
from mesh_federation.verify.objects import Secret
from mesh_federation.verify.verdict import Inconclusive


@dataclass(frozen=True)
class Held:
    """What is in it.

    Attributes:
        authority: the certificate that istiod signs with.
        chain: from it to its own root.
        roots: all that the cluster trusts.
        key: the private key; in memory alone.
    """

    authority: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    roots: tuple[x509.Certificate, ...]
    key: CertificateIssuerPrivateKeyTypes

    def __repr__(self) -> str:
        """Show whose it is, and never the key."""
        return f"Held({title(self.authority)})"

    @property
    def signer(self) -> Signer:
        """The authority, able to sign."""
        return Signer(self.chain, self.key)


class NotHeld(Inconclusive):
    """It is not what istiod takes: one check is about that, and the others can look no further.

    Attributes:
        why: what is wrong with it.
    """

    def __init__(self, site: ClusterUnderTest, why: str) -> None:
        """Say whose, and lead to the check that is about it."""
        super().__init__(f"{site.name}: {why}", "see the check trust.cacerts")
        self.why = why


def held(site: ClusterUnderTest) -> Held:
    """Read it; once, however many checks want it.

    Raises:
        NotHeld: there is none, or it cannot be read as certificates and a key.
        Unseen: the cluster does not answer, or does not let us see it.
    """
    return site.cluster.once("cacerts", lambda: _read(site))


def _read(site: ClusterUnderTest) -> Held:
    secret = site.cluster.one(Secret, "secret", "cacerts", NAMESPACE)
    if secret is None:
        raise NotHeld(site, "there is no Secret cacerts: istiod signs with a root of its own that nobody else trusts")
    try:
        files = {name: base64.b64decode(text, validate=True) for name, text in secret.data.items()}
        [authority] = read(files["ca-cert.pem"])
        key = load_pem_private_key(files["ca-key.pem"], None)
        chain, roots = read(files["cert-chain.pem"]), read(files["root-cert.pem"])
    except KeyError as missing:
        raise NotHeld(site, f"cacerts has no {missing.args[0]}") from None
    except (ValueError, TypeError, binascii.Error):  # their texts may hold part of what they could not read
        raise NotHeld(site, "cacerts holds something else than PEM certificates and a key") from None
    return Held(authority, tuple(chain), tuple(roots), key)  # type: ignore[arg-type]


def own_root(site: ClusterUnderTest) -> list[x509.Certificate]:
    """Return the root that the stack made for a cluster; nothing where the cluster does not trust it.

    Raises:
        Unseen: what it trusts cannot be seen.
    """
    return [root for root in held(site).roots if fingerprint(root) == site.trust.root]
