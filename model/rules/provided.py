"""Certificate authorities that the user brings: what istiod would refuse, or accept and then fail with at run time.

Authorities whose texts are encrypted in the stack file are checked as far as they can be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from model.config import Federation, ProvidedAuthority
from model.finding import Finding

if TYPE_CHECKING:  # cryptography takes longer to load than all other checks together: only where it is needed
    from cryptography.x509 import Certificate

SEALED = "[secret]"
"""Stands for a value that only the engine can decrypt."""

_BEGIN = "-----BEGIN "
_ONE = "-----BEGIN CERTIFICATE-----"
_END = "-----END CERTIFICATE-----"


def check(federation: Federation, base: Path) -> Iterator[Finding]:
    """Check every provided authority, and all roots against each other.

    Args:
        federation: the model.
        base: the folder that paths are relative to.
    """
    if federation.trust.model != "provided":
        return
    roots: dict[str, Certificate] = {}
    for name, authority in federation.trust.provided.items():
        checked = _Authority(name, authority, base)
        yield from checked.findings()
        if checked.root is not None and name in federation.clusters:
            roots[name] = checked.root
    yield from _roots(federation, roots)


def _roots(federation: Federation, roots: dict[str, Certificate]) -> Iterator[Finding]:
    """Compare each root with the first one of the same name, mesh or federation."""
    by_name: dict[bytes, str] = {}
    by_mesh: dict[str, str] = {}
    for name, root in roots.items():
        path = f"trust.provided.{name}.root"
        first = by_name.setdefault(root.subject.public_bytes(), name)
        if roots[first].public_key() != root.public_key():
            yield Finding(
                path,
                "same-root-dn",
                f"the roots of {first} and {name} are both called {root.subject.rfc4514_string()} but have different"
                " keys: TLS libraries look an issuer up by that name and may try the wrong one",
                "give one of the roots a subject of its own",
            )
        mesh = federation.clusters[name].mesh_id
        peer = by_mesh.setdefault(mesh, name)
        if roots[peer] != root:
            yield Finding(
                path,
                "mesh-of-two-roots",
                f"clusters {peer} and {name} have one meshID, {mesh}, but different roots: workloads of one mesh need"
                " one root",
                "provide the same root for both, or give each cluster a meshID of its own",
            )
    if federation.istio.ambient and len(set(roots.values())) > 1:
        yield Finding(
            "istio.ambient",
            "ambient-with-separate-roots",
            f"the clusters {', '.join(roots)} bring different roots: ztunnel checks peers against its own root only, so"
            " every call to another cluster would be refused",
            "provide intermediates of one root, or use sidecars (ambient: false)",
        )


class _Authority:
    """One authority, read as far as possible."""

    def __init__(self, name: str, authority: ProvidedAuthority, base: Path) -> None:
        self._path = f"trust.provided.{name}"
        self._name = name
        self._base = base
        self._found: list[Finding] = []
        self.certificate = self._single("certificate", authority.certificate)
        self.root = self._single("root", authority.root)
        self._chain = self._several("chain", authority.chain)
        self._key = authority.key.get_secret_value()

    def findings(self) -> Iterator[Finding]:
        """All that is wrong with it."""
        yield from self._found
        for key, certificate in (("certificate", self.certificate), ("root", self.root)):
            if certificate is not None:
                yield from self._signs(key, certificate)
        yield from self._links()
        yield from self._private_key()

    def _text(self, key: str, value: str) -> str | None:
        """Return PEM text, read from its file where the value is a path; None where that is impossible."""
        if value == SEALED:
            return None
        if _BEGIN in value:
            return value
        if "\n" in value or not value.strip() or "\0" in value:
            problem = "the value is neither PEM text nor the path of a file"
            self._find(key, "provided-not-pem", problem, f"start it with {_BEGIN}...")
            return None
        try:
            return (self._base / value).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not text; DER must be converted to PEM"
            shown = "the file given" if key == "key" else f"the file {value[:100]}"
            fix = "correct the path, which is relative to the stack file, or paste the PEM text itself"
            self._find(key, "provided-file", f"{shown} cannot be read: {reason}", fix)
            return None

    def _find(self, key: str, rule: str, problem: str, fix: str) -> None:
        self._found.append(Finding(f"{self._path}.{key}", rule, problem, fix))

    def _single(self, key: str, value: str) -> Certificate | None:
        found = self._several(key, value, required=True)
        if len(found) > 1:
            place = "the others belong under `chain`" if key == "certificate" else "a cluster has one root"
            problem = f"there are {len(found)} certificates; {place}"
            self._find(key, "provided-not-one", problem, "keep the first that is meant, and move or remove the rest")
        return found[0] if len(found) == 1 else None

    def _several(self, key: str, value: str, required: bool = False) -> list[Certificate]:
        text = self._text(key, value) if value or required else None
        if text is None:
            return []
        if _ONE not in text:
            problem = "there is no certificate in it"
            if "PRIVATE KEY" in text:
                problem = "it holds a private key, not a certificate"
            self._find(key, "provided-not-pem", problem, f"give a PEM certificate: {_ONE} ...")
            return []
        if text.rpartition(_END)[2].strip():
            problem = "there is text after the last certificate, at which TLS libraries may stop"
            self._find(key, "provided-trailing-text", problem, f"end it with {_END}")
        return self._parsed(key, text)

    def _parsed(self, key: str, text: str) -> list[Certificate]:
        from cryptography.x509 import load_pem_x509_certificate

        found = []
        for part in text.split(_ONE)[1:]:
            try:
                found.append(load_pem_x509_certificate(f"{_ONE}{part.split(_END)[0]}{_END}\n".encode()))
            except ValueError:
                problem = f"certificate {len(found) + 1} in it is damaged: it is no X.509"
                self._find(key, "provided-not-pem", problem, "export it again; copies often lose lines or characters")
                return []
        return found

    def _signs(self, key: str, certificate: Certificate) -> Iterator[Finding]:
        """A certificate authority must be allowed to sign, now."""
        from cryptography.x509 import BasicConstraints, ExtensionNotFound, KeyUsage

        path = f"{self._path}.{key}"
        subject = certificate.subject.rfc4514_string()
        now = datetime.now(UTC)
        if certificate.not_valid_after_utc < now:
            problem = f"{subject} expired on {certificate.not_valid_after_utc:%Y-%m-%d}: no proxy accepts it"
            yield Finding(path, "provided-expired", problem, "renew it before it is given to a mesh")
        if certificate.not_valid_before_utc > now:
            problem = f"{subject} is valid from {certificate.not_valid_before_utc:%Y-%m-%d} on, not yet"
            yield Finding(path, "provided-not-yet-valid", problem, "wait, or issue it with an earlier start")
        try:
            is_authority = certificate.extensions.get_extension_for_class(BasicConstraints).value.ca
        except ExtensionNotFound:
            is_authority = False
        if not is_authority:
            problem = f"{subject} is no authority (basicConstraints has no CA:TRUE): nothing it signs is accepted"
            yield Finding(path, "provided-not-an-authority", problem, "issue it with basicConstraints CA:TRUE")
            return
        try:
            may_sign = certificate.extensions.get_extension_for_class(KeyUsage).value.key_cert_sign
        except ExtensionNotFound:
            may_sign = True  # without the extension every use is allowed (RFC 5280, 4.2.1.3)
        if not may_sign:
            problem = f"{subject} may not sign certificates (keyUsage lacks keyCertSign): nothing it signs is accepted"
            yield Finding(path, "provided-cannot-sign", problem, "issue it with keyUsage keyCertSign, cRLSign")

    def _links(self) -> Iterator[Finding]:
        """Each certificate must be signed by the next: intermediate, chain, root."""
        if self.certificate is None or self.root is None or any(f.path.endswith(".chain") for f in self._found):
            return
        path = [*(c for c in (self.certificate, *self._chain) if c != self.root), self.root]
        for lower, upper in zip(path, path[1:], strict=False):
            if not _issued(lower, upper):
                yield Finding(
                    f"{self._path}.chain",
                    "provided-chain-broken",
                    f"{lower.subject.rfc4514_string()} is not signed by {upper.subject.rfc4514_string()}, the next on"
                    f" the way to the root of {self._name}: its issuer is {lower.issuer.rfc4514_string()}",
                    "put what lies between certificate and root under chain, nearest first, or correct root",
                )
                return

    def _private_key(self) -> Iterator[Finding]:
        """The key must be readable and belong to the certificate."""
        path = f"{self._path}.key"
        before = len(self._found)
        text = self._text("key", self._key)
        yield from self._found[before:]
        if text is None:
            return
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(text.encode(), None)
        except TypeError:
            problem = "the private key is encrypted with a password, which istiod cannot enter"
            fix = "decrypt it (openssl pkey), and let `pulumi config set --secret` encrypt it in the stack file"
            yield Finding(path, "provided-key-encrypted", problem, fix)
            return
        except (ValueError, UnsupportedAlgorithm):
            problem = "the value is no PEM private key that can be read"
            yield Finding(path, "provided-bad-key", problem, "give the PEM text of an ECDSA or RSA private key")
            return
        if not isinstance(key, EllipticCurvePrivateKey | RSAPrivateKey):
            problem = "the private key is neither ECDSA nor RSA; Envoy takes no other kind"
            yield Finding(path, "provided-bad-key", problem, "issue the authority with an ECDSA (P-256) or RSA key")
        elif self.certificate is not None and key.public_key() != self.certificate.public_key():
            subject = self.certificate.subject.rfc4514_string()
            problem = f"the private key does not belong to {subject}: istiod would refuse to start"
            yield Finding(
                path, "provided-key-mismatch", problem, "give the key with which that certificate was requested"
            )


def _issued(lower: Certificate, upper: Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        lower.verify_directly_issued_by(upper)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True
