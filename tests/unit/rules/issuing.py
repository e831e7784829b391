"""Certificates of every kind that people have, some of which no program would make: signed by hand where need be."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from ssl import DER_cert_to_PEM_cert

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
START = datetime(2025, 1, 1, tzinfo=UTC)
RSA_SHA256, RSA_SHA1, RSA_MD5 = (bytes.fromhex(f"06092a864886f70d0101{last}0500") for last in ("0b", "05", "04"))
ECDSA_SHA256 = bytes.fromhex("06082a8648ce3d040302")


@dataclass(frozen=True)
class Authority:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: Key = field(repr=False)

    @property
    def der(self) -> bytes:
        """The certificate as DER."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        """The certificate as PEM."""
        return pem(self.der)

    @property
    def key_pem(self) -> str:
        """The private key as PKCS#8."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@cache
def key(name: str, bits: int = 0) -> Key:
    """Make a private key, once for a name: ECDSA, or RSA of some length."""
    return rsa.generate_private_key(65537, bits) if bits else ec.generate_private_key(ec.SECP256R1())


def name(common_name: str) -> x509.Name:
    """Write a subject."""
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def issue(
    common_name: str,
    by: Authority | None = None,
    *extensions: tuple[x509.ExtensionType, bool],
    of: Key | None = None,
    serial: int = 0,
    scheme: padding.PSS | None = None,
) -> Authority:
    """Make an authority.

    Args:
        common_name: its subject.
        by: who signs it; itself when left out.
        extensions: further ones, and whether each is critical.
        of: its key.
        serial: its serial number.
        scheme: of the signature, where the issuer's key is of RSA.
    """
    own = of or key(common_name)
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    unsigned = (
        x509.CertificateBuilder()
        .subject_name(name(common_name))
        .issuer_name(by.certificate.subject if by else name(common_name))
        .public_key(own.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(START)
        .not_valid_after(START + timedelta(days=36500))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
    )
    for extension, is_critical in extensions:
        unsigned = unsigned.add_extension(extension, is_critical)
    return Authority(unsigned.sign(by.key if by else own, hashes.SHA256(), rsa_padding=scheme), own)


def constraints(
    permitted: Sequence[x509.GeneralName] = (), excluded: Sequence[x509.GeneralName] = ()
) -> tuple[x509.NameConstraints, bool]:
    """Limit the names below an authority; critical, as RFC 5280 has it."""
    return x509.NameConstraints(list(permitted) or None, list(excluded) or None), True


def resigned(issued: Authority, by: Authority, algorithm: bytes) -> Authority:
    """Sign a certificate anew with RSA and a hash that no library signs certificates with any more."""
    assert isinstance(by.key, rsa.RSAPrivateKey)
    digest = {RSA_SHA1: hashes.SHA1(), RSA_MD5: hashes.MD5(), RSA_SHA256: hashes.SHA256()}[algorithm]
    signed = issued.certificate.tbs_certificate_bytes.replace(RSA_SHA256, algorithm, 1)
    made = assembled(signed, algorithm, by.key.sign(signed, padding.PKCS1v15(), digest))
    return Authority(x509.load_der_x509_certificate(made), issued.key)


def resigned_as_is(signed: bytes, by: Authority) -> bytes:
    """Sign what need not be a certificate, with ECDSA and SHA-256."""
    assert isinstance(by.key, ec.EllipticCurvePrivateKey)
    return assembled(signed, ECDSA_SHA256, by.key.sign(signed, ec.ECDSA(hashes.SHA256())))


def assembled(signed: bytes, algorithm: bytes, signature: bytes) -> bytes:
    """Put a certificate together: what is signed, the algorithm with its parameters, and the signature."""
    return element(0x30, signed + element(0x30, algorithm) + element(0x03, b"\0" + signature))


def element(tag: int, content: bytes) -> bytes:
    """Write an element of DER."""
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8 or 1)
    head = size if len(content) < 0x80 else bytes([0x80 | len(size)]) + size
    return bytes([tag]) + head + content


def pem(der: bytes) -> str:
    """Write a certificate as PEM, also one that cannot be read."""
    return DER_cert_to_PEM_cert(der)
