"""How an object in a cluster differs from its declaration.

What the engine sees follows the rule of Pulumi's Kubernetes provider (pulumi-kubernetes 4, `Diff` in
provider/pkg/provider/provider.go): declared fields count alone. A field that somebody added is no difference, nor is an
item at the end of a list. Such an item may be one more caller, host or root, so it is looked for beside that rule.
"""

from collections.abc import Iterator, Mapping, Sequence

Path = tuple[str | int, ...]

OF_CLUSTER = ("metadata", "status")
"""Parts of objects to whose lists clusters add items of their own, such as finalizers."""


def differing(declared: object, live: object) -> list[str]:
    """Return the paths of the declared fields that are missing or have another value.

    Args:
        declared: an object, as the stack's state has it: already in the form in which API servers return it.
        live: the object in the cluster.
    """
    return [text(path) for path in _different(declared, live, ())]


def added_items(declared: Mapping[str, object], live: Mapping[str, object]) -> list[Path]:
    """Return the paths of the items that somebody added at the end of declared lists, last ones first.

    A list whose declared items differ says nothing about which item is whose: the engine sees it, and puts it right.

    Args:
        declared: an object, as the stack's state has it.
        live: the object in the cluster.
    """
    judged = {key: value for key, value in declared.items() if key not in OF_CLUSTER}
    return [*_added(judged, live, ())][::-1]


def _different(declared: object, live: object, path: Path) -> Iterator[Path]:
    if isinstance(declared, Mapping) and isinstance(live, Mapping):
        for key, value in declared.items():
            if key not in live and value is not None:
                yield (*path, key)
            elif value is not None:
                yield from _different(value, live[key], (*path, key))
    elif isinstance(declared, list) and isinstance(live, list):
        yield from _different_items(declared, live, path)
    elif not _equal(declared, live):
        yield path


def _different_items(declared: Sequence[object], live: Sequence[object], path: Path) -> Iterator[Path]:
    for index, value in enumerate(declared):
        if index < len(live):
            yield from _different(value, live[index], (*path, index))
        else:
            yield (*path, index)


def _added(declared: object, live: object, path: Path) -> Iterator[Path]:
    if isinstance(declared, Mapping) and isinstance(live, Mapping):
        for key, value in declared.items():
            if key in live:
                yield from _added(value, live[key], (*path, key))
    elif isinstance(declared, list) and isinstance(live, list) and not any(_different_items(declared, live, path)):
        for index, value in enumerate(declared):
            yield from _added(value, live[index], (*path, index))
        yield from ((*path, index) for index in range(len(declared), len(live)))


def _equal(declared: object, live: object) -> bool:
    """Compare two values; 1 and 1.0 are equal, but 1 and true are not, nor 1 and "1"."""
    return isinstance(declared, bool) == isinstance(live, bool) and declared == live


def text(path: Path) -> str:
    """Write a path as the engine does."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
        elif any(letter in part for letter in '."[]'):
            quoted = part.replace('"', '\\"')
            written += f'["{quoted}"]'
        else:
            written += f".{part}" if written else part
    return written
