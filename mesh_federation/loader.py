"""Loads a stack file, or the configuration that Pulumi read from it, as a Federation that satisfies all rules."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr, ValidationError

from mesh_federation import rules
from mesh_federation.stack import card, fleet, observed, stack_file, validation
from mesh_federation.stack.card import with_partners
from mesh_federation.stack.config import ENCRYPTED, Cluster, Federation, ProvidedAuthority
from mesh_federation.stack.member import reduced
from mesh_federation.stack.overlay import additions, load, nulls, without
from mesh_federation.stack.problem import InvalidModel, Problem
from mesh_federation.stack.rule_ids import FederationRule, FormRule
from mesh_federation.stack.stack_file import KEY
from mesh_federation.stack.text import escape_unprintable, excerpt, key_path, kind_of, nearest
from mesh_federation.stack.tree import Tree, lacking, leaves, merged

if TYPE_CHECKING:  # cryptography takes longer to load than all checks together: only where it is needed
    from cryptography.x509 import Certificate

AUTHORITIES = (("trust", "provided"), ("trust", "rotation", "provided"))
"""The key paths of provided authorities, whose values may be encrypted."""


@dataclass(frozen=True)
class Layered:
    """An unchecked federation: a stack file, over its fleet and what was observed of meshes, and under an overlay.

    Attributes:
        tree: the federation.
        stack_file: name of the stack file.
        others: of each other file its name, and the key paths of the values that only it sets.
        problems: problems of the files themselves.
        fleet: name of the file of the stack's fleet, which declares what no file sets; empty if it is no member.
        own: key paths of the values that the stack file of a member sets.
    """

    tree: object
    stack_file: str
    others: Mapping[str, frozenset[str]]
    problems: tuple[Problem, ...] = ()
    fleet: str = ""
    own: frozenset[str] = frozenset()

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Add the problems of the files to those that the block raises, and name the file of each problem.

        Raises:
            InvalidModel: with all problems; those of the stack file come first.
        """
        raised: tuple[Problem, ...] = ()
        try:
            yield
        except InvalidModel as invalid:
            raised = invalid.problems
        if problems := rules.ordered([*self.problems, *raised]):
            found: dict[str, list[Problem]] = {self.stack_file: [], **{name: [] for name in self.others}}
            for problem in problems:
                found[self._file_of(problem)].append(problem)
            raise _invalid(found)

    def _file_of(self, problem: Problem) -> str:
        ends = [part.start() for part in re.finditer(r"[.[]|$", problem.where)]
        above = {problem.where[:end] for end in ends}
        rest = self.fleet if self.fleet and not above & self.own else self.stack_file
        return next((name for name, paths in self.others.items() if above & paths), rest)


def _invalid(found: Mapping[str, Iterable[Problem]]) -> InvalidModel:
    """Name the file of each problem if there are several files.

    Args:
        found: problems by file, those of the stack file first.
    """
    if len(found) == 1:
        return InvalidModel(tuple(problem for problems in found.values() for problem in problems))
    return InvalidModel(tuple(_with_file(name, each) for name, problems in found.items() for each in problems))


def _with_file(file: str, problem: Problem) -> Problem:
    name = escape_unprintable(file)
    return replace(problem, where=f"{name}: {problem.where}" if problem.where else name)


def read(path: Path, overlay: Path | None = None) -> Federation:
    """Read a stack file, `Pulumi.<stack>.yaml`, and check everything that can be checked without an engine.

    Raises:
        InvalidModel: with all problems.
    """
    layers = declared(path, overlay)
    with layers.checked():
        federation = parse(layers.tree, base=path.parent)
    return federation


def declared(path: Path, overlay: Path | None = None) -> Layered:
    """Read a stack file's federation and merge an overlay over it, without checking the result.

    Raises:
        InvalidModel: a file cannot be read; with all problems of both files.
    """
    federation, problems = stack_file.load(path)
    layers = layered(federation, path, overlay, problems)
    return replace(layers, problems=(*layers.problems, *_plain_text_keys(layers.tree)))


def _plain_text_keys(tree: object) -> Iterator[Problem]:
    """Yield private keys in plain text; the configuration that the engine gives to a program does not show them."""
    for path in AUTHORITIES:
        for name, authority in _mapping_at(tree, path).items():
            key = authority.get("key") if isinstance(authority, Mapping) else None
            if isinstance(key, str) and "-----BEGIN " in key:
                at = key_path(key_path(".".join(path), name), "key")
                yield Problem(
                    at,
                    FormRule.PLAIN_TEXT_KEY,
                    "the private key is in plain text: the engine would write it unencrypted into the history of the"
                    " stack's state, where everybody with access to the backend can read it",
                    f"write the path of a file, or encrypt the key: pulumi config set --secret --path '{KEY}.{at}'"
                    " < key.pem. If others could read it before, use a new key",
                )


def _mapping_at(tree: object, path: Sequence[str]) -> Mapping[str, object]:
    """Return the mapping at a key path of a tree; an empty one if there is none."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree if isinstance(tree, Mapping) else {}


def layered(federation: object, stack_file: Path, overlay: Path | None, problems: Sequence[Problem] = ()) -> Layered:
    """Lay its fleet and what was observed of meshes under the federation of a stack file, and an overlay over it.

    Args:
        federation: as in the file; None if the problems say why there is none.
        stack_file: the stack file, which need not exist; what was observed is beside it.
        overlay: the overlay's file; None for none.
        problems: problems of the stack file.

    Raises:
        InvalidModel: with all problems of all files.
    """
    lowest = observed.beside(stack_file)
    below, unseen = observed.load(lowest)
    upper, unread = load(overlay) if overlay else ({}, [])
    unread = unread or _whole_stack_file(upper)
    others = {**({lowest.name: unseen} if below or unseen else {}), **({overlay.name: unread} if overlay else {})}
    if unseen or unread or (federation is None and problems):
        found = {
            stack_file.name: rules.ordered(problems),
            **{name: rules.ordered(each) for name, each in others.items()},
        }
        raise _invalid(found)
    if not isinstance(federation, Mapping):
        return Layered(federation, stack_file.name, dict.fromkeys(others, frozenset()), tuple(problems))
    member = fleet.lay(federation, stack_file.parent)
    if member.problems:
        said = (*problems, *member.problems.get("", ()))
        above = {name: rules.ordered(each) for name, each in member.problems.items() if name}
        raise _invalid({stack_file.name: rules.ordered(said), **above})
    seen, gone = _without_unknown_clusters(below, member.tree, "what was observed of it is of no use", OBSERVE)
    known, unknown = _without_unknown_clusters(upper, member.tree, "an overlay cannot add clusters", DECLARE)
    lower: Tree = merged(seen, member.tree)
    paths = {
        lowest.name: frozenset([*lacking(member.tree, seen), *(each.where for each in gone)]),
        **({overlay.name: frozenset([*additions(lower, known), *(e.where for e in unknown)])} if overlay else {}),
    }
    tree, cards, lost = _with_cards(_merged(lower, known), stack_file.parent)
    if lost:
        raise InvalidModel(rules.ordered([*problems, *gone, *unknown, *lost]))
    told = {file: frozenset(paths) for file, paths in member.cards.items()}
    shared = {member.file: frozenset(lacking(federation, member.tree))} if member.file else {}
    files = {**{name: paths[name] for name in others}, **cards, **told, **shared}
    own = frozenset(leaves(federation)) if member.file else frozenset[str]()
    return Layered(tree, stack_file.name, files, (*problems, *gone, *unknown), member.file, own)


def _with_cards(tree: Tree, folder: Path) -> tuple[Tree, dict[str, frozenset[str]], list[Problem]]:
    """Lay the cards of partners under a federation.

    Returns:
        The federation; for each card its name, and where it lies; and the problems of files that cannot be read.
    """
    partners, files, problems = tree.get("partners"), dict[str, frozenset[str]](), list[Problem]()
    laid = {}
    for name, partner in partners.items() if isinstance(partners, Mapping) else ():
        path = partner.get("card") if isinstance(partner, Mapping) else None
        if not isinstance(path, str):
            continue
        file = folder / Path(path).expanduser()
        found, unread = card.load(file)
        where = key_path("partners", name)
        told = ((each, each.what.replace(str(file), path)) for each in unread)
        problems += [replace(each, where=f"{where}.card", what=f"the card {path}: {what}") for each, what in told]
        if found:
            laid[name] = {card.KEY: found}
            files[Path(path).name] = files.get(Path(path).name, frozenset()) | {f"{where}.{card.KEY}"}
    return merged({"partners": laid}, tree) if laid else tree, files, problems


def _merged(federation: Tree, upper: Tree) -> Tree:
    """Merge an overlay over a federation; a null in the overlay removes an optional key."""
    tree: Tree = merged(federation, upper)
    for path in filter(validation.may_be_left_out, nulls(upper)):
        tree = without(tree, path)
    return tree


DECLARE = "declare the cluster in the stack file, or remove it here"
OBSERVE = "remove it here, or run mesh observe again"


def _without_unknown_clusters(upper: Tree, federation: Tree, why: str, fix: str) -> tuple[Tree, list[Problem]]:
    """Remove the clusters that the stack file does not have."""
    named, stack = upper.get("clusters"), federation.get("clusters")
    if not isinstance(named, Mapping):
        return upper, []
    names = list(stack) if isinstance(stack, Mapping) else []
    known = {name: cluster for name, cluster in named.items() if name in names}
    rest = {key: value for key, value in upper.items() if key != "clusters"}
    problems = [_unknown_cluster(name, names, why, fix) for name in named if name not in known]
    return {**rest, "clusters": known} if known else rest, problems


def _unknown_cluster(name: str, names: list[str], why: str, fix: str) -> Problem:
    meant = nearest(name, names)
    problem = f"the stack file has no cluster {excerpt(name)}, and {why}"
    return Problem(
        key_path("clusters", name), FederationRule.UNKNOWN_CLUSTER, problem, f"write {excerpt(meant)}" if meant else fix
    )


def _whole_stack_file(upper: Tree) -> list[Problem]:
    """Report an overlay that is written like a stack file, with the keys around the federation."""
    problem = f"an overlay holds only what a stack file has below {KEY}"
    fix = "start with keys such as images, istio or clusters, without indentation"
    found = [Problem(key, FormRule.WHOLE_STACK_FILE, problem, fix) for key in ("config", KEY) if key in upper]
    if fleet.KEY in upper:
        what = "an overlay makes no stack a member of a fleet: the stack file says which cluster is its own"
        found.append(Problem(fleet.KEY, FederationRule.FLEET_FILE, what, "move it to the stack file"))
    return found


def parse(tree: object, where: str = KEY, base: Path | None = None) -> Federation:
    """Check the tree that `pulumi.Config().require_object("federation")` gives.

    Args:
        tree: mappings, lists and scalars.
        where: the key path for problems of the whole tree.
        base: the folder that paths in the tree are relative to; default: the working directory, which Pulumi sets to
            the project's folder.

    Raises:
        InvalidModel: with all problems; rules are checked only if all types are right.
    """
    whole = typed(tree, where)
    federation = with_partners(reduced(whole))
    if whole.member_of:
        problems = rules.check_member(federation, with_partners(whole), base)
    else:
        problems = rules.check(federation, base)
    if problems:
        raise InvalidModel(problems)
    return _with_material(federation, base or Path())


def _with_material(federation: Federation, base: Path) -> Federation:
    """Replace paths and PEM texts of certificates by normalized PEM, which the rules have found readable."""

    def written(provided: Mapping[str, ProvidedAuthority]) -> dict[str, ProvidedAuthority]:
        return {name: _written(given, base) for name, given in provided.items()}

    trust = federation.trust
    rotation = trust.rotation
    if rotation and rotation.provided:
        rotation = rotation.model_copy(update={"provided": written(rotation.provided)})
    loaded = trust.model_copy(update={"provided": written(trust.provided), "rotation": rotation})
    clusters = {name: _with_twin(each, base) for name, each in federation.clusters.items()}
    return federation.model_copy(update={"trust": loaded, "clusters": clusters})


def _with_twin(cluster: Cluster, base: Path) -> Cluster:
    if cluster.istio.twin is None:
        return cluster
    from mesh_federation.stack import key_material

    [twin] = key_material.certificates(key_material.content(cluster.istio.twin, base))
    istio = cluster.istio.model_copy(update={"twin": key_material.written([twin])})
    return cluster.model_copy(update={"istio": istio})


def _written(given: ProvidedAuthority, base: Path) -> ProvidedAuthority:
    """Normalize an authority: `chain` holds the certificates between intermediate and root, in this order."""
    from mesh_federation.stack import key_material

    def read(value: str) -> list["Certificate"]:
        return [] if value in ("", ENCRYPTED) else key_material.certificates(key_material.content(value, base))

    certificate, root = read(given.certificate), read(given.root)
    between = [each for each in read(given.chain) if each not in (*certificate, *root)]
    if certificate:
        found = key_material.path(certificate[0], between, root[0] if root else None)
        between = [*[each for each in found if each in between], *[each for each in between if each not in found]]
    key = given.key.get_secret_value()
    if key != ENCRYPTED:
        key = key_material.written_key(key_material.private_key(key_material.content(key, base, shows_path=False)))
    return ProvidedAuthority(
        certificate=key_material.written(certificate) or ENCRYPTED,
        key=SecretStr(key),
        chain=ENCRYPTED if given.chain == ENCRYPTED else key_material.written(between),
        root=key_material.written(root) or ENCRYPTED,
    )


def typed(tree: object, where: str = KEY) -> Federation:
    """Check the types of a federation, and no rule.

    Args:
        tree: mappings, lists and scalars.
        where: the key path for problems of the whole tree.

    Raises:
        InvalidModel: with all problems.
    """
    if not isinstance(tree, Mapping):
        fix = "write {clusters: {east: {}, west: {}}}"
        raise InvalidModel(
            (Problem(where, FormRule.NOT_A_MAPPING, f"the federation is {kind_of(tree)}, not a mapping", fix),)
        )
    try:
        text = json.dumps(_with_placeholders(tree), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        problem = f"the federation cannot be written as JSON: {excerpt(error)}"
        raise InvalidModel(
            (
                Problem(
                    where, FormRule.NOT_PLAIN_DATA, problem, "use only text, numbers, truth values, lists and mappings"
                ),
            )
        ) from None
    try:
        return Federation.model_validate_json(text, strict=True)
    except ValidationError as invalid:
        raise InvalidModel(rules.ordered(validation.problems(invalid.errors(include_url=False)))) from None


def _with_placeholders(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """Replace encrypted values of provided authorities by a placeholder."""
    for path in AUTHORITIES:
        tree = _with_placeholders_at(tree, path)
    return tree


def _with_placeholders_at(tree: Mapping[str, Any], path: Sequence[str]) -> Mapping[str, Any]:
    """Replace encrypted values of the authorities at a key path of a tree."""
    if not path:
        return {name: _without_encrypted(authority) for name, authority in tree.items()}
    below = tree.get(path[0])
    return {**tree, path[0]: _with_placeholders_at(below, path[1:])} if isinstance(below, Mapping) else tree


def _without_encrypted(authority: object) -> object:
    if not isinstance(authority, Mapping):
        return authority
    return {key: ENCRYPTED if stack_file.is_encrypted(value) else value for key, value in authority.items()}
