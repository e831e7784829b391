"""An overlay: a fragment of the federation that is laid over any stack file, so that no stack file has to be edited.

For machines that need other images, charts, manifests or values than the stack declares, as behind a registry mirror.
Mappings are laid over key by key; lists and scalars replace. A null takes a key of the stack file away, where leaving
it out is a choice that this program makes; inside a list, or in place of a section, it is refused as anywhere.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from mesh_federation.stack import yaml_reader
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FormRule
from mesh_federation.stack.text import key_path, kind_of

Tree = Mapping[str, Any]

VARIABLE = "MESH_OVERLAY"
"""Names the overlay's file, so that `pulumi` by hand uses it too."""

_EXAMPLE = "images: {node: mirror.example/kindest/node:v1.34.4}"
_AUTHORITY = ("certificate", "key", "chain", "root")
PATHS = (
    ("istio", "charts"),
    ("istio", "gatewayApi"),
    ("lab", "metallbManifest"),
    ("clusters", "*", "kubeconfig"),
    *(("trust", "provided", "*", key) for key in _AUTHORITY),
    *(("trust", "rotation", "provided", "*", key) for key in _AUTHORITY),
)
"""Keys of the model that may hold the path of a file or folder."""


def chosen(environment: Mapping[str, str]) -> Path | None:
    """Return the overlay that an environment names, as an absolute path."""
    given = environment.get(VARIABLE)
    return _absolute(given, Path.cwd()) if given else None


def load(file: Path) -> tuple[Tree, list[Problem]]:
    """Read an overlay. Its relative paths are relative to its own folder, and come back absolute.

    Returns:
        The fragment, and everything that is wrong with the file; one of the two is empty.
    """
    try:
        tree = yaml_reader.load(file, f"name a file with --overlay or {VARIABLE}, or leave both out")
    except yaml_reader.Unreadable as unreadable:
        return {}, list(dict.fromkeys(unreadable.findings))
    if tree is None:
        return {}, [Problem("", FormRule.EMPTY_FILE, "the overlay declares nothing", f"write for example {_EXAMPLE}")]
    if not isinstance(tree, Mapping):
        return {}, [Problem("", FormRule.NOT_A_MAPPING, f"it holds {kind_of(tree)}, not keys", f"write {_EXAMPLE}")]
    if findings := [_encrypted(path) for path in _sealed(tree, "")]:
        return {}, findings
    return _anchored(tree, file.parent, PATHS), []


def merged(below: object, above: object) -> object:
    """Lay one tree over another: mappings key by key, anything else replaces what is below it."""
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    return {**below, **{key: merged(below[key], value) if key in below else value for key, value in above.items()}}


def resets(above: Tree, where: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the places in mappings where an overlay has a null."""
    for key, value in above.items():
        if isinstance(value, Mapping):
            yield from resets(value, (*where, key))
        elif value is None:
            yield (*where, key)


def without(tree: Tree, place: Sequence[str]) -> Tree:
    """Return a tree that lacks the key at a place."""
    key, *below = place
    kept = {key: without(tree[key], below)} if below else {}
    return {**{each: value for each, value in tree.items() if each != key}, **kept}


def additions(below: Tree, above: Tree, where: str = "") -> Iterator[str]:
    """Yield the paths of the outermost values that a merged tree has from the upper one alone."""
    for key, value in above.items():
        path, under = key_path(where, key), below.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            yield from additions(under, value, path)
        else:
            yield path


def _encrypted(path: str) -> Problem:
    return Problem(
        path,
        FormRule.ENCRYPTED_VALUE,
        "the value is encrypted, and only the stack file is decrypted: the program would get it as it stands here",
        "leave it in the stack file, or name a PEM file by its path",
    )


def _sealed(tree: object, where: str) -> Iterator[str]:
    """Yield the paths of what `pulumi config set --secret` wrote."""
    if isinstance(tree, Mapping):
        if list(tree) == ["secure"] and isinstance(tree["secure"], str):
            yield where
            return
        for key, value in tree.items():
            yield from _sealed(value, key_path(where, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from _sealed(value, f"{where}[{index}]")


def _anchored(tree: Any, folder: Path, places: Collection[tuple[str, ...]]) -> Any:  # noqa: ANN401 - a tree
    """Make the paths absolute that stand at these places, each given by the keys that lead to it."""
    if isinstance(tree, Mapping):
        return {
            key: _anchored(value, folder, [place[1:] for place in places if place[:1] in ((key,), ("*",))])
            for key, value in tree.items()
        }
    return _absolute_list(tree, folder) if () in places and _is_path(tree) else tree


def _is_path(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.strip() not in ("", "official") and "-----BEGIN " not in value


def _absolute_list(paths: str, folder: Path) -> str:
    """Make a path absolute, or each of a list as KUBECONFIG holds it."""
    whole = _absolute(paths, folder)
    several = paths.split(os.pathsep)
    if whole.exists() or not all(several):
        return str(whole)
    return os.pathsep.join(str(_absolute(each, folder)) for each in several)


def _absolute(path: str, folder: Path) -> Path:
    return Path(os.path.abspath(folder / os.path.expanduser(os.path.expandvars(path))))
