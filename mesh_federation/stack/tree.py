"""Trees of mappings, as YAML and JSON files and Helm values have them."""

from collections.abc import Iterator, Mapping
from typing import Any, overload

from mesh_federation.stack.text import key_path

Tree = Mapping[str, Any]


@overload
def merged(below: Tree, above: Tree) -> dict[str, Any]: ...
@overload
def merged(below: object, above: object) -> object: ...
def merged(below: object, above: object) -> object:
    """Merge one tree over another: mappings key by key; anything else replaces the value below."""
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    return {**below, **{key: merged(below[key], value) if key in below else value for key, value in above.items()}}


def lacking(below: Tree, above: Tree, where: str = "") -> Iterator[str]:
    """Yield the paths of the outermost values of one tree that another does not have."""
    for key, value in above.items():
        path = key_path(where, key)
        if key not in below:
            yield path
        elif isinstance(value, Mapping) and isinstance(below[key], Mapping):
            yield from lacking(below[key], value, path)


def leaves(tree: Tree, where: str = "") -> Iterator[str]:
    """Yield the paths of all values that are no mappings."""
    for key, value in tree.items():
        path = key_path(where, key)
        yield from leaves(value, path) if isinstance(value, Mapping) else [path]
