"""The Secret `cacerts` of a cluster: the authority that istiod signs with, and the roots that it trusts."""

import base64
import binascii
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mesh_federation.verify.certificates import Signer, fingerprint, read, title
from mesh_federation.verify.context import ClusterUnderTest
from mesh_federation.verify.objects import KubernetesSecret
from mesh_federation.verify.verdict import Inconclusive, NotApplicable


@dataclass(frozen=True)
class CaCerts:
    """Contents of the Secret.

    Attributes:
        authority: the certificate that istiod signs with.
        chain: the certificates from the authority to its root.
        roots: all roots that the cluster trusts.
        key: the private key, in memory only.
    """

    authority: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    roots: tuple[x509.Certificate, ...]
    key: CertificateIssuerPrivateKeyTypes

    def __repr__(self) -> str:
        """Show the subject, never the key."""
        return f"CaCerts({title(self.authority)})"

    @property
    def signer(self) -> Signer:
        """The authority with its key."""
        return Signer(self.chain, self.key)


class UnusableCaCerts(Inconclusive):
    """The Secret is missing or unreadable: trust.cacerts fails, and checks that need it are inconclusive.

    Attributes:
        reason: what is wrong with it.
    """

    def __init__(self, cluster: ClusterUnderTest, reason: str) -> None:
        """Name the cluster, and refer to the check of the Secret."""
        super().__init__(f"{cluster.name}: {reason}", "see the check trust.cacerts")
        self.reason = reason


def ca_certs(cluster: ClusterUnderTest) -> CaCerts:
    """Read the Secret, once for all checks.

    Raises:
        NotApplicable: the mesh belongs to others, whose Secrets are never read.
        UnusableCaCerts: it is missing, or does not hold certificates and a key.
        Inconclusive: the cluster does not answer, or does not allow it.
    """
    if not cluster.has_authority:
        raise NotApplicable(f"the authority of {cluster.name} belongs to others, so no identity of it can be issued")
    return cluster.kubectl.cached("cacerts", lambda: _read(cluster))


def _read(cluster: ClusterUnderTest) -> CaCerts:
    secret = cluster.kubectl.get(KubernetesSecret, "secret", "cacerts", cluster.plan.declared.istio_namespace)
    if secret is None:
        raise UnusableCaCerts(
            cluster, "there is no Secret cacerts: istiod signs with a self-made root that no other cluster trusts"
        )
    try:
        files = {name: base64.b64decode(text, validate=True) for name, text in secret.data.items()}
        [authority] = read(files["ca-cert.pem"])
        key = load_pem_private_key(files["ca-key.pem"], None)
        chain, roots = read(files["cert-chain.pem"]), read(files["root-cert.pem"])
    except KeyError as missing:
        raise UnusableCaCerts(cluster, f"cacerts has no {missing.args[0]}") from None
    except (ValueError, TypeError, binascii.Error):  # their texts may contain parts of the key
        raise UnusableCaCerts(cluster, "cacerts does not hold PEM certificates and a key") from None
    return CaCerts(authority, tuple(chain), tuple(roots), key)  # type: ignore[arg-type]


def own_root(cluster: ClusterUnderTest) -> list[x509.Certificate]:
    """Return the root that the stack made for a cluster; empty if the cluster does not trust it.

    Of a mesh that belongs to others, the roots that were observed.

    Raises:
        Inconclusive: the Secret cannot be read.
    """
    if mesh := cluster.plan.declared.observed:
        return [root for text in mesh.roots for root in read(text.encode())]
    return [root for root in ca_certs(cluster).roots if fingerprint(root) == cluster.trust.root]
