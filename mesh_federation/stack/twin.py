"""The twin of an intermediate: a certificate with its name and its key that it signs itself.

Envoy's SPIFFE validator starts at certificates that sign themselves and takes no intermediate for an anchor. With its
twin as the anchor, an intermediate vouches for what it signs, and neither its root nor others under that root do.
"""

from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

KEPT = (x509.BasicConstraints, x509.KeyUsage, x509.SubjectKeyIdentifier, x509.NameConstraints)
"""Extensions that say what the authority may sign; all others are about its own issuer."""


def twin(certificate: str, key: str) -> str:
    """Return the twin of an intermediate as PEM; a certificate that signs itself already as it is.

    The result is the same at every call, so that an unchanged authority changes no object: the lifetime is that of the
    intermediate, the serial number follows from it, and ECDSA signatures are deterministic (RFC 6979).

    Args:
        certificate: PEM of the intermediate.
        key: PEM of its private key.

    Raises:
        ValueError: one of them cannot be read, or the key is of a kind that istiod does not sign with.
    """
    own = x509.load_pem_x509_certificate(certificate.encode())
    if own.issuer == own.subject:
        return certificate
    signing = serialization.load_pem_private_key(key.encode(), None)
    if not isinstance(signing, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise ValueError("an authority of Istio has an ECDSA or an RSA key")
    made = _unsigned(own).sign(
        signing, hashes.SHA256(), ecdsa_deterministic=isinstance(signing, ec.EllipticCurvePrivateKey) or None
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def _unsigned(own: x509.Certificate) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder()
        .subject_name(own.subject)
        .issuer_name(own.subject)
        .public_key(own.public_key())
        .serial_number(int.from_bytes(sha256(own.tbs_certificate_bytes).digest()[:16]) | 1)
        .not_valid_before(own.not_valid_before_utc)
        .not_valid_after(own.not_valid_after_utc)
    )
    for extension in own.extensions:
        if isinstance(extension.value, KEPT):
            builder = builder.add_extension(extension.value, extension.critical)
    return builder
