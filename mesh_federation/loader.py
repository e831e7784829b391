"""From a stack file, or what Pulumi made of it, to a Federation that is known to be sound."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr, ValidationError

from mesh_federation import rules
from mesh_federation.rules.provided import SEALED
from mesh_federation.stack import validation, yaml_reader
from mesh_federation.stack.config import KEY, PROJECT, Federation, ProvidedAuthority
from mesh_federation.stack.overlay import Tree, additions, load, merged, resets, without
from mesh_federation.stack.problem import InvalidModel, Problem
from mesh_federation.stack.rule_ids import FederationRule, FormRule
from mesh_federation.stack.text import escape_unprintable, excerpt, key_path, kind_of, nearest

if TYPE_CHECKING:  # cryptography takes longer to load than all checks together: only where it is needed
    from cryptography.x509 import Certificate

AUTHORITIES = (("trust", "provided"), ("trust", "rotation", "provided"))
"""Where authorities of the user's are declared: the places that take secrets."""

_EXAMPLE = f"config: {{{KEY}: {{clusters: {{east: {{}}, west: {{}}}}}}}}"


@dataclass(frozen=True)
class Layers:
    """What a stack file declares, with the overlay in use laid over it.

    Attributes:
        tree: the federation.
        stack_file: name of the stack file.
        overlay: name of the overlay's file; empty where none is used.
        above: paths of the values that only the overlay has set.
        findings: what is wrong with the files, whatever federation they declare.
    """

    tree: object
    stack_file: str
    overlay: str = ""
    above: frozenset[str] = frozenset()
    findings: tuple[Problem, ...] = ()

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Add what is wrong with the files to what is found inside, and say which file each finding is about.

        Raises:
            InvalidModel: with all findings; those of the stack file come first.
        """
        found: tuple[Problem, ...] = ()
        try:
            yield
        except InvalidModel as invalid:
            found = invalid.problems
        if findings := rules.ordered([*self.findings, *found]):
            below = [finding for finding in findings if not self._is_above(finding)]
            above = [finding for finding in findings if self._is_above(finding)]
            raise _invalid(self.stack_file, below, self.overlay, above)

    def _is_above(self, finding: Problem) -> bool:
        ends = [part.start() for part in re.finditer(r"[.[]|$", finding.where)]
        return any(finding.where[:end] in self.above for end in ends)


def _invalid(stack_file: str, below: Iterable[Problem], overlay: str, above: Iterable[Problem]) -> InvalidModel:
    """Name the file of each finding, where there are two."""
    if not overlay:
        return InvalidModel(tuple(below))
    return InvalidModel((*(_in(stack_file, finding) for finding in below), *(_in(overlay, f) for f in above)))


def _in(file: str, finding: Problem) -> Problem:
    name = escape_unprintable(file)
    return replace(finding, where=f"{name}: {finding.where}" if finding.where else name)


def read(path: Path, overlay: Path | None = None) -> Federation:
    """Read a stack file, `Pulumi.<stack>.yaml`, and check everything that can be known without an engine.

    Raises:
        InvalidModel: with all findings.
    """
    layers = declared(path, overlay)
    with layers.checked():
        federation = parse(layers.tree, base=path.parent)
    return federation


def declared(path: Path, overlay: Path | None = None) -> Layers:
    """Read a stack file's federation and lay an overlay over it, unchecked.

    Raises:
        InvalidModel: a file cannot be read as what it is; with all findings about both.
    """
    federation, findings = _load(path)
    layers = lay(federation, path.name, overlay, findings)
    return replace(layers, findings=(*layers.findings, *_open_keys(layers.tree)))


def _open_keys(tree: object) -> Iterator[Problem]:
    """Find private keys that stand in a file as they are; what the engine gives to a program no longer shows it."""
    for path in AUTHORITIES:
        for name, authority in _below(tree, path).items():
            key = authority.get("key") if isinstance(authority, Mapping) else None
            if isinstance(key, str) and "-----BEGIN " in key:
                place = key_path(key_path(".".join(path), name), "key")
                yield Problem(
                    place,
                    FormRule.PLAIN_TEXT_KEY,
                    "the private key stands here in plain text: the engine would write it into the history of the"
                    " stack's state like that, for all who read that backend",
                    f"give the path of a file, or encrypt it: pulumi config set --secret --path '{KEY}.{place}'"
                    " < key.pem. Who may have read it by now has it: consider another",
                )


def _below(tree: object, path: Sequence[str]) -> Mapping[str, object]:
    """Return the mapping at a place of a tree; an empty one where there is none."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree if isinstance(tree, Mapping) else {}


def lay(federation: object, stack_file: str, overlay: Path | None, findings: Sequence[Problem] = ()) -> Layers:
    """Lay an overlay over the federation that a stack file declares.

    Args:
        federation: as in the file; None where the findings say why there is none.
        stack_file: name of the stack file.
        overlay: the overlay's file; None for none.
        findings: what is wrong with the stack file.

    Raises:
        InvalidModel: with all findings about both files.
    """
    above, unread = load(overlay) if overlay else ({}, [])
    name = overlay.name if overlay else ""
    unread = unread or _whole_stack_file(above)
    if unread or (federation is None and findings):
        raise _invalid(stack_file, rules.ordered(findings), name, rules.ordered(unread))
    if not isinstance(federation, Mapping):
        return Layers(federation, stack_file, name, findings=tuple(findings))
    known, unknown = _without_unknown_clusters(above, federation)
    places = frozenset([*additions(federation, known), *(finding.where for finding in unknown)])
    return Layers(_laid(federation, known), stack_file, name, places, (*findings, *unknown))


def _laid(federation: Tree, above: Tree) -> Tree:
    """Lay an overlay over a federation; a null in it takes a key away that need not be there."""
    tree: Tree = {**federation, **{key: merged(federation.get(key), value) for key, value in above.items()}}
    for place in filter(validation.may_be_left_out, resets(above)):
        tree = without(tree, place)
    return tree


def _without_unknown_clusters(above: Tree, federation: Tree) -> tuple[Tree, list[Problem]]:
    """Leave out the clusters that the stack does not have: an overlay changes clusters, and makes none."""
    named, stack = above.get("clusters"), federation.get("clusters")
    if not isinstance(named, Mapping):
        return above, []
    names = list(stack) if isinstance(stack, Mapping) else []
    known = {name: cluster for name, cluster in named.items() if name in names}
    rest = {key: value for key, value in above.items() if key != "clusters"}
    findings = [_unknown_cluster(name, names) for name in named if name not in known]
    return {**rest, "clusters": known} if known else rest, findings


def _unknown_cluster(name: str, names: list[str]) -> Problem:
    meant = nearest(name, names)
    problem = f"the stack has no cluster {excerpt(name)}, and an overlay makes none"
    fix = f"write {excerpt(meant)}" if meant else "declare it in the stack file, or remove it here"
    return Problem(key_path("clusters", name), FederationRule.UNKNOWN_CLUSTER, problem, fix)


def _whole_stack_file(above: Tree) -> list[Problem]:
    """Find out that an overlay is written like a stack file: it starts one level too high."""
    problem = f"an overlay is laid over what stands below {KEY}, and holds only that"
    fix = "start with keys such as images, istio or clusters, at the margin"
    return [Problem(key, FormRule.WHOLE_STACK_FILE, problem, fix) for key in ("config", KEY) if key in above]


def parse(tree: object, where: str = KEY, base: Path | None = None) -> Federation:
    """Check the tree that `pulumi.Config().require_object("federation")` gives.

    Args:
        tree: mappings, lists and scalars.
        where: what findings about the whole tree call it.
        base: the folder that paths in the tree are relative to; the working directory, which Pulumi sets to the
            project's folder, when left out.

    Raises:
        InvalidModel: with all findings; those of the rules only when the shape is right.
    """
    federation = _shaped(tree, where)
    findings = rules.check(federation, base or Path())
    if findings:
        raise InvalidModel(findings)
    return _with_material_written(federation, base or Path())


def _with_material_written(federation: Federation, base: Path) -> Federation:
    """Put certificates and keys in the place of what stands for them; the rules have found all of it readable."""

    def written(provided: Mapping[str, ProvidedAuthority]) -> dict[str, ProvidedAuthority]:
        return {name: _written(given, base) for name, given in provided.items()}

    trust = federation.trust
    rotation = trust.rotation
    if rotation and rotation.provided:
        rotation = rotation.model_copy(update={"provided": written(rotation.provided)})
    opened = trust.model_copy(update={"provided": written(trust.provided), "rotation": rotation})
    return federation.model_copy(update={"trust": opened})


def _written(given: ProvidedAuthority, base: Path) -> ProvidedAuthority:
    """Write an authority anew: under `chain` is what lies between the intermediate and the root, nearest first."""
    from mesh_federation.stack import key_material

    def read(value: str) -> list["Certificate"]:
        return [] if value in ("", SEALED) else key_material.certificates(key_material.content(value, base))

    certificate, root = read(given.certificate), read(given.root)
    between = [each for each in read(given.chain) if each not in (*certificate, *root)]
    if certificate:
        way = key_material.path(certificate[0], between, root[0] if root else None)
        between = [*[each for each in way if each in between], *[each for each in between if each not in way]]
    key = given.key.get_secret_value()
    if key != SEALED:
        key = key_material.written_key(key_material.private_key(key_material.content(key, base, shows_path=False)))
    return ProvidedAuthority(
        certificate=key_material.written(certificate) or SEALED,
        key=SecretStr(key),
        chain=SEALED if given.chain == SEALED else key_material.written(between),
        root=key_material.written(root) or SEALED,
    )


def _load(path: Path) -> tuple[object, list[Problem]]:
    """Read the federation of a stack file; None where there is none."""
    try:
        tree = yaml_reader.load(path, "name an existing stack: its file is Pulumi.<stack>.yaml")
    except yaml_reader.Unreadable as unreadable:
        return None, list(dict.fromkeys(_unprefixed(finding) for finding in unreadable.findings))
    return _federation_of(tree)


def _unprefixed(finding: Problem) -> Problem:
    """Name places below the federation as all other findings do: without the keys that lead to it."""
    path = finding.where.removeprefix(f"config.{KEY}").removeprefix(".")
    return Problem(path, finding.rule, finding.what, finding.fix)


def _federation_of(tree: object) -> tuple[object, list[Problem]]:
    """Pick the federation out of a whole stack file; None where there is none."""
    if tree is None:
        return None, [Problem("", FormRule.EMPTY_FILE, "the file declares nothing", f"write at least {_EXAMPLE}")]
    if not isinstance(tree, Mapping):
        return None, [
            Problem("", FormRule.NOT_A_MAPPING, f"the file holds {kind_of(tree)}, not keys", f"write {_EXAMPLE}")
        ]
    config = tree.get("config")
    if config is None:
        near = None if "config" in tree else nearest("config", [str(key) for key in tree])
        problem = f"the file has no `config`{f', but it has `{excerpt(near)}`' if near else ''}"
        if "config" in tree:
            problem = "config is empty: there is no federation to build"
        return None, [Problem("config", FormRule.MISSING_CONFIG, problem, f"add {_EXAMPLE}")]
    if not isinstance(config, Mapping):
        return None, [
            Problem("config", FormRule.NOT_A_MAPPING, f"config is {kind_of(config)}, not keys", f"write {_EXAMPLE}")
        ]
    findings = [_unknown_config(key) for key in config if key.startswith(f"{PROJECT}:") and key != KEY]
    if config.get(KEY) is None:
        problem = f"config has no `{KEY}`: there is no federation to build"
        return None, [*findings, Problem("config", FormRule.MISSING_FEDERATION, problem, f"add {_EXAMPLE}")]
    federation = config[KEY]
    if _is_sealed(federation):
        problem = "the whole federation is encrypted, so that nobody can review or check it"
        return None, [
            *findings,
            Problem(KEY, FormRule.ENCRYPTED_VALUE, problem, "encrypt only keys under trust.provided"),
        ]
    return federation, findings


def _unknown_config(key: str) -> Problem:
    problem = f"this program reads no `{excerpt(key)}`; all of its configuration is under {KEY}"
    return Problem(f"config.{excerpt(key)}", FormRule.UNKNOWN_CONFIG, problem, f"move it below {KEY}, or remove it")


def _is_sealed(value: object) -> bool:
    return isinstance(value, Mapping) and list(value) == ["secure"] and isinstance(value["secure"], str)


def _shaped(tree: object, where: str) -> Federation:
    if not isinstance(tree, Mapping):
        fix = "write {clusters: {east: {}, west: {}}}"
        raise InvalidModel((Problem(where, FormRule.NOT_A_MAPPING, f"it is {kind_of(tree)}, not a mapping", fix),))
    try:
        text = json.dumps(_unsealed(tree), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        problem = f"it cannot be written as JSON: {excerpt(error)}"
        raise InvalidModel(
            (Problem(where, FormRule.NOT_PLAIN_DATA, problem, "use text, numbers, lists, mappings"),)
        ) from None
    try:
        return Federation.model_validate_json(text, strict=True)
    except ValidationError as invalid:
        raise InvalidModel(rules.ordered(validation.findings(invalid.errors(include_url=False)))) from None


def _unsealed(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put a placeholder wherever an encrypted value stands in a place that takes secrets."""
    for path in AUTHORITIES:
        tree = _within(tree, path)
    return tree


def _within(tree: Mapping[str, Any], path: Sequence[str]) -> Mapping[str, Any]:
    """Unseal the authorities at a place of a tree; the same tree where there are none."""
    if not path:
        return {name: _opened(authority) for name, authority in tree.items()}
    below = tree.get(path[0])
    return {**tree, path[0]: _within(below, path[1:])} if isinstance(below, Mapping) else tree


def _opened(authority: object) -> object:
    if not isinstance(authority, Mapping):
        return authority
    return {key: SEALED if _is_sealed(value) else value for key, value in authority.items()}
