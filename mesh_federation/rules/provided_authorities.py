"""Certificate authorities that the user provides: what istiod would refuse, and what would fail later.

Encrypted values in the stack file cannot be read; everything else is checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from mesh_federation.rules.observed import key_of
from mesh_federation.stack.config import ENCRYPTED, Federation, ProvidedAuthority
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import AuthorityRule, FederationRule
from mesh_federation.stack.text import excerpt

if TYPE_CHECKING:  # cryptography takes longer to load than all other checks together: only where it is needed
    from cryptography.x509 import Certificate


@dataclass(frozen=True)
class _Root:
    """A readable root.

    Attributes:
        path: its key path.
        cluster: the cluster that it belongs to.
        certificate: the root.
    """

    path: str
    cluster: str
    certificate: Certificate


def check(federation: Federation, base: Path) -> Iterator[Problem]:
    """Check every provided authority, including those of a rotation, and compare all roots.

    Args:
        federation: the model.
        base: the folder that paths are relative to.
    """
    every: list[_Root] = []
    for section, provided in _given(federation):
        roots: list[_Root] = []
        for name, authority in provided.items():
            checked = _Authority(f"{section}.provided.{name}", name, authority, base, federation)
            yield from checked.problems()
            if checked.root is not None and checked.is_public_key_read and name in federation.clusters:
                roots.append(_Root(f"{section}.provided.{name}.root", name, checked.root))
        yield from _roots_of_one_mesh(federation, roots)
        every += roots
    yield from _roots_with_equal_subjects(every)
    yield from _roots_of_others(federation, every)


def _given(federation: Federation) -> Iterator[tuple[str, dict[str, ProvidedAuthority]]]:
    """Yield the current and the next provided authorities, with their key paths."""
    trust = federation.trust
    if trust.model == "provided":
        yield "trust", trust.provided
    if trust.rotation and trust.following.model == "provided" and trust.rotation.provided:
        yield "trust.rotation", trust.rotation.provided


def _roots_with_equal_subjects(roots: list[_Root]) -> Iterator[Problem]:
    """Compare each root with the first one of the same subject."""
    by_name: dict[bytes, _Root] = {}
    for root in roots:
        first = by_name.setdefault(root.certificate.subject.public_bytes(), root)
        if first.certificate.public_key() != root.certificate.public_key():
            of = "the roots" if first.cluster == root.cluster else f"the roots of {first.cluster} and {root.cluster}"
            yield Problem(
                root.path,
                AuthorityRule.SAME_ROOT_DN,
                f"{of} both have the subject {root.certificate.subject.rfc4514_string()} but different keys: TLS"
                " libraries look up an issuer by its subject, and without key identifiers the order of the bundle"
                " decides which calls fail",
                "issue one of the roots with another subject",
            )


def _roots_of_others(federation: Federation, roots: list[_Root]) -> Iterator[Problem]:
    """Compare each root with those of meshes that belong to others: an authority is bound to one trust domain."""
    if not (federation.roots_of_others and roots):
        return
    from mesh_federation.stack import key_material

    owners = {key_of(text): name for name, texts in federation.roots_of_others.items() for text in texts}
    for root in roots:
        owner = owners.get(key_material.key_of(root.certificate), root.cluster)
        if owner != root.cluster:
            yield Problem(
                root.path,
                FederationRule.OBSERVED_ROOT,
                f"{owner} has this root too, so it vouches for the identities of {owner} and of {root.cluster}: each"
                " could issue those of the other, and no proxy could tell",
                f"let {root.cluster} sign under a root of its own",
            )


def _roots_of_one_mesh(federation: Federation, roots: list[_Root]) -> Iterator[Problem]:
    """Compare each root with the first one of the same mesh."""
    by_mesh: dict[str, _Root] = {}
    for root in roots:
        mesh = federation.clusters[root.cluster].mesh_id
        peer = by_mesh.setdefault(mesh, root)
        if peer.certificate != root.certificate:
            yield Problem(
                root.path,
                FederationRule.MESH_OF_TWO_ROOTS,
                f"clusters {peer.cluster} and {root.cluster} have the meshID {mesh}, but different roots: workloads"
                " of one mesh need one root",
                "provide the same root for both, or give each cluster its own meshID",
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
        """Say whether the root's public key can be compared."""
        from mesh_federation.stack.certificates import public

        return self.root is not None and public(self.root) is not None

    def problems(self) -> Iterator[Problem]:
        """Yield the problems of this authority."""
        yield from self._found
        from mesh_federation.rules.name_constraints import unreadable
        from mesh_federation.stack.certificates import problems, title

        for key, certificate in self._given():
            if name := unreadable(certificate):
                problem = f"{title(certificate)} contains a name that istiod cannot read: {excerpt(name)}"
                yield Problem(
                    f"{self._path}.{key}",
                    AuthorityRule.PROVIDED_BAD_NAME,
                    problem,
                    "issue it with plain text in all names",
                )
            yield from problems(f"{self._path}.{key}", certificate, is_root=key == "root")
        yield from self._links()
        yield from self._private_key()

    def _given(self) -> Iterator[tuple[str, Certificate]]:
        """Yield each certificate once, with its key in the stack file."""
        if self.certificate is not None and self.certificate != self.root:
            yield "certificate", self.certificate
        yield from (("chain", each) for each in self._chain)
        if self.root is not None:
            yield "root", self.root

    def _single(self, key: str, value: str) -> Certificate | None:
        found = self._several(key, value) or []
        if len(found) > 1:
            reason = "the others belong under `chain`" if key == "certificate" else "a cluster has one root"
            problem = f"the value holds {len(found)} certificates; {reason}"
            self._add(
                key,
                AuthorityRule.PROVIDED_NOT_ONE,
                problem,
                "keep one certificate, and move or remove the others",
            )
        return found[0] if len(found) == 1 else None

    def _several(self, key: str, value: str) -> list[Certificate] | None:
        """Return the certificates of a value; None if they cannot be read."""
        if value == ENCRYPTED:
            return None
        from mesh_federation.stack import key_material

        try:
            return key_material.certificates(key_material.content(value, self._base))
        except key_material.UnusableMaterial as unusable:
            self._found.append(unusable.problem_at(f"{self._path}.{key}"))
            return None

    def _add(self, key: str, rule: str, problem: str, fix: str) -> None:
        self._found.append(Problem(f"{self._path}.{key}", rule, problem, fix))

    def _links(self) -> Iterator[Problem]:
        """The given certificates form a path from the intermediate to the root, and each allows those below it."""
        if self.certificate is None or self.root is None or not self._is_chain_read:
            return
        from mesh_federation.rules import name_constraints
        from mesh_federation.stack import key_material
        from mesh_federation.stack.certificates import allowed_below, identifier_mismatch, title

        found = key_material.path(self.certificate, self._chain, self.root)
        if found[-1] != self.root:
            yield self._broken(found[-1])
            return
        keys = {each: key for key, each in self._given()}
        path_up = [(f"{self._path}.{keys[each]}", each) for each in found]
        for unrelated in (each for each in self._chain if each not in found):
            yield Problem(
                f"{self._path}.chain",
                AuthorityRule.PROVIDED_CHAIN_ASTRAY,
                f"{title(unrelated)} is not on the path from {title(self.certificate)} to the root of {self._name}",
                "remove it, or correct `certificate` or `root`",
            )
        for (path, lower), (_, upper) in pairwise([*path_up, path_up[-1]] if _is_own_issuer(self.root) else path_up):
            if what := identifier_mismatch(lower, upper):
                yield Problem(
                    path,
                    AuthorityRule.PROVIDED_KEY_IDENTIFIER,
                    f"{title(lower)} names {what} for its issuer (authorityKeyIdentifier) than {title(upper)} has:"
                    " istiod starts, but proxies refuse every certificate that it signs",
                    "issue it again with the current issuer, which may have been renewed",
                )
        for below, (path, certificate) in enumerate(path_up):
            allowed = allowed_below(certificate)
            if allowed is not None and allowed < below:
                names = ", ".join(title(each) for _, each in reversed(path_up[:below]))
                yield Problem(
                    path,
                    AuthorityRule.PROVIDED_PATH_LENGTH,
                    f"basicConstraints of {title(certificate)} limit the authorities below it to {allowed} (pathlen),"
                    f" but it has {below}: {names}. Proxies refuse every certificate that the last of them signs",
                    f"issue it without pathlen, or with pathlen:{below} or more",
                )
        if self._name in self._federation.clusters:
            yield from name_constraints.problems(
                path_up, list(name_constraints.names_of_mesh(self._federation, self._name))
            )

    def _broken(self, last: Certificate) -> Problem:
        """Describe where the path to the root ends."""
        from mesh_federation.stack.certificates import title

        assert self.root is not None
        of_that_name = [each for each in (self.root, *self._chain) if each.subject == last.issuer]
        issuer = last.issuer.rfc4514_string()
        reason = f"its issuer is {issuer}"
        if of_that_name:
            reason = f"its issuer has the same subject, {issuer}, but another key: the issuer has been replaced since"
        return Problem(
            f"{self._path}.chain",
            AuthorityRule.PROVIDED_CHAIN_BROKEN,
            f"{title(last)} is not signed by {title(self.root)}, the root of {self._name}, nor by a certificate under"
            f" `chain`: {reason}",
            "add the certificates between `certificate` and `root` to `chain`, or correct `root`",
        )

    def _private_key(self) -> Iterator[Problem]:
        """The private key is readable and belongs to the certificate."""
        if self._key == ENCRYPTED:
            return
        from mesh_federation.stack import key_material
        from mesh_federation.stack.certificates import KEY_FIX, public, title, unsuitable

        path = f"{self._path}.key"
        try:
            key = key_material.private_key(key_material.content(self._key, self._base, shows_path=False)).public_key()
        except key_material.UnusableMaterial as unusable:
            yield unusable.problem_at(path)
            return
        certified = public(self.certificate) if self.certificate is not None else None
        if certified == key:
            return  # a problem with its kind was reported for the certificate
        if reason := unsuitable(key):
            yield Problem(path, AuthorityRule.PROVIDED_KEY_KIND, f"the key is {reason}", KEY_FIX)
        elif self.certificate is not None:
            problem = f"the private key does not belong to {title(self.certificate)}: istiod would refuse to start"
            yield Problem(
                path,
                AuthorityRule.PROVIDED_KEY_MISMATCH,
                problem,
                "provide the key with which that certificate was requested",
            )


def _is_own_issuer(certificate: Certificate) -> bool:
    return certificate.issuer == certificate.subject
