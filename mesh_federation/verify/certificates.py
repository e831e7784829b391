"""Certificates for checks: reads them, verifies chains, and issues short-lived identities for test requests.

Source: RFC 5280 for chains, the SPIFFE X.509-SVID standard for identities. Keys stay in memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LEAF_USAGE = x509.KeyUsage(
    digital_signature=True, key_encipherment=True, content_commitment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
)  # fmt: skip
"""Key usage of workload certificates. Envoy's SPIFFE validator refuses those without, whoever issued them."""

TEST_LIFETIME = timedelta(minutes=10)
"""Lifetime of an identity that a check issues."""


@dataclass(frozen=True)
class Signer:
    """An authority with its key.

    Attributes:
        chain: its certificate, then its issuers up to the root.
        key: its private key.
    """

    chain: Sequence[x509.Certificate]
    key: CertificateIssuerPrivateKeyTypes

    def __repr__(self) -> str:
        """Show the subject, never the key."""
        return f"Signer({self.chain[0].subject.rfc4514_string()})"


@dataclass(frozen=True)
class Identity:
    """A short-lived certificate with its key, as PEM.

    Attributes:
        uri: its SPIFFE identity.
        chain: the certificate, then its issuers.
        key: the private key.
    """

    uri: str
    chain: bytes
    key: bytes

    def __repr__(self) -> str:
        """Show the subject, never the key."""
        return f"Identity({self.uri})"


def read(pem: bytes) -> list[x509.Certificate]:
    """Return the certificates of a PEM text.

    Raises:
        ValueError: the text does not hold PEM certificates.
    """
    try:
        return x509.load_pem_x509_certificates(pem) if pem.strip() else []
    except x509.InvalidVersion:
        raise ValueError("a certificate has an invalid X.509 version") from None


def pem(*certificates: x509.Certificate) -> bytes:
    """Write certificates as one PEM text."""
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def key_pem(key: CertificateIssuerPrivateKeyTypes) -> bytes:
    """Write a private key as PEM, unencrypted."""
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*form)


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate in hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def short(digits: str) -> str:
    """Shorten a fingerprint for display."""
    return digits[:16]


def identities(certificate: x509.Certificate) -> list[str]:
    """Return the URIs in a certificate's subject alternative names."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return names.value.get_values_for_type(x509.UniformResourceIdentifier)


def broken_link(chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]) -> str:
    """Return where a chain fails to lead to one of some roots; empty if it leads there.

    Args:
        chain: the certificate, then its issuers; the root may be missing.
        roots: one of them must be the last certificate of the chain, or have signed it.
    """
    for issued, issuer in zip(chain, chain[1:], strict=False):
        if not _signed(issued, issuer):
            return f"{title(issued)} is not signed by {title(issuer)}"
    last = chain[-1]
    if any(_is_under(last, root) for root in roots):
        return ""
    return f"{title(last)} is signed by none of the roots {', '.join(map(title, roots)) or '(there are none)'}"


def ends_at(chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]) -> x509.Certificate:
    """Return the root, out of several, to which an unbroken chain leads."""
    return next(root for root in roots if _is_under(chain[-1], root))


def _is_under(last: x509.Certificate, root: x509.Certificate) -> bool:
    return last == root or _signed(last, root)


def _signed(issued: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        issued.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def outside_lifetime(certificates: Sequence[x509.Certificate], now: datetime) -> list[str]:
    """Describe the certificates that are not valid now."""
    early = [f"{title(each)} is valid from {each.not_valid_before_utc:%Y-%m-%d}" for each in certificates
             if now < each.not_valid_before_utc]  # fmt: skip
    late = [f"{title(each)} expired on {each.not_valid_after_utc:%Y-%m-%d}" for each in certificates
            if now > each.not_valid_after_utc]  # fmt: skip
    return early + late


def title(certificate: x509.Certificate) -> str:
    """Return the subject of a certificate, or its identity if Istio leaves the subject empty."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    known = [str(each.value) for each in names] or identities(certificate)
    return known[0] if known else certificate.subject.rfc4514_string() or short(fingerprint(certificate))


def stranger() -> Signer:
    """Create an authority that no cluster trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an unknown root CA")])
    rights = x509.BasicConstraints(ca=True, path_length=None)
    made = _unsigned(name, name, key).add_extension(rights, critical=True).sign(key, hashes.SHA256())
    return Signer([made], key)


def issue(signer: Signer, uri: str) -> Identity:
    """Issue an identity in the format that istiod uses."""
    key = ec.generate_private_key(ec.SECP256R1())
    uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
    unsigned = _unsigned(x509.Name([]), signer.chain[0].subject, key)
    leaf = (
        unsigned.add_extension(names, critical=True)
        .add_extension(LEAF_USAGE, critical=True)
        .add_extension(uses, critical=False)
        .add_extension(_authority_key(signer), critical=False)
        .sign(signer.key, hashes.SHA256())
    )
    return Identity(uri, pem(leaf, *signer.chain), key_pem(key))


def _authority_key(signer: Signer) -> x509.AuthorityKeyIdentifier:
    try:
        subject_key = signer.chain[0].extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject_key.value)


def _unsigned(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + TEST_LIFETIME)
    )
