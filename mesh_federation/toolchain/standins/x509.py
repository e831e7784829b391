"""Keys, requests and certificates as the official plugin makes them, which calls Go's library.

Only certificate authorities are made, with RSA keys or keys on P-256 and P-384.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import randbits
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from mesh_federation.toolchain.standins.uses import KEY_USES, SUBJECT
from mesh_federation.toolchain.standins.values import Properties, Value

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_CURVES: dict[str, type[ec.EllipticCurve]] = {"P256": ec.SECP256R1, "P384": ec.SECP384R1}
_FIELDS = dict(zip(SUBJECT, (NameOID.ORGANIZATION_NAME, NameOID.LOCALITY_NAME, NameOID.COMMON_NAME), strict=True))
_UNUSED = ("data_encipherment", "key_agreement", "encipher_only", "decipher_only")
_PEM = serialization.Encoding.PEM
_DER = serialization.Encoding.DER
_PLAIN = serialization.NoEncryption()
_PKCS8 = serialization.PrivateFormat.PKCS8
_TRADITIONAL = serialization.PrivateFormat.TraditionalOpenSSL
_SPKI = serialization.PublicFormat.SubjectPublicKeyInfo


@dataclass(frozen=True)
class Issuer:
    """The authority that signs.

    Attributes:
        name: its subject.
        key: its private key.
        key_id: identifier of the key for the certificates that it signs; None to leave it out.
    """

    name: x509.Name
    key: PrivateKey
    key_id: bytes | None


def private_key(inputs: Properties) -> tuple[str, Properties]:
    """Make a private key; return its id and its outputs."""
    key = _generate(str(inputs["algorithm"]), _integer(inputs["rsaBits"]), str(inputs["ecdsaCurve"]))
    public = key.public_key()
    return _sha1(public.public_bytes(_DER, _SPKI)).hex(), {
        "privateKeyPem": key.private_bytes(_PEM, _TRADITIONAL, _PLAIN).decode(),
        "privateKeyPemPkcs8": key.private_bytes(_PEM, _PKCS8, _PLAIN).decode(),
        "publicKeyPem": public.public_bytes(_PEM, _SPKI).decode(),
    }


def request(inputs: Properties) -> tuple[str, Properties]:
    """Make a certificate request; return its id and its outputs."""
    key = _load_key(str(inputs["privateKeyPem"]))
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(inputs.get("subject")))
    if names := _list(inputs.get("dnsNames")):
        builder = builder.add_extension(x509.SubjectAlternativeName(map(x509.DNSName, names)), critical=False)
    signed = builder.sign(key, _digest(key))
    return _sha1(signed.public_bytes(_DER)).hex(), {
        "keyAlgorithm": _algorithm(key),
        "certRequestPem": signed.public_bytes(_PEM).decode(),
    }


def self_signed(inputs: Properties) -> tuple[str, Properties]:
    """Make a root certificate; return its id and its outputs."""
    key, subject = _load_key(str(inputs["privateKeyPem"])), _subject(inputs.get("subject"))
    key_id = _key_id(key.public_key()) if inputs.get("setAuthorityKeyId") else None
    identity, outputs = _certificate(inputs, subject, key.public_key(), None, Issuer(subject, key, key_id))
    return identity, {"keyAlgorithm": _algorithm(key), **outputs}


def locally_signed(inputs: Properties) -> tuple[str, Properties]:
    """Sign a request with the key of an authority; return the certificate's id and its outputs."""
    asked = _load_request(str(inputs["certRequestPem"]))
    authority = _load_certificate(str(inputs["caCertPem"]))
    key = _load_key(str(inputs["caPrivateKeyPem"]))
    if key.public_key() != authority.public_key():
        raise ValueError("Failed to create certificate: the CA's private key does not match its certificate")
    key_id = _subject_key_id(authority) if asked.subject != authority.subject else None
    public = asked.public_key()
    if not isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise ValueError("unsupported kind of key in the certificate request")
    issuer = Issuer(authority.subject, key, key_id)
    identity, outputs = _certificate(inputs, asked.subject, public, _names(asked), issuer)
    return identity, {"caKeyAlgorithm": _algorithm(key), **outputs}


def _certificate(
    inputs: Properties,
    subject: x509.Name,
    public: PublicKey,
    names: x509.SubjectAlternativeName | None,
    issuer: Issuer,
) -> tuple[str, Properties]:
    """Sign a certificate whose extensions are in the order of Go's library."""
    if not inputs.get("isCaCertificate"):
        raise ValueError("the stand-in for the official plugin makes certificates of authorities only")
    if not list(subject):
        raise ValueError(
            "Invalid Certificate Subject: Must contain at least one Distinguished Name when creating Certificate"
            " Authority (CA)"
        )
    start = datetime.now(UTC).replace(microsecond=0)
    end = start + timedelta(hours=_integer(inputs["validityPeriodHours"]))
    serial = randbits(128) or 1
    builder = x509.CertificateBuilder(issuer.name, subject, public, serial, start, end)
    builder = builder.add_extension(_key_usage(_list(inputs["allowedUses"])), critical=True)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier(_key_id(public)), critical=False)
    if issuer.key_id is not None:
        builder = builder.add_extension(x509.AuthorityKeyIdentifier(issuer.key_id, None, None), critical=False)
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    signed = builder.sign(issuer.key, _digest(issuer.key))
    return str(serial), {
        "certPem": signed.public_bytes(_PEM).decode(),
        "validityStartTime": _timestamp(start),
        "validityEndTime": _timestamp(end),
    }


def _key_usage(uses: list[str]) -> x509.KeyUsage:
    bits = {bit: use in uses for use, bit in KEY_USES.items()}
    return x509.KeyUsage(**bits, **dict.fromkeys(_UNUSED, False))


def _generate(algorithm: str, bits: int, curve: str) -> PrivateKey:
    if algorithm == "RSA":
        return rsa.generate_private_key(65537, bits)
    if curve not in _CURVES:
        raise ValueError(f"the stand-in for the official plugin makes no keys on the curve {curve}")
    return ec.generate_private_key(_CURVES[curve]())


def _algorithm(key: PrivateKey) -> str:
    return "RSA" if isinstance(key, rsa.RSAPrivateKey) else "ECDSA"


def _digest(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384:
    """Return the hash that Go's library chooses for a key."""
    is_long = isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size > 256
    return hashes.SHA384() if is_long else hashes.SHA256()


def _load_key(text: str) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's own message may quote the text.
        raise ValueError("Failed to parse the private key: it is not a PEM private key") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ValueError("Failed to parse the private key: unsupported kind of key")
    return key


def _load_request(text: str) -> x509.CertificateSigningRequest:
    try:
        asked = x509.load_pem_x509_csr(text.encode())
        valid = asked.is_signature_valid
    except (ValueError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise ValueError(f"Failed to parse the certificate request: {error}") from None
    if not valid:
        raise ValueError("Failed to parse the certificate request: its signature is not valid")
    return asked


def _load_certificate(text: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(text.encode())
    except ValueError as error:
        raise ValueError(f"Failed to parse the CA certificate: {error}") from None


def _subject(value: Value) -> x509.Name:
    fields = value if isinstance(value, dict) else {}
    return x509.Name([x509.NameAttribute(oid, str(fields[name])) for name, oid in _FIELDS.items() if fields.get(name)])


def _names(asked: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName | None:
    try:
        return asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def _key_id(public: PublicKey) -> bytes:
    return x509.SubjectKeyIdentifier.from_public_key(public).digest


def _subject_key_id(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _list(value: Value) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _integer(value: Value) -> int:
    if not isinstance(value, int | float):
        raise ValueError(f"expected a number, got {value!r}")
    return int(value)
