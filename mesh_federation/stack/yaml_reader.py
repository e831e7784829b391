"""YAML text to a plain tree, with the scalars that Pulumi's engine sees (Go's yaml.v3: YAML 1.2 core).

PyYAML's own constructors read YAML 1.1 (`on` is true), keep the last of two equal keys, recurse as deep as the file
says and expand aliases without limit. So the tree is built here, from the parser's flat list of events.
"""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mesh_federation.stack import files
from mesh_federation.stack.problem import Problem

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_BYTES = 4_000_000
MAX_DEPTH = 40
MAX_NODES = 500_000

_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = {"", "~", "null", "Null", "NULL"}
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_INTEGERS = range(-(2**63), 2**64)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SIGN_INSIDE = re.compile(r"-?0[bo][-+][0-7]+")
_EXACT = 2**53
"""From here on a float is another whole number for each reader."""
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_TIMESTAMP = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([Tt ]\d{1,2}:\d{1,2}:\d{1,2}([.,]\d+)?(Z|[-+]\d\d:\d\d)?)?", re.ASCII)


class Unreadable(Exception):
    """Text that is no tree; carries what is wrong with it."""

    def __init__(self, findings: list[Problem]) -> None:
        """Keep the findings."""
        self.findings = findings
        super().__init__(*findings)


@dataclass
class _Open:
    """A mapping or list whose end has not been seen yet."""

    value: Any
    where: str
    anchor: str | None
    key: str | None = None
    merged: list[Any] = field(default_factory=list)
    nodes: int = 1
    """Nodes in it, aliases expanded."""


def load(file: Path, fix: str) -> object:
    """Build the tree of the one YAML document in this file.

    Args:
        file: where it is.
        fix: what to do when it cannot be read.

    Raises:
        Unreadable: with every problem found, up to the point where the parser could not go on.
    """
    try:
        text = files.head(file, MAX_BYTES + 1)
    except files.NotRead as reason:
        raise Unreadable([Problem("", "unreadable-file", f"cannot read {file}: {reason}", fix)]) from None
    return read(text)


def read(text: bytes) -> object:
    """Build the tree of the one YAML document in this text.

    Raises:
        Unreadable: with every problem found, up to the point where the parser could not go on.
    """
    if len(text) > MAX_BYTES:
        problem = f"the file is larger than {MAX_BYTES:,} bytes; no federation needs that much"
        raise Unreadable(
            [Problem("", "file-too-large", problem, "declare what differs, and leave out what is default")]
        )
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        problem = f"byte 0x{text[error.start]:02x} in line {line} is not UTF-8, the only encoding that is read"
        raise Unreadable([Problem("", "not-utf-8", problem, "save the file as UTF-8")]) from None
    builder = _Builder()
    try:
        for event in yaml.parse(decoded, Loader=_Loader):
            builder.take(event)
    except yaml.YAMLError as error:
        raise Unreadable([*builder.findings, _invalid(error, decoded)]) from None
    if builder.findings:
        raise Unreadable(builder.findings)
    return builder.root


def _invalid(error: yaml.YAMLError, text: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        reason = getattr(error, "reason", None) or "it holds characters that YAML forbids"
        return Problem("", "invalid-yaml", f"the file is not YAML: {reason}", "remove control characters")
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    problem = f"line {mark.line + 1}, column {mark.column + 1} is not YAML: {getattr(error, 'problem', error)}"
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return Problem("", "invalid-yaml", problem, "indent with spaces: YAML forbids tabs there")
    return Problem("", "invalid-yaml", problem, "check indentation, brackets, quotes and colons at and above that line")


class _Builder:
    """Turns parser events into a tree, without recursion, so that no file can exhaust the stack."""

    def __init__(self) -> None:
        self.root: object = None
        self.findings: list[Problem] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._documents = 0
        self._nodes = 0

    def take(self, event: yaml.Event) -> None:
        """Add what this event says to the tree."""
        match event:
            case yaml.DocumentStartEvent():
                self._start_document(event)
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._start(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._end(event)

    def _find(self, rule: str, event: yaml.Event, problem: str, fix: str) -> None:
        line = event.start_mark.line + 1 if event.start_mark else 0
        self.findings.append(Problem(self._where(), rule, f"line {line}: {problem}", fix))

    def _stop(self, rule: str, event: yaml.Event, problem: str, fix: str) -> None:
        self._find(rule, event, problem, fix)
        raise Unreadable(self.findings)

    def _where(self) -> str:
        """Path of the node that comes next."""
        if not self._open:
            return ""
        top = self._open[-1]
        if isinstance(top.value, list):
            return f"{top.where}[{len(top.value)}]"
        return join(top.where, top.key) if top.key is not None else top.where

    def _start_document(self, event: yaml.DocumentStartEvent) -> None:
        self._documents += 1
        if event.version not in (None, (1, 1)):
            problem = f"the directive asks for YAML {'.'.join(map(str, event.version))}, which Pulumi's engine refuses"
            self._find("yaml-version", event, problem, "remove the %YAML line")
        if self._documents > 1:
            self._stop(
                "several-documents",
                event,
                "a second YAML document starts here; the first is read, and the rest ignored without a word",
                "keep one document: remove the `---` line and what does not belong to this file",
            )

    def _start(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        if len(self._open) >= MAX_DEPTH:
            problem = f"more than {MAX_DEPTH} mappings and lists inside each other; no key is that deep"
            self._stop("too-deep", event, problem, "close brackets where they belong")
        self._refuse_tag(event)
        mapping = isinstance(event, yaml.MappingStartEvent)
        if self._key_is_next():
            kind = "a mapping" if mapping else "a list"
            self._find("key-not-text", event, f"{kind} stands where a key belongs", "write the key as text")
            self._open[-1].key = f"<{kind}>"
            self._open.append(_Open({} if mapping else [], self._where(), None, nodes=0))
            self._open[-1].merged.append(None)
            return
        self._open.append(_Open({} if mapping else [], self._where(), event.anchor))

    def _end(self, event: yaml.Event) -> None:
        done = self._open.pop()
        if done.nodes == 0 or None in done.merged:
            return  # it stood in a key's place and has been reported
        if done.merged:
            self._merge(done)
        if done.anchor is not None:
            self._anchors[done.anchor] = (done.value, done.nodes)
        self._put(done.value, done.nodes, event)

    def _merge(self, done: _Open) -> None:
        for value in done.merged:
            for source in value if isinstance(value, list) else [value]:
                for key, inherited in source.items():
                    done.value.setdefault(key, inherited)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._refuse_tag(event)
        plain = event.style is None or event.style == ""
        value: object = self._plain(event) if plain and event.implicit[0] else event.value
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        if self._key_is_next():
            self._key(value, event)
        else:
            self._put(value, 1, event)

    def _plain(self, event: yaml.ScalarEvent) -> object:
        text = event.value
        if text in _NULLS:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text):
            return self._number(text, event)
        if _NOT_FINITE.fullmatch(text):
            self._find("not-a-number", event, f"{text} is no number that can be used", "write a finite number")
            return 0
        if read_as := _read_otherwise(text):
            problem = (
                f"{printable(text)} without quotes is {read_as} to Pulumi's engine, which makes another value of it"
            )
            plainer = "; or leave the underscores out" if "_" in text else ""
            self._find("quotes-missing", event, problem, f'put it in quotes: "{printable(text)}"{plainer}')
        return text

    def _number(self, text: str, event: yaml.ScalarEvent) -> int | float:
        """Read a number, as long as it is the same one to every reader."""
        number = _integer(text) if _INTEGER.fullmatch(text) else float(text)
        if number in _INTEGERS if isinstance(number, int) else abs(number) < _EXACT:
            return number
        fix = "write a smaller number; or put it in quotes, if it is text"
        self._find("not-a-number", event, f"{printable(text)} is too large", fix)
        return 0

    def _alias(self, event: yaml.AliasEvent) -> None:
        name = event.anchor or ""
        if any(above.anchor == name for above in self._open):
            problem = f"*{name} stands inside the value that &{name} is on, which would contain itself"
            self._stop("unknown-anchor", event, problem, f"refer to a value above it, not named {name}")
        if name not in self._anchors:
            problem = f"*{name} refers to no anchor above it"
            self._stop("unknown-anchor", event, problem, f"put &{name} on the value meant, above this line")
        value, nodes = self._anchors[name]
        if self._key_is_next():
            self._key(value, event)
        else:
            self._put(value, nodes, event)

    def _key_is_next(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is None

    def _key(self, value: object, event: yaml.Event) -> None:
        top = self._open[-1]
        if not isinstance(value, str):
            written = printable(getattr(event, "value", None) or "null")
            problem = f"the key {written} is {kind_of(value)}, not text"
            fix = f'put it in quotes: "{written}"' if isinstance(value, int | float | bool) else "write the key as text"
            self._find("key-not-text", event, problem, fix)
            value = written
        top.key = value
        if value in top.value or (value == "<<" and top.merged):
            self._find(
                "duplicate-key",
                event,
                f"{printable(value)} is written twice in this mapping; one of the two values would be lost",
                "keep one of them, or give the second its own name",
            )

    def _put(self, value: object, nodes: int, event: yaml.Event) -> None:
        self._nodes += nodes
        if self._nodes > 4 * MAX_NODES or nodes > MAX_NODES:
            self._stop(
                "alias-explosion",
                event,
                f"with its aliases written out, this file has more than {MAX_NODES:,} values",
                "write the values out, or refer to each anchor once",
            )
        if not self._open:
            self.root = value
            return
        top = self._open[-1]
        top.nodes += nodes
        if isinstance(top.value, list):
            top.value.append(value)
            return
        key, top.key = top.key, None
        if key == "<<":
            self._inherit(top, value, event)
        elif key is not None:
            top.value[key] = value

    def _inherit(self, top: _Open, value: object, event: yaml.Event) -> None:
        sources = value if isinstance(value, list) else [value]
        if all(isinstance(source, dict) for source in sources):
            top.merged.append(value)
            return
        self._find("bad-merge", event, f"<< merges {kind_of(value)}, not a mapping", "refer to a mapping: <<: *anchor")

    def _refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is not None:
            self._find(
                "yaml-tag",
                event,
                f"the tag {printable(event.tag)} asks for a type of its own; only plain data is read",
                "remove the tag",
            )


def _integer(text: str) -> int | float:
    """Read a whole number; what has more digits than any that fits is not worth reading."""
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-").lower()
    for prefix, base in (("0x", 16), ("0b", 2), ("0o", 8)):
        if digits.startswith(prefix):
            return sign * int(digits[2:], base)
    if digits.startswith("0"):
        return sign * int(digits, 8)
    return sign * int(digits) if len(digits) <= len(str(_INTEGERS.stop)) else math.inf


def _read_otherwise(text: str) -> str | None:
    """Say what Pulumi's engine takes a plain text for that no schema of YAML 1.2 knows as such."""
    if _TIMESTAMP.fullmatch(text):
        return "a date"
    plain = "" if text.startswith("_") else text.replace("_", "")
    is_number = any(form.fullmatch(plain) for form in (_INTEGER, _FLOAT, _SIGN_INSIDE))
    return "a number" if is_number else None


_BARE = re.compile(r"[\w<>@:/ -]+", re.ASCII)


def join(where: str, key: str) -> str:
    """Append a key to a path of keys."""
    shown = key if _BARE.fullmatch(key) else f'"{printable(key)}"'
    return f"{where}.{shown}" if where else shown


def printable(value: object, limit: int = 60) -> str:
    """Show a value from a file in one short line, without characters that steer a terminal."""
    text = inert(str(value)[: limit + 1])
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def inert(text: str) -> str:
    """Replace characters that do not print by their numbers."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def kind_of(value: object) -> str:
    """Name the kind of a value as a person would."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"the truth value {str(value).lower()}"
        case int() | float():
            return f"the number {printable(value)}"
        case str():
            return f'the text "{printable(value)}"'
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
    return "no value of YAML"
