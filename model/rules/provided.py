"""Certificate authorities that the user brings: what istiod would refuse, or accept and then fail with at run time.

Authorities whose texts are encrypted in the stack file are checked as far as they can be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
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
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----")
_KEYS = ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")
"""PKCS#8, PKCS#1 and SEC1: what istiod reads, and in the first block of the text alone (pki/util/crypto.go)."""


@dataclass(frozen=True)
class _Root:
    """A root that could be read.

    Attributes:
        path: where it is declared.
        cluster: whose.
        certificate: itself.
    """

    path: str
    cluster: str
    certificate: Certificate


def check(federation: Federation, base: Path) -> Iterator[Finding]:
    """Check every provided authority, those of a rotation too, and all roots against each other.

    Args:
        federation: the model.
        base: the folder that paths are relative to.
    """
    every: list[_Root] = []
    for place, provided in _given(federation):
        roots: list[_Root] = []
        for name, authority in provided.items():
            checked = _Authority(f"{place}.provided.{name}", name, authority, base)
            yield from checked.findings()
            if checked.root is not None and checked.is_public_key_read and name in federation.clusters:
                roots.append(_Root(f"{place}.provided.{name}.root", name, checked.root))
        yield from _roots_of_one_mesh(federation, roots)
        every += roots
    yield from _namesakes(every)


def _given(federation: Federation) -> Iterator[tuple[str, dict[str, ProvidedAuthority]]]:
    """Return the authorities that are provided, each set once, with its place."""
    trust = federation.trust
    if trust.model == "provided":
        yield "trust", trust.provided
    if trust.rotation and trust.following.model == "provided" and trust.rotation.provided:
        yield "trust.rotation", trust.rotation.provided


def _namesakes(roots: list[_Root]) -> Iterator[Finding]:
    """Compare each root with the first one of the same name."""
    by_name: dict[bytes, _Root] = {}
    for root in roots:
        first = by_name.setdefault(root.certificate.subject.public_bytes(), root)
        if first.certificate.public_key() != root.certificate.public_key():
            of = "the roots" if first.cluster == root.cluster else f"the roots of {first.cluster} and {root.cluster}"
            yield Finding(
                root.path,
                "same-root-dn",
                f"{of} are both called {root.certificate.subject.rfc4514_string()} but have different"
                " keys: TLS libraries look an issuer up by that name, and where no key identifiers tell them apart, the"
                " order of the bundle decides whose calls fail",
                "give one of the roots a subject of its own",
            )


def _roots_of_one_mesh(federation: Federation, roots: list[_Root]) -> Iterator[Finding]:
    """Compare each root with the first one of the same mesh, and of the federation where there may be but one."""
    by_mesh: dict[str, _Root] = {}
    for root in roots:
        mesh = federation.clusters[root.cluster].mesh_id
        peer = by_mesh.setdefault(mesh, root)
        if peer.certificate != root.certificate:
            yield Finding(
                root.path,
                "mesh-of-two-roots",
                f"clusters {peer.cluster} and {root.cluster} have one meshID, {mesh}, but different roots: workloads of"
                " one mesh need one root",
                "provide the same root for both, or give each cluster a meshID of its own",
            )
    if federation.istio.ambient and len({root.certificate for root in roots}) > 1:
        clusters = ", ".join(root.cluster for root in roots)
        yield Finding(
            "istio.ambient",
            "ambient-with-separate-roots",
            f"the clusters {clusters} bring different roots: ztunnel checks peers against its own root only, so every"
            " call to another cluster would be refused",
            "provide intermediates of one root, or use sidecars (ambient: false)",
        )


class _Authority:
    """One authority, read as far as possible."""

    def __init__(self, path: str, name: str, authority: ProvidedAuthority, base: Path) -> None:
        self._path = path
        self._name = name
        self._base = base
        self._found: list[Finding] = []
        self.certificate = self._single("certificate", authority.certificate)
        self.root = self._single("root", authority.root)
        self._chain = self._several("chain", authority.chain)
        self._chain_is_sealed = authority.chain == SEALED
        self._key = authority.key.get_secret_value()

    @property
    def is_public_key_read(self) -> bool:
        """Say whether the root's key is of a kind that can be compared."""
        from model.rules.signing import public

        return self.root is not None and public(self.root) is not None

    def findings(self) -> Iterator[Finding]:
        """All that is wrong with it."""
        yield from self._found
        from model.rules.signing import faults

        for key, certificate in self._way():
            yield from faults(f"{self._path}.{key}", certificate)
        yield from self._links()
        yield from self._private_key()

    def _way(self) -> list[tuple[str, Certificate]]:
        """Each certificate once, with its key in the stack file, from the intermediate to the root."""
        given = [("certificate", self.certificate), *(("chain", each) for each in self._chain)]
        below = [(key, each) for key, each in given if each is not None and each != self.root]
        return [*below, ("root", self.root)] if self.root is not None else below

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
        from cryptography.x509 import DuplicateExtension, load_pem_x509_certificate

        found = []
        for part in text.split(_ONE)[1:]:
            try:
                certificate = load_pem_x509_certificate(f"{_ONE}{part.split(_END)[0]}{_END}\n".encode())
                _ = certificate.subject, certificate.issuer, certificate.extensions  # read when asked for, not before
                found.append(certificate)
            except (ValueError, DuplicateExtension):
                problem = f"certificate {len(found) + 1} in it is damaged: it is no X.509"
                self._find(key, "provided-not-pem", problem, "export it again; copies often lose lines or characters")
                return []
        return found

    def _links(self) -> Iterator[Finding]:
        """Each certificate must be signed by the next - intermediate, chain, root - and allow what is below it."""
        from model.rules.signing import allowed_below, issued, title

        chain_is_read = not self._chain_is_sealed and not any(f.path.endswith(".chain") for f in self._found)
        if self.certificate is None or self.root is None or not chain_is_read:
            return
        way = self._way()
        for (_, lower), (_, upper) in pairwise(way):
            if not issued(lower, upper):
                yield Finding(
                    f"{self._path}.chain",
                    "provided-chain-broken",
                    f"{title(lower)} is not signed by {title(upper)}, the next on the way to the root of {self._name}:"
                    f" its issuer is {lower.issuer.rfc4514_string()}",
                    "put what lies between certificate and root under chain, nearest first, or correct root",
                )
                return
        for below, (key, certificate) in enumerate(way):
            allowed = allowed_below(certificate)
            if allowed is not None and allowed < below:
                names = ", ".join(title(each) for _, each in reversed(way[:below]))
                yield Finding(
                    f"{self._path}.{key}",
                    "provided-path-length",
                    f"basicConstraints of {title(certificate)} say pathlen:{allowed}, and between it and the workloads"
                    f" stand {below}: {names}. Proxies refuse all that the last of them signs",
                    f"issue it without pathlen, or with pathlen:{below} or more",
                )

    def _private_key(self) -> Iterator[Finding]:
        """The key must be readable by istiod, and belong to the certificate."""
        path = f"{self._path}.key"
        before = len(self._found)
        text = self._text("key", self._key)
        block = self._key_block(text) if text is not None else None
        yield from self._found[before:]
        if block is None:
            return
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        from model.rules.signing import KEY_FIX, public, title, unfit

        try:
            key = load_pem_private_key(block.encode(), None).public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm):
            problem = "the value is no PEM private key that can be read"
            yield Finding(path, "provided-bad-key", problem, "give the PEM text of an ECDSA or RSA private key")
            return
        certified = public(self.certificate) if self.certificate is not None else None
        if certified == key:
            return  # what is wrong with its kind was said of the certificate
        if reason := unfit(key):
            yield Finding(path, "provided-key-kind", f"it is {reason}", KEY_FIX)
        elif self.certificate is not None:
            problem = f"the private key does not belong to {title(self.certificate)}: istiod would refuse to start"
            yield Finding(
                path, "provided-key-mismatch", problem, "give the key with which that certificate was requested"
            )

    def _key_block(self, text: str) -> str | None:
        """Return the block that istiod would read; None where that is no private key, or one with a password."""
        if "-----BEGIN ENCRYPTED" in text or "Proc-Type: 4,ENCRYPTED" in text:
            problem = "the private key is encrypted with a password, which istiod cannot enter"
            fix = "decrypt it (openssl pkey), and let `pulumi config set --secret` encrypt it in the stack file"
            self._find("key", "provided-key-encrypted", problem, fix)
            return None
        first = _BLOCK.search(text)
        if first is None or first[1] not in _KEYS:
            problem = "the value is no PEM private key that can be read"
            if first is not None:
                problem = (
                    f"the value begins with {first[1]}: istiod reads the first block alone, and takes a private key"
                )
            self._find(
                "key",
                "provided-bad-key",
                problem,
                "give the PEM text of the private key alone, as openssl pkey writes it",
            )
            return None
        block, end, rest = text[first.start() :].partition(f"-----END {first[1]}-----")
        if rest.strip():
            problem = "there is text after the private key: istiod leaves it out, also where it is another key"
            self._find("key", "provided-trailing-text", problem, f"end it with {end}")
        return f"{block}{end}\n"
