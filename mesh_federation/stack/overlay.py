"""Overlays: fragments of a federation that are merged over a stack file, so that the file need not be edited.

They serve machines that need other images, charts, manifests or values, for example behind a registry mirror. Mappings
are merged key by key; lists and scalars replace those of the stack file. A null removes an optional key of the stack
file that has no default; anywhere else it is refused, as in a stack file.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FormRule
from mesh_federation.stack.stack_file import encrypted
from mesh_federation.stack.text import key_path, kind_of
from mesh_federation.stack.tree import Tree

VARIABLE = "MESH_OVERLAY"
"""The environment variable that names the overlay, so that plain `pulumi` uses it too."""

_EXAMPLE = "images: {node: mirror.example/kindest/node:v1.34.4}"
_AUTHORITY = ("certificate", "key", "chain", "root")
PATHS = (
    ("istio", "charts"),
    ("istio", "gatewayApi"),
    ("lab", "metallbManifest"),
    ("clusters", "*", "kubeconfig"),
    ("partners", "*", "card"),
    ("clusters", "*", "istio", "charts"),
    ("clusters", "*", "istio", "twin"),
    *(("trust", "provided", "*", key) for key in _AUTHORITY),
    *(("trust", "rotation", "provided", "*", key) for key in _AUTHORITY),
)
"""Keys that may hold the path of a file or folder."""


def chosen(environment: Mapping[str, str]) -> Path | None:
    """Return the overlay that an environment names, as an absolute path."""
    given = environment.get(VARIABLE)
    return _absolute(given, Path.cwd()) if given else None


def load(file: Path) -> tuple[Tree, list[Problem]]:
    """Read an overlay, and make its paths, which are relative to its own folder, absolute.

    Returns:
        The fragment and the problems of the file; one of the two is empty.
    """
    from mesh_federation.stack import yaml_reader  # every command loads this module, and PyYAML takes time

    try:
        tree = yaml_reader.load(file, f"write the path of a file in --overlay or {VARIABLE}, or use neither")
    except yaml_reader.Unreadable as unreadable:
        return {}, list(dict.fromkeys(unreadable.problems))
    if tree is None:
        return {}, [Problem("", FormRule.EMPTY_FILE, "the overlay declares nothing", f"write, for example, {_EXAMPLE}")]
    if not isinstance(tree, Mapping):
        return {}, [
            Problem("", FormRule.NOT_A_MAPPING, f"the overlay is {kind_of(tree)}, not a mapping", f"write {_EXAMPLE}")
        ]
    if problems := encrypted(tree):
        return {}, problems
    return _with_absolute_paths(tree, file.parent, PATHS), []


def nulls(above: Tree, where: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the paths of the nulls in the mappings of an overlay."""
    for key, value in above.items():
        if isinstance(value, Mapping):
            yield from nulls(value, (*where, key))
        elif value is None:
            yield (*where, key)


def without(tree: Tree, path: Sequence[str]) -> Tree:
    """Return a tree without the key at a path."""
    key, *below = path
    kept = {key: without(tree[key], below)} if below else {}
    return {**{each: value for each, value in tree.items() if each != key}, **kept}


def additions(below: Tree, above: Tree, where: str = "") -> Iterator[str]:
    """Yield the paths of the outermost values that only the upper tree of a merge sets."""
    for key, value in above.items():
        path, under = key_path(where, key), below.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            yield from additions(under, value, path)
        else:
            yield path


def _with_absolute_paths(tree: Any, folder: Path, key_paths: Collection[tuple[str, ...]]) -> Any:  # noqa: ANN401 - a tree
    """Make the paths of files at some key paths absolute."""
    if isinstance(tree, Mapping):
        return {
            key: _with_absolute_paths(value, folder, [each[1:] for each in key_paths if each[:1] in ((key,), ("*",))])
            for key, value in tree.items()
        }
    return _absolute_list(tree, folder) if () in key_paths and _is_path(tree) else tree


def _is_path(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.strip() not in ("", "official") and "-----BEGIN " not in value


def _absolute_list(paths: str, folder: Path) -> str:
    """Make a path absolute, or each path of a list in the form of KUBECONFIG."""
    whole = _absolute(paths, folder)
    several = paths.split(os.pathsep)
    if whole.exists() or not all(several):
        return str(whole)
    return os.pathsep.join(str(_absolute(each, folder)) for each in several)


def _absolute(path: str, folder: Path) -> Path:
    return Path(os.path.abspath(folder / os.path.expanduser(os.path.expandvars(path))))
