"""Authorities made elsewhere, and the certificates that istiod would sign with an authority."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.unit.components.federations import Tree, with_trust

CA_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
LEAF_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=True,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class Issuer:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

    @property
    def pem(self) -> str:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        """The private key as PEM."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()


def _builder(
    public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, issuer: x509.Name, lasting: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + lasting)
    )


def authority(
    common_name: str,
    by: Issuer | None = None,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
    lasting: timedelta = timedelta(days=400),
) -> Issuer:
    """Make a certificate authority, signed by another or by itself."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    signer = by.key if by else key
    builder = (
        _builder(key.public_key(), by.certificate.subject if by else name, lasting)
        .subject_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(CA_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    return Issuer(builder.sign(signer, hashes.SHA256()), key)


def workload(spiffe: str, by: Issuer) -> x509.Certificate:
    """Sign a workload's certificate as istiod does: no subject, the identity as a critical alternative name."""
    key = ec.generate_private_key(ec.SECP256R1())
    identity = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(spiffe)])
    uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = (
        _builder(key.public_key(), by.certificate.subject, timedelta(days=1))
        .subject_name(x509.Name([]))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(LEAF_USAGE, critical=True)
        .add_extension(uses, critical=False)
        .add_extension(identity, critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key()), critical=False)
    )
    return builder.sign(by.key, hashes.SHA256())


@cache
def provided() -> Tree:
    """The simulated federation with authorities of the user's own; west's has one more link than east's."""
    east_root, west_root = authority("East Corp Root"), authority("West Corp Root")
    east = authority("East Corp Mesh", east_root)
    policy = authority("West Corp Policy", west_root)
    west = authority("West Corp Mesh", policy)
    tree = with_trust("provided")
    tree["trust"]["provided"] = {
        "east": {"certificate": east.pem, "key": east.key_pem, "root": east_root.pem},
        "west": {"certificate": west.pem, "key": west.key_pem, "chain": policy.pem, "root": west_root.pem},
    }
    return tree
