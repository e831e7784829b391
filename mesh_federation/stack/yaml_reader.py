"""Read YAML as Pulumi's engine reads it (Go's yaml.v3: the core schema of YAML 1.2), with limits.

PyYAML composes the nodes; its own rules for scalars are those of YAML 1.1, where `on` is true, and it keeps the last of
two equal keys. Both would give this program another value than the engine, so here they are replaced or refused.
"""

import math
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import yaml

from mesh_federation.stack import files
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FormRule
from mesh_federation.stack.text import excerpt, key_path, kind_of
from mesh_federation.stack.tree import Tree

try:
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # PyYAML without libyaml
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

MAX_BYTES = 4_000_000
MAX_DEPTH = 40
MAX_VALUES = 500_000

_TAG = "tag:yaml.org,2002:"
_INTEGER = r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)"
_FLOAT = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
_CORE_SCHEMA = (
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", "true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", _INTEGER, list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
    ("not-finite", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
)
_INTEGERS = range(-(2**63), 2**64)
_EXACT = 2**53
"""From here on, readers round a float to different whole numbers."""
_TIMESTAMP = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([Tt ]\d{1,2}:\d{1,2}:\d{1,2}([.,]\d+)?(Z|[-+]\d\d:\d\d)?)?", re.ASCII)
_NUMBER_WITHOUT_UNDERSCORES = re.compile(rf"{_INTEGER}|{_FLOAT}|-?0[bo][-+][0-7]+")
_TAGGED = re.compile(r"(?:&\S+(?:\s|#.*\n)+)?(!\S*)")
_VERSION_DIRECTIVE = re.compile(r"(?:[ \t]*(?:#.*)?\n)*%YAML[ \t]+(?!1\.1\s)(\S+)")


class Unreadable(Exception):
    """Text that cannot be read as YAML; carries every problem of it."""

    def __init__(self, problems: list[Problem]) -> None:
        """Keep the problems."""
        self.problems = problems
        super().__init__(*problems)


class _Loader(_SafeLoader):
    """PyYAML's safe loader with the core schema of YAML 1.2, up to a depth that Python and C can recurse into."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]

    def __init__(self, text: str) -> None:
        self.steps: list[yaml.Node | int | None] = []
        super().__init__(text)

    def descend_resolver(self, current_node: yaml.Node | None, current_index: yaml.Node | int | None) -> None:
        """Follow PyYAML into a node; it calls this before it composes one."""
        self.steps.append(current_index)
        if len(self.steps) > MAX_DEPTH + 1:
            raise Unreadable([_too_deep(self.path(), current_node)])

    def ascend_resolver(self) -> None:
        """Follow PyYAML out of a node."""
        self.steps.pop()

    def path(self) -> str:
        """Return the key path of the node that PyYAML is composing."""
        path = ""
        for step in self.steps:
            if isinstance(step, int):
                path += f"[{step}]"
            elif isinstance(step, yaml.ScalarNode):
                path = key_path(path, step.value)
        return path


for _name, _pattern, _first in _CORE_SCHEMA:
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_pattern})\Z"), _first)


def load(file: Path, fix: str) -> object:
    """Read the one YAML document in a file.

    Args:
        file: the file.
        fix: what to do if the file cannot be read.

    Raises:
        Unreadable: with every problem, up to the point where the parser could not go on.
    """
    try:
        text = files.head(file, MAX_BYTES + 1)
    except files.NotRead as reason:
        raise Unreadable([Problem("", FormRule.UNREADABLE_FILE, f"cannot read {file}: {reason}", fix)]) from None
    return read(text)


def mapping(file: Path, noun: str, fix: str, unreadable: str) -> tuple[Tree, list[Problem]]:
    """Read a file that holds one mapping.

    Args:
        file: the file.
        noun: what the file must be.
        fix: what to do if it is something else.
        unreadable: what to do if it cannot be read.

    Returns:
        The mapping and the problems of the file; one of the two is empty.
    """
    try:
        tree = load(file, unreadable)
    except Unreadable as problems:
        return {}, list(dict.fromkeys(problems.problems))
    if isinstance(tree, Mapping):
        return tree, []
    return {}, [Problem("", FormRule.NOT_A_MAPPING, f"the file is {kind_of(tree)}, not {noun}", fix)]


@cache
def read(text: bytes) -> object:
    """Read the one YAML document in a text, once: commands on a fleet read its file and all cards for each member.

    Raises:
        Unreadable: with every problem, up to the point where the parser could not go on.
    """
    if len(text) > MAX_BYTES:
        problem = f"the file is larger than {MAX_BYTES:,} bytes, which no federation needs"
        raise Unreadable([Problem("", FormRule.FILE_TOO_LARGE, problem, "remove keys that only repeat defaults")])
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        problem = f"line {line}: byte 0x{text[error.start]:02x} is not UTF-8, the only encoding that is supported"
        raise Unreadable([Problem("", FormRule.NOT_UTF_8, problem, "save the file as UTF-8")]) from None
    if directive := _VERSION_DIRECTIVE.match(decoded):
        problem = f"the file asks for YAML {excerpt(directive[1])}, which Pulumi's engine does not accept"
        raise Unreadable([Problem("", FormRule.YAML_VERSION, problem, "remove the %YAML line")])
    root = _compose(decoded)
    if root is not None:
        _refuse_explosion(root)
    reading = _Reading(decoded)
    value = reading.value(root, "", ()) if root is not None else None
    if reading.problems:
        raise Unreadable(reading.problems)
    return value


def _compose(text: str) -> yaml.Node | None:
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        root: yaml.Node | None = loader.get_single_node()
    except yaml.YAMLError as error:
        raise Unreadable([_not_yaml(error, text, loader.path() if loader else "")]) from None
    return root


def _refuse_explosion(root: yaml.Node) -> None:
    """Refuse a file whose aliases stand for too many values, before any is expanded.

    Raises:
        Unreadable: with the key at which there are too many.
    """
    sizes: dict[int, int] = {}
    if _expanded(root, sizes, 0) > MAX_VALUES:
        problem = f"with its aliases expanded, the file has more than {MAX_VALUES:,} values"
        fix = "write the values out, or use each anchor once"
        raise Unreadable([Problem(_overflow(root, sizes), FormRule.ALIAS_EXPLOSION, problem, fix)])


def _expanded(node: yaml.Node, sizes: dict[int, int], depth: int) -> int:
    """Return the number of values of a node with its aliases expanded; an alias to itself counts once.

    Args:
        node: the node.
        sizes: of all nodes so far, by their ids.
        depth: of the node.
    """
    if id(node) not in sizes:
        sizes[id(node)] = 1
        if isinstance(node, yaml.CollectionNode) and depth <= MAX_DEPTH:
            sizes[id(node)] += sum(_expanded(each, sizes, depth + 1) for each in _parts(node))
    return sizes[id(node)]


def _parts(node: yaml.CollectionNode) -> Iterator[yaml.Node]:
    for part in node.value:
        yield part[1] if isinstance(node, yaml.MappingNode) else part


def _overflow(root: yaml.Node, sizes: Mapping[int, int]) -> str:
    """Return the path of the key below which the number of values passes the limit."""
    node, path, room = root, "", MAX_VALUES
    while isinstance(node, yaml.MappingNode):
        room -= 1
        for key, value in node.value:
            if sizes[id(value)] > room:
                # A key that is no text may be as large as the value, and is not shown.
                node, path = value, key_path(path, key.value) if isinstance(key, yaml.ScalarNode) else path
                break
            room -= sizes[id(value)]
        else:
            break
    return path


class _Reading:
    """Converts nodes to plain data, and collects the problems."""

    def __init__(self, text: str) -> None:
        self.problems: list[Problem] = []
        self._text = text

    def _report(self, path: str, rule: str, node: yaml.Node, problem: str, fix: str) -> None:
        self.problems.append(Problem(path, rule, f"line {_line(node)}: {problem}", fix))

    def value(self, node: yaml.Node, path: str, parents: tuple[yaml.Node, ...]) -> object:
        """Convert a node.

        Args:
            node: the node.
            path: its key path.
            parents: the mappings and lists that contain it.

        Raises:
            Unreadable: reading on would not end.
        """
        if any(node is parent for parent in parents):
            problem = "the value that starts here contains an alias to itself"
            self._report(path, FormRule.UNKNOWN_ANCHOR, node, problem, "use an alias of a value that ends above it")
            raise Unreadable(self.problems)
        if len(parents) > MAX_DEPTH:
            raise Unreadable([*self.problems, _too_deep(path, node)])
        self._refuse_tag(node, path)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        within = (*parents, node)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(each, f"{path}[{index}]", within) for index, each in enumerate(node.value)]
        return self._mapping(node, path, within)

    def _mapping(self, node: yaml.Node, path: str, within: tuple[yaml.Node, ...]) -> dict[str, object]:
        result: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            below = key_path(path, key)
            if key in result:
                problem = f"{excerpt(key)} occurs twice in this mapping, so one of the two values would be lost"
                self._report(below, FormRule.DUPLICATE_KEY, key_node, problem, "keep one of them, or rename the second")
            result[key] = self.value(value_node, below, within)
            if key == "<<":
                result[key] = self._merge_sources(result[key], key_node, path)
        for source in result.pop("<<", ()):  # type: ignore[attr-defined]
            result = {**source, **result}
        return result

    def _key(self, node: yaml.Node, path: str) -> str:
        written = excerpt(node.value or "null") if isinstance(node, yaml.ScalarNode) else ""
        value = self._scalar(node, path) if isinstance(node, yaml.ScalarNode) else node.value
        if isinstance(value, str):
            self._refuse_tag(node, path)
            return value
        if isinstance(node, yaml.ScalarNode):
            problem = f"the key {written} is {kind_of(value)}, not text"
            fix = f'put it in quotes: "{written}"' if value is not None else "write the key as text"
        else:
            kind = "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
            problem, fix, written = f"a key is {kind}, not text", "write the key as text", f"<{kind}>"
        self._report(path, FormRule.KEY_NOT_TEXT, node, problem, fix)
        return written

    def _merge_sources(self, value: object, node: yaml.Node, path: str) -> list[dict[str, object]]:
        values = value if isinstance(value, list) else [value]
        sources = [each for each in values if isinstance(each, dict)]
        if len(sources) == len(values):
            return sources
        problem = f"<< merges {kind_of(value)}, not a mapping"
        self._report(path, FormRule.BAD_MERGE, node, problem, "merge a mapping: <<: *anchor")
        return []

    def _scalar(self, node: yaml.ScalarNode, path: str) -> object:
        text: str = node.value
        match node.tag.removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return self._number(_integer(text), node, path)
            case "float":
                return self._number(float(text), node, path)
            case "not-finite":
                self._report(
                    path, FormRule.NOT_A_NUMBER, node, f"{text} is not a finite number", "write a finite number"
                )
                return 0
        if not node.style and (kind := _engine_reads(text)):
            problem = f"without quotes, Pulumi's engine reads {excerpt(text)} as {kind} and changes it"
            plainer = "; or remove the underscores" if "_" in text else ""
            self._report(path, FormRule.QUOTES_MISSING, node, problem, f'put it in quotes: "{excerpt(text)}"{plainer}')
        return text

    def _number(self, number: int | float, node: yaml.ScalarNode, path: str) -> int | float:
        """Refuse numbers that different readers round differently."""
        if number in _INTEGERS if isinstance(number, int) else abs(number) < _EXACT:
            return number
        fix = "write a smaller number; or put it in quotes, if it is text"
        self._report(path, FormRule.NOT_A_NUMBER, node, f"the number {excerpt(node.value)} is too large", fix)
        return 0

    def _refuse_tag(self, node: yaml.Node, path: str) -> None:
        if tagged := _TAGGED.match(self._text, node.start_mark.index):
            problem = f"the tag {excerpt(tagged[1])} asks for a special type; a stack file holds plain data only"
            self._report(path, FormRule.YAML_TAG, node, problem, "remove the tag")


def _integer(text: str) -> int | float:
    """Convert an integer; one with more digits than any that fits is not worth converting."""
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-").lower()
    for prefix, base in (("0x", 16), ("0b", 2), ("0o", 8), ("0", 8)):
        if digits.startswith(prefix) and digits != "0":
            return sign * int(digits.removeprefix(prefix), base)
    return sign * int(digits) if len(digits) <= len(str(_INTEGERS.stop)) else math.inf


def _engine_reads(text: str) -> str | None:
    """Return what Go's yaml.v3 makes of a text that is text in every schema of YAML 1.2; None if it stays text."""
    if _TIMESTAMP.fullmatch(text):
        return "a date"
    is_number = not text.startswith("_") and _NUMBER_WITHOUT_UNDERSCORES.fullmatch(text.replace("_", ""))
    return "a number" if is_number else None


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _too_deep(path: str, node: yaml.Node | None) -> Problem:
    line = _line(node) if node is not None else 1
    problem = f"line {line}: more than {MAX_DEPTH} mappings and lists are nested; no key is that deep"
    return Problem(path, FormRule.TOO_DEEP, problem, "close each bracket where its value ends")


def _not_yaml(error: yaml.YAMLError, text: str, path: str) -> Problem:
    """Explain why PyYAML could not compose the document."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        reason = getattr(error, "reason", None) or "it holds characters that YAML forbids"
        return Problem("", FormRule.INVALID_YAML, f"the file is not YAML: {reason}", "remove control characters")
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    reason = getattr(error, "problem", None) or str(error)
    if "undefined alias" in reason:
        name = excerpt(re.split(r"[\s,\]}]", line[mark.column :])[0].removeprefix("*"))
        problem = f"line {mark.line + 1}: *{name} refers to an anchor that does not exist above it"
        return Problem(
            path, FormRule.UNKNOWN_ANCHOR, problem, f"put &{name} on the value that you mean, above this line"
        )
    if "duplicate anchor" in (getattr(error, "context", None) or ""):
        problem = f"line {mark.line + 1}: an anchor of this name exists above"
        return Problem(path, FormRule.DUPLICATE_ANCHOR, problem, "give each anchor its own name")
    if "another document" in reason:
        problem = f"line {mark.line + 1}: a second YAML document starts here; the engine would ignore it silently"
        return Problem(
            "", FormRule.SEVERAL_DOCUMENTS, problem, "remove the `---` line, and what belongs to another file"
        )
    problem = f"line {mark.line + 1}, column {mark.column + 1} is not YAML: {reason}"
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return Problem("", FormRule.INVALID_YAML, problem, "indent with spaces: YAML forbids tabs there")
    return Problem(
        "", FormRule.INVALID_YAML, problem, "check indentation, brackets, quotes and colons at and above that line"
    )
