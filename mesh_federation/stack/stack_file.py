"""Stack files, `Pulumi.<stack>.yaml`: the federation below the project's own key, as the file has it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FormRule
from mesh_federation.stack.text import excerpt, key_path, kind_of, nearest

PROJECT = "mesh-federation"
KEY = f"{PROJECT}:federation"
"""The key of a stack file below which a federation is declared."""
_EXAMPLE = f"config: {{{KEY}: {{clusters: {{east: {{}}, west: {{}}}}}}}}"


def path(folder: Path, stack: str) -> Path:
    """Return the file of a stack, whether it exists or not."""
    return folder / f"Pulumi.{stack}.yaml"


def load(file: Path) -> tuple[object, list[Problem]]:
    """Read the federation of a stack file, unchecked; None if there is none.

    Returns:
        The federation, and the problems of the file.
    """
    from mesh_federation.stack import yaml_reader  # every command loads this module, and PyYAML takes time

    try:
        tree = yaml_reader.load(file, "use the name of an existing stack, whose file is Pulumi.<stack>.yaml")
    except yaml_reader.Unreadable as unreadable:
        return None, list(dict.fromkeys(map(_without_prefix, unreadable.problems)))
    return _federation_of(tree)


def _without_prefix(problem: Problem) -> Problem:
    """Shorten a key path inside the federation, as in all other problems."""
    path = problem.where.removeprefix(f"config.{KEY}").removeprefix(".")
    return Problem(path, problem.rule, problem.what, problem.fix)


def _federation_of(tree: object) -> tuple[object, list[Problem]]:
    """Return the federation of a whole stack file; None if there is none."""
    if tree is None:
        return None, [Problem("", FormRule.EMPTY_FILE, "the file declares nothing", f"write at least {_EXAMPLE}")]
    if not isinstance(tree, Mapping):
        return None, [
            Problem("", FormRule.NOT_A_MAPPING, f"the file is {kind_of(tree)}, not a mapping", f"write {_EXAMPLE}")
        ]
    config = tree.get("config")
    if config is None:
        near = None if "config" in tree else nearest("config", [str(key) for key in tree])
        problem = f"the file has no `config`{f', but it has `{excerpt(near)}`' if near else ''}"
        if "config" in tree:
            problem = "config is empty, so there is no federation"
        return None, [Problem("config", FormRule.MISSING_CONFIG, problem, f"add {_EXAMPLE}")]
    if not isinstance(config, Mapping):
        return None, [
            Problem(
                "config", FormRule.NOT_A_MAPPING, f"config is {kind_of(config)}, not a mapping", f"write {_EXAMPLE}"
            )
        ]
    problems = [_unknown_config(key) for key in config if key.startswith(f"{PROJECT}:") and key != KEY]
    if config.get(KEY) is None:
        problem = f"config has no `{KEY}`, so there is no federation"
        return None, [*problems, Problem("config", FormRule.MISSING_FEDERATION, problem, f"add {_EXAMPLE}")]
    federation = config[KEY]
    if is_encrypted(federation):
        problem = "the whole federation is encrypted, so it can be neither reviewed nor checked"
        return None, [
            *problems,
            Problem(KEY, FormRule.ENCRYPTED_VALUE, problem, "encrypt only values under trust.provided"),
        ]
    return federation, problems


def _unknown_config(key: str) -> Problem:
    problem = f"this program does not read `{excerpt(key)}`; all of its configuration is under {KEY}"
    return Problem(f"config.{excerpt(key)}", FormRule.UNKNOWN_CONFIG, problem, f"move it below {KEY}, or remove it")


def is_encrypted(value: object) -> bool:
    """Say whether a value is one that `pulumi config set --secret` wrote."""
    return isinstance(value, Mapping) and list(value) == ["secure"] and isinstance(value["secure"], str)


def encrypted(tree: object) -> list[Problem]:
    """Return a problem for each encrypted value of a file that is not the stack file: the engine decrypts no other."""
    return [
        Problem(
            path,
            FormRule.ENCRYPTED_VALUE,
            "the value is encrypted, but the engine decrypts only the stack file",
            "move it to the stack file, or write the path of a PEM file",
        )
        for path in _encrypted_paths(tree, "")
    ]


def _encrypted_paths(tree: object, where: str) -> Iterator[str]:
    if is_encrypted(tree):
        yield where
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _encrypted_paths(value, key_path(where, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from _encrypted_paths(value, f"{where}[{index}]")
