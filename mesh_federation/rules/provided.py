"""Certificate authorities that the user brings: what istiod would refuse, or accept and then fail with at run time.

Authorities whose texts are encrypted in the stack file are checked as far as they can be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from mesh_federation.stack.config import Federation, ProvidedAuthority
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import AuthorityRule, FederationRule
from mesh_federation.stack.text import excerpt

if TYPE_CHECKING:  # cryptography takes longer to load than all other checks together: only where it is needed
    from cryptography.x509 import Certificate

SEALED = "[secret]"
"""Stands for a value that only the engine can decrypt."""


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


def check(federation: Federation, base: Path) -> Iterator[Problem]:
    """Check every provided authority, those of a rotation too, and all roots against each other.

    Args:
        federation: the model.
        base: the folder that paths are relative to.
    """
    every: list[_Root] = []
    for place, provided in _given(federation):
        roots: list[_Root] = []
        for name, authority in provided.items():
            checked = _Authority(f"{place}.provided.{name}", name, authority, base, federation)
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


def _namesakes(roots: list[_Root]) -> Iterator[Problem]:
    """Compare each root with the first one of the same name."""
    by_name: dict[bytes, _Root] = {}
    for root in roots:
        first = by_name.setdefault(root.certificate.subject.public_bytes(), root)
        if first.certificate.public_key() != root.certificate.public_key():
            of = "the roots" if first.cluster == root.cluster else f"the roots of {first.cluster} and {root.cluster}"
            yield Problem(
                root.path,
                AuthorityRule.SAME_ROOT_DN,
                f"{of} are both called {root.certificate.subject.rfc4514_string()} but have different"
                " keys: TLS libraries look an issuer up by that name, and where no key identifiers tell them apart, the"
                " order of the bundle decides whose calls fail",
                "give one of the roots a subject of its own",
            )


def _roots_of_one_mesh(federation: Federation, roots: list[_Root]) -> Iterator[Problem]:
    """Compare each root with the first one of the same mesh, and of the federation where there may be but one."""
    by_mesh: dict[str, _Root] = {}
    for root in roots:
        mesh = federation.clusters[root.cluster].mesh_id
        peer = by_mesh.setdefault(mesh, root)
        if peer.certificate != root.certificate:
            yield Problem(
                root.path,
                FederationRule.MESH_OF_TWO_ROOTS,
                f"clusters {peer.cluster} and {root.cluster} have one meshID, {mesh}, but different roots: workloads of"
                " one mesh need one root",
                "provide the same root for both, or give each cluster a meshID of its own",
            )


class _Authority:
    """One authority, read as far as possible."""

    def __init__(self, path: str, name: str, authority: ProvidedAuthority, base: Path, federation: Federation) -> None:
        self._path = path
        self._name = name
        self._base = base
        self._federation = federation
        self._found: list[Problem] = []
        self.certificate = self._single("certificate", authority.certificate)
        self.root = self._single("root", authority.root)
        chain = self._several("chain", authority.chain) if authority.chain else []
        self._is_chain_read = chain is not None
        self._chain = [each for each in chain or [] if each not in (self.certificate, self.root)]
        self._key = authority.key.get_secret_value()

    @property
    def is_public_key_read(self) -> bool:
        """Say whether the root's key is of a kind that can be compared."""
        from mesh_federation.stack.certificates import public

        return self.root is not None and public(self.root) is not None

    def findings(self) -> Iterator[Problem]:
        """All that is wrong with it."""
        yield from self._found
        from mesh_federation.rules.constraints import unreadable
        from mesh_federation.stack.certificates import faults, title

        for key, certificate in self._given():
            if name := unreadable(certificate):
                problem = f"{title(certificate)} has a name that istiod refuses to read: {excerpt(name)}"
                yield Problem(
                    f"{self._path}.{key}", AuthorityRule.PROVIDED_BAD_NAME, problem, "issue it with names of plain text"
                )
            yield from faults(f"{self._path}.{key}", certificate, is_root=key == "root")
        yield from self._links()
        yield from self._private_key()

    def _given(self) -> Iterator[tuple[str, Certificate]]:
        """Each certificate once, with its key in the stack file."""
        if self.certificate is not None and self.certificate != self.root:
            yield "certificate", self.certificate
        yield from (("chain", each) for each in self._chain)
        if self.root is not None:
            yield "root", self.root

    def _single(self, key: str, value: str) -> Certificate | None:
        found = self._several(key, value) or []
        if len(found) > 1:
            place = "the others belong under `chain`" if key == "certificate" else "a cluster has one root"
            problem = f"there are {len(found)} certificates; {place}"
            self._find(
                key,
                AuthorityRule.PROVIDED_NOT_ONE,
                problem,
                "keep the first that is meant, and move or remove the rest",
            )
        return found[0] if len(found) == 1 else None

    def _several(self, key: str, value: str) -> list[Certificate] | None:
        """Return the certificates that a value stands for; None where they cannot be read."""
        if value == SEALED:
            return None
        from mesh_federation.stack import key_material

        try:
            return key_material.certificates(key_material.content(value, self._base))
        except key_material.Unfit as unfit:
            self._found.append(unfit.at(f"{self._path}.{key}"))
            return None

    def _find(self, key: str, rule: str, problem: str, fix: str) -> None:
        self._found.append(Problem(f"{self._path}.{key}", rule, problem, fix))

    def _links(self) -> Iterator[Problem]:
        """Some way must lead from the intermediate to the root, with everything on it, and allow what is below."""
        if self.certificate is None or self.root is None or not self._is_chain_read:
            return
        from mesh_federation.rules import constraints
        from mesh_federation.stack import key_material
        from mesh_federation.stack.certificates import allowed_below, misnamed, title

        found = key_material.path(self.certificate, self._chain, self.root)
        if found[-1] != self.root:
            yield self._broken(found[-1])
            return
        keys = {each: key for key, each in self._given()}
        way = [(f"{self._path}.{keys[each]}", each) for each in found]
        for astray in (each for each in self._chain if each not in found):
            yield Problem(
                f"{self._path}.chain",
                AuthorityRule.PROVIDED_CHAIN_ASTRAY,
                f"{title(astray)} does not lie on the way from {title(self.certificate)} to the root of {self._name}",
                "remove it, or correct certificate or root",
            )
        for (path, lower), (_, upper) in pairwise([*way, way[-1]] if _is_own_issuer(self.root) else way):
            if what := misnamed(lower, upper):
                yield Problem(
                    path,
                    AuthorityRule.PROVIDED_KEY_IDENTIFIER,
                    f"{title(lower)} names {what} for its issuer (authorityKeyIdentifier) than {title(upper)} has:"
                    " istiod starts, and proxies refuse all that it signs",
                    "issue it anew under the issuer as it is now: a renewed one may have changed",
                )
        for below, (path, certificate) in enumerate(way):
            allowed = allowed_below(certificate)
            if allowed is not None and allowed < below:
                names = ", ".join(title(each) for _, each in reversed(way[:below]))
                yield Problem(
                    path,
                    AuthorityRule.PROVIDED_PATH_LENGTH,
                    f"basicConstraints of {title(certificate)} say pathlen:{allowed}, and between it and the workloads"
                    f" stand {below}: {names}. Proxies refuse all that the last of them signs",
                    f"issue it without pathlen, or with pathlen:{below} or more",
                )
        if self._name in self._federation.clusters:
            yield from constraints.faults(way, list(constraints.of_mesh(self._federation, self._name)))

    def _broken(self, last: Certificate) -> Problem:
        """Say where the way to the root ends."""
        from mesh_federation.stack.certificates import title

        assert self.root is not None
        of_that_name = [each for each in (self.root, *self._chain) if each.subject == last.issuer]
        issuer = last.issuer.rfc4514_string()
        told = f"its issuer is {issuer}"
        if of_that_name:
            told = f"its issuer is called {issuer} too, and has another key: the issuer was made anew since"
        return Problem(
            f"{self._path}.chain",
            AuthorityRule.PROVIDED_CHAIN_BROKEN,
            f"{title(last)} is not signed by {title(self.root)}, the root of {self._name}, or by a certificate under"
            f" chain: {told}",
            "put what lies between certificate and root under chain, or correct root",
        )

    def _private_key(self) -> Iterator[Problem]:
        """The key must be readable, and belong to the certificate."""
        if self._key == SEALED:
            return
        from mesh_federation.stack import key_material
        from mesh_federation.stack.certificates import KEY_FIX, public, title, unfit

        path = f"{self._path}.key"
        try:
            key = key_material.private_key(key_material.content(self._key, self._base, shows_path=False)).public_key()
        except key_material.Unfit as why:
            yield why.at(path)
            return
        certified = public(self.certificate) if self.certificate is not None else None
        if certified == key:
            return  # what is wrong with its kind was said of the certificate
        if reason := unfit(key):
            yield Problem(path, AuthorityRule.PROVIDED_KEY_KIND, f"it is {reason}", KEY_FIX)
        elif self.certificate is not None:
            problem = f"the private key does not belong to {title(self.certificate)}: istiod would refuse to start"
            yield Problem(
                path,
                AuthorityRule.PROVIDED_KEY_MISMATCH,
                problem,
                "give the key with which that certificate was requested",
            )


def _is_own_issuer(certificate: Certificate) -> bool:
    return certificate.issuer == certificate.subject
