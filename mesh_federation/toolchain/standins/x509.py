"""Keys, certificate requests and certificates as the official tls plugin makes them."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from secrets import randbits
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

from mesh_federation.toolchain.standins.uses import EXTENDED_USES, KEY_USES
from mesh_federation.toolchain.standins.values import Properties, Value

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
Digest: TypeAlias = hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None

_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "P224": ec.SECP224R1,
    "P256": ec.SECP256R1,
    "P384": ec.SECP384R1,
    "P521": ec.SECP521R1,
}
# In the order in which Go's library writes a name.
_SUBJECT = (
    ("country", NameOID.COUNTRY_NAME),
    ("organization", NameOID.ORGANIZATION_NAME),
    ("organizationalUnit", NameOID.ORGANIZATIONAL_UNIT_NAME),
    ("locality", NameOID.LOCALITY_NAME),
    ("province", NameOID.STATE_OR_PROVINCE_NAME),
    ("streetAddresses", NameOID.STREET_ADDRESS),
    ("postalCode", NameOID.POSTAL_CODE),
    ("commonName", NameOID.COMMON_NAME),
    ("serialNumber", NameOID.SERIAL_NUMBER),
)
_PEM = serialization.Encoding.PEM
_DER = serialization.Encoding.DER
_PLAIN = serialization.NoEncryption()
_PKCS8 = serialization.PrivateFormat.PKCS8
_TRADITIONAL = serialization.PrivateFormat.TraditionalOpenSSL
_OPENSSH = serialization.PrivateFormat.OpenSSH
_SPKI = serialization.PublicFormat.SubjectPublicKeyInfo


@dataclass(frozen=True)
class Names:
    """Alternative names of a certificate's subject."""

    dns: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()

    def extension(self) -> x509.SubjectAlternativeName | None:
        """The X.509 extension, if there is any name."""
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in self.dns]
        names += [x509.IPAddress(ip_address(address)) for address in self.addresses]
        names += [x509.UniformResourceIdentifier(uri) for uri in self.uris]
        return x509.SubjectAlternativeName(names) if names else None


@dataclass(frozen=True)
class Issuer:
    """Who signs: its name, its key and the identifier that its own certificate has for that key."""

    name: x509.Name
    key: PrivateKey
    key_id: bytes | None


def private_key(inputs: Properties) -> tuple[str, Properties]:
    """A new key: its id and every form in which the resource hands it out."""
    key = _generate(str(inputs["algorithm"]), _integer(inputs["rsaBits"]), str(inputs["ecdsaCurve"]))
    public = _public_forms(key.public_key())
    return str(public["id"]), {
        **_private_forms(key),
        **{name: value for name, value in public.items() if name != "id"},
    }


def public_key(inputs: Properties) -> Properties:
    """Public half of a private key, given as PEM or in OpenSSH's format."""
    text = inputs.get("privateKeyPem") or inputs.get("privateKeyOpenssh")
    if not text:
        raise ValueError("one of privateKeyPem and privateKeyOpenssh must be given")
    key = _load_key(str(text))
    return {
        "algorithm": _algorithm(key),
        "privateKeyPem": inputs.get("privateKeyPem"),
        **_public_forms(key.public_key()),
    }


def request(inputs: Properties) -> tuple[str, Properties]:
    """A certificate request."""
    key = _load_key(str(inputs["privateKeyPem"]))
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(inputs.get("subject")))
    if (names := _names(inputs).extension()) is not None:
        builder = builder.add_extension(names, critical=False)
    signed = builder.sign(key, _digest(key))
    return _sha1(signed.public_bytes(_DER)).hex(), {
        "keyAlgorithm": _algorithm(key),
        "certRequestPem": signed.public_bytes(_PEM).decode(),
    }


def self_signed(inputs: Properties) -> tuple[str, Properties]:
    """A certificate that vouches for itself."""
    key = _load_key(str(inputs["privateKeyPem"]))
    subject = _subject(inputs.get("subject"))
    own_id = _key_id(key.public_key()) if _identified(inputs) else None
    authority = own_id if inputs.get("setAuthorityKeyId") else None
    if inputs.get("setAuthorityKeyId") and own_id is None:
        raise ValueError("Invalid Certificate Authority: Could not determine Authority Key Identifier")
    issuer = Issuer(subject, key, own_id)
    identity, outputs = _certificate(inputs, subject, key.public_key(), _names(inputs), issuer, authority)
    return identity, {"keyAlgorithm": _algorithm(key), **outputs}


def locally_signed(inputs: Properties) -> tuple[str, Properties]:
    """A certificate for a request, signed with the key of a local authority."""
    asked = _load_request(str(inputs["certRequestPem"]))
    authority = _load_certificate(str(inputs["caCertPem"]))
    key = _load_key(str(inputs["caPrivateKeyPem"]))
    if key.public_key() != authority.public_key():
        raise ValueError("Failed to create certificate: the CA's private key does not match its certificate")
    issuer = Issuer(authority.subject, key, _subject_key_id(authority))
    authority_id = issuer.key_id if asked.subject != authority.subject else None
    public = asked.public_key()
    if not isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise ValueError("unsupported kind of key in the certificate request")
    identity, outputs = _certificate(inputs, asked.subject, public, _requested(asked), issuer, authority_id)
    return identity, {"caKeyAlgorithm": _algorithm(key), **outputs}


def _certificate(
    inputs: Properties,
    subject: x509.Name,
    public: PublicKey,
    names: Names,
    issuer: Issuer,
    authority_id: bytes | None,
) -> tuple[str, Properties]:
    start = datetime.now(UTC).replace(microsecond=0)
    end = start + timedelta(hours=_integer(inputs["validityPeriodHours"]))
    serial = randbits(128) or 1
    builder = x509.CertificateBuilder(issuer.name, subject, public, serial, start, end)
    for extension, critical in _extensions(inputs, subject, public, names, authority_id):
        builder = builder.add_extension(extension, critical)
    signed = builder.sign(issuer.key, _digest(issuer.key))
    return str(serial), {
        "certPem": signed.public_bytes(_PEM).decode(),
        "validityStartTime": _timestamp(start),
        "validityEndTime": _timestamp(end),
    }


def _extensions(
    inputs: Properties,
    subject: x509.Name,
    public: PublicKey,
    names: Names,
    authority_id: bytes | None,
) -> list[tuple[x509.ExtensionType, bool]]:
    """Extensions of a certificate, each with its critical mark, in the order of Go's library."""
    uses = _list(inputs["allowedUses"])
    found: list[tuple[x509.ExtensionType, bool]] = []
    if any(use in KEY_USES for use in uses):
        found.append((_key_usage(uses), True))
    if extended := [ObjectIdentifier(EXTENDED_USES[use]) for use in uses if use in EXTENDED_USES]:
        found.append((x509.ExtendedKeyUsage(extended), False))
    found.append((_constraints(inputs, subject), True))
    if _identified(inputs):
        found.append((x509.SubjectKeyIdentifier(_key_id(public)), False))
    if authority_id is not None:
        found.append((x509.AuthorityKeyIdentifier(authority_id, None, None), False))
    if (alternative := names.extension()) is not None:
        found.append((alternative, not list(subject)))
    return found


def _key_usage(uses: list[str]) -> x509.KeyUsage:
    chosen = {KEY_USES[use] for use in uses if use in KEY_USES}
    bits = {bit: bit in chosen for bit in KEY_USES.values()}
    if not bits["key_agreement"]:
        # The library refuses these two without key agreement; alone they mean nothing (RFC 5280, 4.2.1.3).
        bits |= {"encipher_only": False, "decipher_only": False}
    return x509.KeyUsage(**bits)


def _constraints(inputs: Properties, subject: x509.Name) -> x509.BasicConstraints:
    length = _integer(inputs.get("maxPathLength", -1))
    authority = bool(inputs.get("isCaCertificate"))
    if authority and not list(subject):
        raise ValueError(
            "Invalid Certificate Subject: Must contain at least one Distinguished Name when creating Certificate"
            " Authority (CA)"
        )
    if not authority and length > 0:
        raise ValueError("Failed to create certificate: x509: only CAs are allowed to specify MaxPathLen")
    # The official plugin loses a length of 0: Go's library takes it for not given.
    return x509.BasicConstraints(authority, length if length > 0 else None)


def _identified(inputs: Properties) -> bool:
    return bool(inputs.get("isCaCertificate") or inputs.get("setSubjectKeyId"))


def _generate(algorithm: str, bits: int, curve: str) -> PrivateKey:
    match algorithm:
        case "RSA":
            return rsa.generate_private_key(65537, bits)
        case "ECDSA":
            return ec.generate_private_key(_CURVES[curve]())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def _private_forms(key: PrivateKey) -> Properties:
    own = _PKCS8 if isinstance(key, ed25519.Ed25519PrivateKey) else _TRADITIONAL
    return {
        "privateKeyPem": key.private_bytes(_PEM, own, _PLAIN).decode(),
        "privateKeyPemPkcs8": key.private_bytes(_PEM, _PKCS8, _PLAIN).decode(),
        "privateKeyOpenssh": key.private_bytes(_PEM, _OPENSSH, _PLAIN).decode() if _ssh(key.public_key()) else "",
    }


def _public_forms(public: PublicKey) -> Properties:
    forms: Properties = {
        "id": _sha1(public.public_bytes(_DER, _SPKI)).hex(),
        "publicKeyPem": public.public_bytes(_PEM, _SPKI).decode(),
        "publicKeyOpenssh": "",
        "publicKeyFingerprintMd5": "",
        "publicKeyFingerprintSha256": "",
    }
    if not _ssh(public):
        return forms
    md5 = serialization.ssh_key_fingerprint(public, hashes.MD5())
    sha256 = serialization.ssh_key_fingerprint(public, hashes.SHA256())
    line = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return forms | {
        "publicKeyOpenssh": line.decode() + "\n",
        "publicKeyFingerprintMd5": md5.hex(":"),
        "publicKeyFingerprintSha256": f"SHA256:{_base64(sha256)}",
    }


def _ssh(public: PublicKey) -> bool:
    """Whether OpenSSH has a format for the key: it has none for P-224."""
    return not (isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP224R1))


def _base64(data: bytes) -> str:
    from base64 import b64encode

    return b64encode(data).decode().rstrip("=")


def _algorithm(key: PrivateKey) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return "RSA"
    return "ECDSA" if isinstance(key, ec.EllipticCurvePrivateKey) else "ED25519"


def _digest(key: PrivateKey) -> Digest:
    """Hash that Go's library chooses for a key."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size > 256:
        return hashes.SHA384() if key.curve.key_size == 384 else hashes.SHA512()
    return hashes.SHA256()


def _load_key(text: str) -> PrivateKey:
    load = serialization.load_ssh_private_key if "BEGIN OPENSSH" in text else serialization.load_pem_private_key
    try:
        key = load(text.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's own message may quote the text.
        raise ValueError("Failed to parse the private key: it is not a PEM private key") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
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
    """Write a name as Go does: a field of several values is one set, which DER sorts."""
    fields = value if isinstance(value, dict) else {}
    sets = ([x509.NameAttribute(oid, text) for text in _texts(fields.get(name))] for name, oid in _SUBJECT)
    return x509.Name([x509.RelativeDistinguishedName(attributes) for attributes in sets if attributes])


def _texts(value: Value) -> list[str]:
    return [text for text in (_list(value) if isinstance(value, list) else [value]) if isinstance(text, str) and text]


def _names(inputs: Properties) -> Names:
    uris = _list(inputs.get("uris"))
    if wrong := [uri for uri in uris if "://" not in uri and not uri.startswith("urn:")]:
        raise ValueError(f"uris: {wrong[0]!r} has no scheme")
    return Names(tuple(_list(inputs.get("dnsNames"))), tuple(_list(inputs.get("ipAddresses"))), tuple(uris))


def _requested(asked: x509.CertificateSigningRequest) -> Names:
    try:
        found = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return Names()
    return Names(
        tuple(found.get_values_for_type(x509.DNSName)),
        tuple(str(address) for address in found.get_values_for_type(x509.IPAddress)),
        tuple(found.get_values_for_type(x509.UniformResourceIdentifier)),
    )


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
