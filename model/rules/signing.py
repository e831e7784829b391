"""What a certificate must be, so that a mesh accepts what it signs.

Two programs decide, and differ: istiod verifies its own certificate when it starts (Istio's security/pkg/pki/util,
which is Go's crypto/x509: of extended key usages it wants serverAuth, or any), and proxies verify every certificate
that it signed since (Envoy's BoringSSL: clientAuth of callers, serverAuth of servers, from every authority above them;
any stands for nothing there). What only proxies refuse is accepted by istiod and fails with the first call.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import (
    BasicConstraints,
    Certificate,
    ExtendedKeyUsage,
    ExtensionNotFound,
    ExtensionType,
    KeyUsage,
    ObjectIdentifier,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from pydantic.alias_generators import to_camel

from model.finding import Finding

KEY_FIX = "issue the authority with an ECDSA key on P-256 or P-384, or an RSA key of 2048 to 4096 bits"
_BITS = range(2048, 4096 + 1)
_CURVES = ("secp256r1", "secp384r1")
_USES = {
    oid: to_camel(name.lower()) for name, oid in vars(ExtendedKeyUsageOID).items() if isinstance(oid, ObjectIdentifier)
}

Extension = TypeVar("Extension", bound=ExtensionType)


def title(certificate: Certificate) -> str:
    """Call a certificate by its subject."""
    return certificate.subject.rfc4514_string() or "a certificate without subject"


def faults(path: str, certificate: Certificate) -> Iterator[Finding]:
    """Say what keeps a certificate from signing for a mesh, now.

    Args:
        path: where it stands in the stack file.
        certificate: of an authority: an intermediate, one of a chain, or a root.
    """
    yield from _lifetime(path, certificate)
    yield from _rights(path, certificate)
    if reason := unfit(public(certificate)):
        yield Finding(path, "provided-key-kind", f"{title(certificate)} has {reason}", KEY_FIX)


def _lifetime(path: str, certificate: Certificate) -> Iterator[Finding]:
    now = datetime.now(UTC)
    if certificate.not_valid_after_utc < now:
        problem = f"{title(certificate)} expired on {certificate.not_valid_after_utc:%Y-%m-%d}: no proxy accepts it"
        yield Finding(path, "provided-expired", problem, "renew it before it is given to a mesh")
    if certificate.not_valid_before_utc > now:
        problem = f"{title(certificate)} is valid from {certificate.not_valid_before_utc:%Y-%m-%d} on, not yet"
        yield Finding(path, "provided-not-yet-valid", problem, "wait, or issue it with an earlier start")


def _rights(path: str, certificate: Certificate) -> Iterator[Finding]:
    subject = title(certificate)
    limits = _extension(certificate, BasicConstraints)
    if limits is None or not limits.ca:
        problem = f"{subject} is no authority (basicConstraints has no CA:TRUE): nothing it signs is accepted"
        yield Finding(path, "provided-not-an-authority", problem, "issue it with basicConstraints CA:TRUE")
        return  # a certificate of something else, whose other extensions are as they should be
    usage = _extension(certificate, KeyUsage)  # without the extension every use is allowed (RFC 5280, 4.2.1.3)
    if usage is not None and not usage.key_cert_sign:
        problem = f"{subject} may not sign certificates (keyUsage lacks keyCertSign): nothing it signs is accepted"
        yield Finding(path, "provided-cannot-sign", problem, "issue it with keyUsage keyCertSign, cRLSign")
    extended = _extension(certificate, ExtendedKeyUsage)
    needed = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
    lacking = [_USES[oid] for oid in needed if extended is not None and oid not in extended]
    if extended is not None and lacking:
        has = ", ".join(_USES.get(oid, oid.dotted_string) for oid in extended)
        problem = (
            f"{subject} may sign for {has} alone (extendedKeyUsage), not for {' and '.join(lacking)}: workloads are"
            " both servers and clients, so istiod or the proxies refuse what it signs"
        )
        fix = "issue it without extendedKeyUsage, or with both serverAuth and clientAuth"
        yield Finding(path, "provided-extended-key-usage", problem, fix)


def unfit(key: object) -> str:
    """Say why a public key is none to build a mesh's trust on; empty where it is one."""
    if isinstance(key, RSAPublicKey):
        if key.key_size in _BITS:
            return ""
        if key.key_size < _BITS.start:
            return f"an RSA key of {key.key_size} bits: whoever breaks so short a key signs any identity"
        return f"an RSA key of {key.key_size} bits: so long a key slows down istiod, and some TLS libraries refuse it"
    if isinstance(key, EllipticCurvePublicKey):
        return "" if key.curve.name in _CURVES else f"an ECDSA key on {key.curve.name}: Istio knows P-256 and P-384"
    kind = type(key).__name__.removesuffix("PublicKey") if key is not None else "one of an unknown kind"
    return f"neither an ECDSA nor an RSA key, but {kind}: Envoy takes no other kind"


def public(certificate: Certificate) -> object | None:
    """Return a certificate's public key; None where it is of a kind that cannot be read."""
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def allowed_below(certificate: Certificate) -> int | None:
    """Return how many authorities may stand between a certificate and a workload's; None where any number may."""
    limits = _extension(certificate, BasicConstraints)
    return limits.path_length if limits is not None else None


def issued(lower: Certificate, upper: Certificate) -> bool:
    """Say whether one certificate is signed by another."""
    try:
        lower.verify_directly_issued_by(upper)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _extension(certificate: Certificate, kind: type[Extension]) -> Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except ExtensionNotFound:
        return None
