"""Trees of mappings, as YAML and JSON files and Helm values have them."""

from collections.abc import Mapping
from typing import Any, overload

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
