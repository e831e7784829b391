"""The page docs/keys.md: every key that a user may write into a stack file, from the JSON Schema.

After a change of config.py, run `python -m mesh_federation.stack.key_reference`; a test fails while the page is old.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mesh_federation.stack.json_schema import schema
from mesh_federation.stack.stack_file import KEY

DOCUMENT = Path(__file__).parents[2] / "docs" / "keys.md"
HEAD = f"""# Keys of the stack file

Everything that a stack file may have below `config.{KEY}`. `X` stands for a name that you choose,
and `[]` for each item of a list. A key without a value is an error. Editors read the same from
`mesh_federation/stack/federation.schema.json`.

Written by `python -m mesh_federation.stack.key_reference`.
"""
TOP = "Federation"
WRITTEN_BY_COMMANDS = {"ObservedMesh", "Card"}
"""What `mesh observe` and `mesh card` write, into files of their own."""
Part = Mapping[str, object]


def rendered() -> str:
    """Return the text of the page."""
    definitions = schema()["$defs"]
    assert isinstance(definitions, Mapping)
    return _KeyPage(definitions).text


@dataclass(frozen=True)
class _KeyPage:
    """The page of a schema.

    Attributes:
        definitions: its objects, by name.
    """

    definitions: Mapping[str, Part]

    @property
    def text(self) -> str:
        return HEAD + "".join(self._section(name, path) for name, path in self._paths.items())

    @cached_property
    def _paths(self) -> dict[str, str]:
        """Where each object is found first, in the order of the page."""
        found: dict[str, str] = {}
        self._look(TOP, "", found)
        return found

    def _look(self, name: str, path: str, found: dict[str, str]) -> None:
        if name in found:
            return
        found[name] = path
        for key, value in _keys(self.definitions[name]):
            for suffix, inner in ((".X", value.get("additionalProperties")), ("[]", value.get("items")), ("", value)):
                below = _reference(inner)
                if below not in WRITTEN_BY_COMMANDS and "properties" in self.definitions.get(below, {}):
                    self._look(below, f"{path}.{key}{suffix}".removeprefix("."), found)

    def _section(self, name: str, path: str) -> str:
        part = self.definitions[name]
        required = part.get("required", ())
        assert isinstance(required, (list, tuple))
        rows = [
            f"| `{key}` | {self._kind(value)} | {_default(value, key in required)} | {self._meaning(value)} |\n"
            for key, value in _keys(part)
            if not {_reference(each) for each in (value, value.get("additionalProperties"))} & WRITTEN_BY_COMMANDS
        ]
        title = f"`{path}`" if path else "Top level"
        table = f"| key | value | default | meaning |\n|---|---|---|---|\n{''.join(rows)}"
        return f"\n## {title}\n\n{_line(part)}\n\n{table}"

    def _kind(self, value: Part) -> str:
        """Say what a value is; an object leads to its own section."""
        name = _reference(value)
        found = self.definitions[name] if name else _without_null(value)
        if "properties" in found:
            return f"[keys](#{_anchor(self._paths[name])})"
        if "enum" in found:
            words = found["enum"]
            assert isinstance(words, list)
            return ", ".join(f"`{word}`" for word in words)
        inner = found.get("items") or found.get("additionalProperties")
        within = f": {self._kind(inner)}" if isinstance(inner, Mapping) and inner else ""
        least, most = found.get("minimum"), found.get("maximum")
        match found.get("type"):
            case "array":
                return f"list{within}"
            case "object":
                return f"mapping{within}"
            case "integer":
                return "number" if least is None or most is None else f"{least} to {most}"
            case "boolean":
                return "`true`, `false`"
        return "text"

    def _meaning(self, value: Part) -> str:
        """Describe a key; one that says nothing by itself is what its object is."""
        inner = value.get("items") or value.get("additionalProperties") or value
        return _line(value) or _line(self.definitions.get(_reference(inner), {}))


def _keys(part: Part) -> Iterator[tuple[str, Part]]:
    properties = part.get("properties", {})
    assert isinstance(properties, Mapping)
    yield from properties.items()


def _reference(value: object) -> str:
    """Return the name of the definition that a value refers to; empty if it refers to none."""
    return str(_without_null(value).get("$ref", "")).rpartition("/")[2] if isinstance(value, Mapping) else ""


def _without_null(value: Part) -> Part:
    """Return what a key accepts, without the null that stands for a key that is left out."""
    choices = value.get("anyOf")
    return next(each for each in choices if each.get("type") != "null") if isinstance(choices, list) else value


def _default(value: Part, is_required: bool) -> str:
    """Return the default as YAML has it; none where the meaning tells it."""
    found = value.get("default", "")
    if is_required or found == "" or not isinstance(found, (bool, int, str)):
        return "required" if is_required else ""
    return f"`{str(found).lower() if isinstance(found, bool) else found}`"


def _line(value: Part) -> str:
    """Return a description as one line of a table."""
    return re.sub(r"\s+", " ", str(value.get("description", ""))).replace("|", "\\|").replace("<", "&lt;")


def _anchor(path: str) -> str:
    """Return the anchor that renderers of Markdown make of a heading."""
    return re.sub(r"[^a-z0-9]", "", path.lower())


if __name__ == "__main__":
    DOCUMENT.write_text(rendered(), encoding="utf-8")
