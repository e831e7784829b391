"""Checks of a certificate authority: whether a mesh accepts the certificates that it signs.

Two programs verify it, and differ. Istiod verifies its own certificate at start (Istio's security/pkg/pki/util, with
Go's crypto/x509, which accepts the extended key usages serverAuth or any). Proxies verify every certificate that istiod
signs (Envoy, with BoringSSL: clientAuth for callers and serverAuth for servers in every authority above; any does not
count). So istiod accepts what only proxies refuse, and the first call fails.
tests/engine/conformance/test_go_verification.py compares these checks with Go.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PSS
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import (
    AuthorityKeyIdentifier,
    BasicConstraints,
    Certificate,
    DirectoryName,
    ExtendedKeyUsage,
    ExtensionNotFound,
    ExtensionType,
    KeyUsage,
    Name,
    ObjectIdentifier,
    PolicyConstraints,
    SubjectKeyIdentifier,
    Version,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from cryptography.x509.oid import SignatureAlgorithmOID as Algorithm
from pydantic.alias_generators import to_camel

from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import AuthorityRule
from mesh_federation.stack.text import excerpt

KEY_FIX = "issue the authority with an ECDSA key on P-256 or P-384, or an RSA key of 2048 to 4096 bits"
LONGEST_TITLE = 120
"""Characters of a subject that messages show: partners choose those of their roots."""
_BITS = range(2048, 4096 + 1)
_CURVES = ("secp256r1", "secp384r1")
_SHA2 = ("sha256", "sha384", "sha512")
_SIGNATURES = {
    *(Algorithm.RSA_WITH_SHA256, Algorithm.RSA_WITH_SHA384, Algorithm.RSA_WITH_SHA512, Algorithm.RSASSA_PSS),
    *(Algorithm.ECDSA_WITH_SHA256, Algorithm.ECDSA_WITH_SHA384, Algorithm.ECDSA_WITH_SHA512),
    Algorithm.ED25519,  # keys of that kind are refused by `unsuitable`
}
"""Signature algorithms that istiod can verify."""
_UNDERSTOOD = {
    *(ExtensionOID.KEY_USAGE, ExtensionOID.SUBJECT_ALTERNATIVE_NAME, ExtensionOID.BASIC_CONSTRAINTS),
    *(ExtensionOID.CERTIFICATE_POLICIES, ExtensionOID.EXTENDED_KEY_USAGE, ExtensionOID.POLICY_CONSTRAINTS),
    *(ExtensionOID.NAME_CONSTRAINTS, ExtensionOID.POLICY_MAPPINGS, ExtensionOID.INHIBIT_ANY_POLICY),
}
"""Extensions that may be critical: those that BoringSSL supports (X509_supported_extension), and Go as well."""


def _names(of: type) -> dict[ObjectIdentifier, str]:
    known = {oid: name for name, oid in vars(of).items() if isinstance(oid, ObjectIdentifier) and name[0] != "_"}
    return {oid: to_camel(name.lower()) for oid, name in known.items()}


_USES = _names(ExtendedKeyUsageOID)

Extension = TypeVar("Extension", bound=ExtensionType)


def title(certificate: Certificate) -> str:
    """Return the subject of a certificate, by which messages refer to it."""
    return distinguished_name(certificate.subject) or "a certificate without subject"


def distinguished_name(name: Name) -> str:
    """Write the name of an authority for a message; empty if it has none."""
    return excerpt(name.rfc4514_string(), LONGEST_TITLE)


def problems(path: str, certificate: Certificate, is_root: bool) -> Iterator[Problem]:
    """Yield the problems that prevent a certificate from signing for a mesh now.

    Args:
        path: its key path in the stack file.
        certificate: an intermediate or a root.
        is_root: whether it is the root that the cluster trusts.
    """
    yield from _lifetime(path, certificate)
    yield from _rights(path, certificate)
    yield from _form(path, certificate)
    yield from _signature(path, certificate, is_root)
    if reason := unsuitable(public(certificate)):
        yield Problem(path, AuthorityRule.PROVIDED_KEY_KIND, f"{title(certificate)} has {reason}", KEY_FIX)


def problems_of_anchor(path: str, certificate: Certificate) -> Iterator[Problem]:
    """Yield the problems that prevent the root of a mesh of others from vouching for it at proxies now.

    Proxies take keys that istiod does not, and roots of version 1, which have no extensions.
    """
    yield from _lifetime(path, certificate)
    if certificate.version is not Version.v1:
        yield from _rights(path, certificate)
    yield from _form(path, certificate)
    yield from _signature(path, certificate, is_root=True)
    key = public(certificate)
    if key is None or (isinstance(key, RSAPublicKey) and key.key_size < _BITS.start):
        yield Problem(path, AuthorityRule.PROVIDED_KEY_KIND, f"{title(certificate)} has {unsuitable(key)}", KEY_FIX)


def _lifetime(path: str, certificate: Certificate) -> Iterator[Problem]:
    now = datetime.now(UTC)
    if certificate.not_valid_after_utc < now:
        problem = f"{title(certificate)} expired on {certificate.not_valid_after_utc:%Y-%m-%d}, so no proxy accepts it"
        yield Problem(path, AuthorityRule.PROVIDED_EXPIRED, problem, "renew it")
    if certificate.not_valid_before_utc > now:
        problem = f"{title(certificate)} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}"
        yield Problem(
            path, AuthorityRule.PROVIDED_NOT_YET_VALID, problem, "wait, or issue it with an earlier start date"
        )


def _rights(path: str, certificate: Certificate) -> Iterator[Problem]:
    subject = title(certificate)
    limits = _extension(certificate, BasicConstraints)
    if limits is None or not limits.ca:
        problem = (
            f"{subject} is not a CA certificate (basicConstraints without CA:TRUE), so nothing it signs is accepted"
        )
        yield Problem(path, AuthorityRule.PROVIDED_NOT_AN_AUTHORITY, problem, "issue it with basicConstraints CA:TRUE")
        return  # a server or client certificate, whose other extensions may be correct
    usage = _extension(certificate, KeyUsage)  # without the extension every use is allowed (RFC 5280, 4.2.1.3)
    if usage is not None and not usage.key_cert_sign:
        problem = f"{subject} may not sign certificates (keyUsage without keyCertSign), so nothing it signs is accepted"
        yield Problem(path, AuthorityRule.PROVIDED_CANNOT_SIGN, problem, "issue it with keyUsage keyCertSign, cRLSign")
    extended = _extension(certificate, ExtendedKeyUsage)
    needed = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
    lacking = [_USES[oid] for oid in needed if extended is not None and oid not in extended]
    if extended is not None and lacking:
        has = ", ".join(_USES.get(oid, oid.dotted_string) for oid in extended)
        problem = (
            f"{subject} may sign only for {has} (extendedKeyUsage), not for {' and '.join(lacking)}: workloads are both"
            " servers and clients, so istiod or the proxies refuse what it signs"
        )
        fix = "issue it without extendedKeyUsage, or with both serverAuth and clientAuth"
        yield Problem(path, AuthorityRule.PROVIDED_EXTENDED_KEY_USAGE, problem, fix)


def _form(path: str, certificate: Certificate) -> Iterator[Problem]:
    """Certificates that Python reads, but Go or BoringSSL refuse."""
    subject = title(certificate)
    fix = "issue it again with a program that follows RFC 5280, such as openssl"
    inner, outer = _algorithms(certificate)
    if inner != outer:
        problem = (
            f"{subject} names one signature algorithm in its signed part and another one outside of it, so no program"
            " of the mesh reads it"
        )
        yield Problem(path, AuthorityRule.PROVIDED_ALGORITHMS_DIFFER, problem, fix)
    key = public(certificate)
    if isinstance(key, EllipticCurvePublicKey | RSAPublicKey):
        usual = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if usual not in certificate.tbs_certificate_bytes:
            problem = (
                f"the public key of {subject} is written in an unusual form (a compressed point, or bound to"
                " RSASSA-PSS), which istiod cannot read"
            )
            yield Problem(path, AuthorityRule.PROVIDED_KEY_FORM, problem, fix)
    critical = [each.oid for each in certificate.extensions if each.critical and each.oid not in _UNDERSTOOD]
    if critical:
        names = _names(ExtensionOID)
        shown = ", ".join(names.get(oid, oid.dotted_string) for oid in critical)
        problem = f"{subject} has the critical extension {shown}, which istiod or the proxies do not support"
        yield Problem(
            path,
            AuthorityRule.PROVIDED_CRITICAL_EXTENSION,
            problem,
            "issue it without this extension, or with a non-critical one",
        )
    policies = _extension(certificate, PolicyConstraints)
    if policies is not None and policies.require_explicit_policy is not None:
        problem = (
            f"{subject} requires a policy in every certificate below it (policyConstraints requireExplicitPolicy), but"
            " istiod signs without policies, so nothing it signs is accepted"
        )
        yield Problem(path, AuthorityRule.PROVIDED_POLICY, problem, "issue it without policyConstraints")


def _algorithms(certificate: Certificate) -> tuple[bytes, bytes]:
    """Return the DER of the two places in which a certificate names its signature algorithm."""
    signed, whole = certificate.tbs_certificate_bytes, certificate.public_bytes(Encoding.DER)
    outer = whole[whole.index(signed) + len(signed) :]
    inner, _ = _split(signed)
    if inner[0] == 0xA0:  # the version, which v1 certificates do not have
        inner = inner[_length(inner) :]
    inner = inner[_length(inner) :]  # the serial number
    return inner[: _length(inner)], outer[: _length(outer)]


def _split(element: bytes) -> tuple[bytes, bytes]:
    """Split DER into the content of its first element and the rest."""
    return element[_head(element) : _length(element)], element[_length(element) :]


def _head(element: bytes) -> int:
    return 2 + (element[1] & 0x7F if element[1] & 0x80 else 0)


def _length(element: bytes) -> int:
    """Return the length of the first element of DER, including its header."""
    head = _head(element)
    return head + (int.from_bytes(element[2:head]) if head > 2 else element[1])


def _signature(path: str, certificate: Certificate, is_root: bool) -> Iterator[Problem]:
    """Istiod can verify the signature. Nobody verifies that of a root, so it is verified here."""
    subject = title(certificate)
    if not (is_root and certificate.issuer == certificate.subject):
        if reason := _unverifiable(certificate):
            problem = f"{subject} is signed with {reason}, which Go does not verify, so istiod refuses to start"
            fix = "issue it again with SHA-256; some programs, such as LibreSSL, use SHA-1 by default"
            yield Problem(path, AuthorityRule.PROVIDED_SIGNATURE_ALGORITHM, problem, fix)
    elif not _unverifiable(certificate) and not issued(certificate, certificate):
        problem = f"the self-signature of the root {subject} is wrong: the certificate was damaged or changed"
        yield Problem(
            path,
            AuthorityRule.PROVIDED_ROOT_DAMAGED,
            problem,
            "get it again from the place where its authority publishes it",
        )


def _unverifiable(certificate: Certificate) -> str:
    """Return the algorithm of a signature that Go does not verify; empty if Go verifies it."""
    oid = certificate.signature_algorithm_oid
    if oid not in _SIGNATURES:
        known = {each: name for name, each in vars(Algorithm).items() if isinstance(each, ObjectIdentifier)}
        return known.get(oid, oid.dotted_string).lstrip("_").replace("_WITH_SHA", " and SHA-").replace("_", " ")
    parameters = certificate.signature_algorithm_parameters
    if isinstance(parameters, PSS):
        digest = certificate.signature_hash_algorithm
        size = digest.digest_size if digest is not None and digest.name in _SHA2 else None
        if parameters._salt_length != size:
            return "RSASSA-PSS and an unusual hash or salt"
    return ""


def unsuitable(key: object) -> str:
    """Say why a public key is unsuitable for the authority of a mesh; empty if it is suitable."""
    if isinstance(key, RSAPublicKey):
        if key.key_size in _BITS:
            return ""
        if key.key_size < _BITS.start:
            return f"an RSA key of {key.key_size} bits: an attacker who breaks so short a key can sign any identity"
        return f"an RSA key of {key.key_size} bits: so long a key slows istiod down, and some TLS libraries refuse it"
    if isinstance(key, EllipticCurvePublicKey):
        return "" if key.curve.name in _CURVES else f"an ECDSA key on {key.curve.name}: Istio supports P-256 and P-384"
    kind = type(key).__name__.removesuffix("PublicKey") if key is not None else "one of an unknown kind"
    return f"neither an ECDSA nor an RSA key, but {kind}, which Envoy does not support"


def public(certificate: Certificate) -> object | None:
    """Return a certificate's public key; None if it cannot be read."""
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def allowed_below(certificate: Certificate) -> int | None:
    """Return how many authorities may be below a certificate; None if there is no limit."""
    limits = _extension(certificate, BasicConstraints)
    return limits.path_length if limits is not None else None


def issued(lower: Certificate, upper: Certificate) -> bool:
    """Say whether one certificate is signed by another.

    If nothing can verify the signature, names decide; `problems` refuses such a certificate in any case.
    """
    if lower.issuer != upper.subject:
        return False
    inner, outer = _algorithms(lower)
    if inner != outer or _unverifiable(lower):
        return True
    try:
        lower.verify_directly_issued_by(upper)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def identifier_mismatch(lower: Certificate, upper: Certificate) -> str:
    """Say why proxies do not accept one certificate as the issuer of another (BoringSSL, X509_check_akid)."""
    said = _extension(lower, AuthorityKeyIdentifier)
    if said is None:
        return ""
    has = _extension(upper, SubjectKeyIdentifier)
    if has is not None and said.key_identifier not in (None, has.digest):
        return "another key identifier"
    if said.authority_cert_serial_number not in (None, upper.serial_number):
        return "another serial number"
    issuers = [each.value for each in said.authority_cert_issuer or [] if isinstance(each, DirectoryName)]
    return "another issuer" if issuers and issuers[0] != upper.issuer else ""


def _extension(certificate: Certificate, kind: type[Extension]) -> Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except ExtensionNotFound:
        return None
