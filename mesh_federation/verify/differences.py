"""How an object in a cluster differs from its declaration, as the engine sees it.

The rule is that of Pulumi's Kubernetes provider (pulumi-kubernetes 4, `Diff` in provider/pkg/provider/provider.go):
declared fields count alone. A field that somebody added is no difference, nor is an item at the end of a list.
"""

from collections.abc import Iterator, Mapping, Sequence

Path = tuple[str | int, ...]


def differing(declared: object, live: object) -> list[str]:
    """Return the paths of the declared fields that are missing or have another value.

    Args:
        declared: an object, as the stack's state has it: already in the form in which API servers return it.
        live: the object in the cluster.
    """
    return [_text(path) for path in _different(declared, live, ())]


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


def _equal(declared: object, live: object) -> bool:
    """Compare two values; 1 and 1.0 are equal, but 1 and true are not, nor 1 and "1"."""
    return isinstance(declared, bool) == isinstance(live, bool) and declared == live


def _text(path: Path) -> str:
    """Write a path as the engine does."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif any(letter in part for letter in '."[]'):
            quoted = part.replace('"', '\\"')
            text += f'["{quoted}"]'
        else:
            text += f".{part}" if text else part
    return text
