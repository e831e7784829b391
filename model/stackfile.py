"""From a stack file, or what Pulumi made of it, to a Federation that is known to be sound."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from model import rules, shape, yamltree
from model.config import Federation, ProvidedAuthority
from model.finding import Finding, InvalidModel
from model.rules.provided import SEALED
from model.yamltree import kind_of, printable

PROJECT = "mesh-federation"
KEY = f"{PROJECT}:federation"

_EXAMPLE = f"config: {{{KEY}: {{clusters: {{east: {{}}, west: {{}}}}}}}}"


def read(path: Path) -> Federation:
    """Read a stack file, `Pulumi.<stack>.yaml`, and check everything that can be known without an engine.

    Raises:
        InvalidModel: with all findings.
    """
    tree = _load(path)
    federation, findings = _federation_of(tree)
    if federation is None:
        raise InvalidModel(rules.ordered(findings))
    try:
        sound = parse(federation, base=path.parent)
    except InvalidModel as invalid:
        raise InvalidModel(rules.ordered([*findings, *invalid.findings])) from None
    if findings:
        raise InvalidModel(rules.ordered(findings))
    return sound


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
    return _with_files_read(federation, base or Path())


def _with_files_read(federation: Federation, base: Path) -> Federation:
    """Put the text of PEM files in the place of their paths; the rules have found them readable."""
    if federation.trust.model != "provided":
        return federation

    def text(value: str) -> str:
        is_path = value not in ("", SEALED) and "-----BEGIN " not in value
        return (base / value).read_text(encoding="utf-8") if is_path else value

    read = {
        name: ProvidedAuthority(
            certificate=text(given.certificate),
            key=SecretStr(text(given.key.get_secret_value())),
            chain=text(given.chain),
            root=text(given.root),
        )
        for name, given in federation.trust.provided.items()
    }
    trust = federation.trust.model_copy(update={"provided": read})
    return federation.model_copy(update={"trust": trust})


def _load(path: Path) -> object:
    try:
        with path.open("rb") as file:
            text = file.read(yamltree.MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        problem = f"cannot read {path}: {reason}"
        raise InvalidModel(
            (Finding("", "unreadable-file", problem, "name an existing stack: its file is Pulumi.<stack>.yaml"),)
        ) from None
    try:
        return yamltree.read(text)
    except yamltree.Unreadable as unreadable:
        raise InvalidModel(tuple(dict.fromkeys(_unprefixed(f) for f in unreadable.findings))) from None


def _unprefixed(finding: Finding) -> Finding:
    """Name places below the federation as all other findings do: without the keys that lead to it."""
    path = finding.path.removeprefix(f"config.{KEY}").removeprefix(".")
    return Finding(path, finding.rule, finding.problem, finding.fix)


def _federation_of(tree: object) -> tuple[object, list[Finding]]:
    """Pick the federation out of a whole stack file; None where there is none."""
    if tree is None:
        return None, [Finding("", "empty-file", "the file declares nothing", f"write at least {_EXAMPLE}")]
    if not isinstance(tree, Mapping):
        return None, [Finding("", "not-a-mapping", f"the file holds {kind_of(tree)}, not keys", f"write {_EXAMPLE}")]
    config = tree.get("config")
    if config is None:
        near = None if "config" in tree else shape.nearest("config", [str(key) for key in tree])
        problem = f"the file has no `config`{f', but it has `{printable(near)}`' if near else ''}"
        if "config" in tree:
            problem = "config is empty: there is no federation to build"
        return None, [Finding("config", "missing-config", problem, f"add {_EXAMPLE}")]
    if not isinstance(config, Mapping):
        return None, [Finding("config", "not-a-mapping", f"config is {kind_of(config)}, not keys", f"write {_EXAMPLE}")]
    findings = [_unknown_config(key) for key in config if key.startswith(f"{PROJECT}:") and key != KEY]
    if config.get(KEY) is None:
        problem = f"config has no `{KEY}`: there is no federation to build"
        return None, [*findings, Finding("config", "missing-federation", problem, f"add {_EXAMPLE}")]
    federation = config[KEY]
    if _is_sealed(federation):
        problem = "the whole federation is encrypted, so that nobody can review or check it"
        return None, [*findings, Finding(KEY, "encrypted-value", problem, "encrypt only keys under trust.provided")]
    return federation, findings


def _unknown_config(key: str) -> Finding:
    problem = f"this program reads no `{printable(key)}`; all of its configuration is under {KEY}"
    return Finding(f"config.{printable(key)}", "unknown-config", problem, f"move it below {KEY}, or remove it")


def _is_sealed(value: object) -> bool:
    return isinstance(value, Mapping) and list(value) == ["secure"] and isinstance(value["secure"], str)


def _shaped(tree: object, where: str) -> Federation:
    if not isinstance(tree, Mapping):
        fix = "write {clusters: {east: {}, west: {}}}"
        raise InvalidModel((Finding(where, "not-a-mapping", f"it is {kind_of(tree)}, not a mapping", fix),))
    try:
        text = json.dumps(_unsealed(tree), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        problem = f"it cannot be written as JSON: {printable(error)}"
        raise InvalidModel((Finding(where, "not-plain-data", problem, "use text, numbers, lists, mappings"),)) from None
    try:
        return Federation.model_validate_json(text, strict=True)
    except ValidationError as invalid:
        raise InvalidModel(rules.ordered(shape.findings(invalid.errors(include_url=False)))) from None


def _unsealed(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put a placeholder wherever an encrypted value stands in a place that takes secrets."""
    trust = tree.get("trust")
    provided = trust.get("provided") if isinstance(trust, Mapping) else None
    if not isinstance(trust, Mapping) or not isinstance(provided, Mapping):
        return tree
    opened = {
        name: {key: SEALED if _is_sealed(value) else value for key, value in authority.items()}
        if isinstance(authority, Mapping)
        else authority
        for name, authority in provided.items()
    }
    return {**tree, "trust": {**trust, "provided": opened}}
