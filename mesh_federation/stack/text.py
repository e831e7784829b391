"""Text helpers for messages about stack files: key paths, safe excerpts of values, lists of words."""

import re
from difflib import SequenceMatcher, get_close_matches

_PLAIN_KEY = re.compile(r"[\w<>@:/ -]+", re.ASCII)


def key_path(parent: str, key: str) -> str:
    """Append a key to a key path: `clusters` and `east` give `clusters.east`."""
    shown = key if _PLAIN_KEY.fullmatch(key) else f'"{excerpt(key)}"'
    return f"{parent}.{shown}" if parent else shown


def excerpt(value: object, limit: int = 60) -> str:
    """Show a value from a file on one short line, without characters that control a terminal."""
    text = escape_unprintable(str(value)[: limit + 1])
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def escape_unprintable(text: str) -> str:
    """Replace each unprintable character by its number, so that the text cannot control a terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def printable(text: str) -> str:
    """Return a text of several lines without characters that control a terminal: what others said may be in it."""
    return "".join(c if c in "\n\t" else escape_unprintable(c) for c in text)


def kind_of(value: object) -> str:
    """Name the kind of a value as a person would."""
    match value:
        case None:
            return "null"
        case bool():
            return f"the truth value {str(value).lower()}"
        case int() | float():
            return f"the number {excerpt(value)}"
        case str():
            return f'the text "{excerpt(value)}"'
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
    return "no YAML value"


def any_of(words: list[str]) -> str:
    """Join words for a sentence: `a, b or c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def nearest(word: str, words: list[str]) -> str | None:
    """Return the word that was probably meant; None if none of them is similar."""
    by_lower = {known.lower(): known for known in words}
    plain = word.lower().replace("_", "").replace("-", "")
    close = get_close_matches(word.lower(), by_lower, 5, 0.7) or get_close_matches(plain, by_lower, 5, 0.7)

    def likeness(known: str) -> tuple[float, bool, bool]:
        """Among equally near words, swapped letters come first, then the same first letter."""
        ratio = SequenceMatcher(None, known, word.lower()).ratio()
        return ratio, sorted(known) == sorted(word.lower()), known[:1] == word.lower()[:1]

    return by_lower[max(close, key=likeness)] if close else None
