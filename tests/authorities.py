"""Authorities for tests, and how istiod gets them."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mesh_federation.verify.certificates import Signer, key_pem, pem

USES = x509.KeyUsage(
    digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
    data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
)  # fmt: skip


def authority(name: str, issuer: Signer | None = None, days: int = 3650) -> Signer:
    """Make one, signed by another or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    unsigned = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.chain[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(USES, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    made = unsigned.sign(issuer.key if issuer else key, hashes.SHA256())
    return Signer((made, *(issuer.chain if issuer else ())), key)


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def cacerts(signer: Signer, roots: Sequence[x509.Certificate]) -> dict[str, str]:
    """Data of the Secret."""
    return {
        "ca-cert.pem": encoded(pem(signer.chain[0])),
        "ca-key.pem": encoded(key_pem(signer.key)),
        "cert-chain.pem": encoded(pem(*signer.chain)),
        "root-cert.pem": encoded(pem(*roots)),
    }
