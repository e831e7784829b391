"""The engine's property values in Python: what travels in a protobuf Struct, with secrets and unknowns kept apart.

Source of the signatures: the wire format of the Pulumi SDK (`pulumi.runtime.rpc`).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, TypeVar

from google.protobuf import struct_pb2

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
COMPUTED = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
# One per type that the value will have once it is known; the engine sends any of them.
_UNKNOWNS = {
    COMPUTED,
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "030794c1-ac77-496b-92df-f27374a8bd58",
    "e48ece36-62e2-4504-bad9-02848725956a",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
}


class Unknown(Enum):
    """A value that is not known before the update runs."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN


@dataclass(frozen=True)
class Secret:
    """A value that must never be shown."""

    value: "Value"


Value: TypeAlias = "None | bool | float | str | list[Value] | dict[str, Value] | Unknown | Secret"
Properties: TypeAlias = dict[str, Value]
K = TypeVar("K")


def decode(struct: struct_pb2.Struct) -> Properties:
    """Properties as the engine sent them; nulls are left out, as the official plugins do."""
    return {key: _decode(value) for key, value in struct.fields.items() if not value.HasField("null_value")}


def encode(properties: Mapping[str, Value]) -> struct_pb2.Struct:
    """Properties as the engine expects them."""
    return struct_pb2.Struct(fields={key: _encode(value) for key, value in properties.items()})


def plain(value: Value) -> Value:
    """The value without its secret marks."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def has_secret(value: Value) -> bool:
    """Whether a secret is anywhere in the value."""
    return any(isinstance(part, Secret) for part in _parts(value))


def has_unknown(value: Value) -> bool:
    """Whether the value, or a part of it, is not known yet."""
    return any(part is UNKNOWN for part in _parts(value))


def secret_texts(value: Value) -> Iterator[str]:
    """Every text that a secret in the value holds."""
    for part in _parts(value):
        if isinstance(part, Secret):
            yield from (text for text in _parts(part.value) if isinstance(text, str))


def differences(old: Value, new: Value, path: str) -> Iterator[tuple[str, str]]:
    """Paths at which two values differ, each with `add`, `delete` or `update`. Secret marks do not count."""
    old, new = plain(old), plain(new)
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _difference(old, new, key, f"{path}{_step(key)}")
    elif isinstance(old, list) and isinstance(new, list):
        before, after = dict(enumerate(old)), dict(enumerate(new))
        for index in sorted(before.keys() | after.keys()):
            yield from _difference(before, after, index, f"{path}[{index}]")
    elif old != new:
        yield path, "update"


def property_differences(old: Properties, new: Properties) -> dict[str, str]:
    """Paths at which two sets of properties differ, each with `add`, `delete` or `update`."""
    found: dict[str, str] = {}
    for key in sorted(old.keys() | new.keys()):
        found.update(_difference(old, new, key, key))
    return found


def _difference(old: Mapping[K, Value], new: Mapping[K, Value], key: K, path: str) -> Iterator[tuple[str, str]]:
    if key not in old:
        yield path, "add"
    elif key not in new:
        yield path, "delete"
    else:
        yield from differences(old[key], new[key], path)


def _step(key: str) -> str:
    return f".{key}" if re.fullmatch(r"[A-Za-z_$][\w$]*", key) else '["{}"]'.format(key.replace('"', '\\"'))


def _parts(value: Value) -> Iterator[Value]:
    yield value
    if isinstance(value, Secret):
        yield from _parts(value.value)
    elif isinstance(value, list):
        for item in value:
            yield from _parts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _parts(item)


def _decode(value: struct_pb2.Value) -> Value:
    match value.WhichOneof("kind"):
        case "bool_value":
            return value.bool_value
        case "number_value":
            return value.number_value
        case "string_value":
            return UNKNOWN if value.string_value in _UNKNOWNS else value.string_value
        case "list_value":
            return [_decode(item) for item in value.list_value.values]
        case "struct_value":
            fields = {key: _decode(item) for key, item in value.struct_value.fields.items()}
            return Secret(fields.get("value")) if fields.get(SIGNATURE) == SECRET else fields
    return None


def _encode(value: Value) -> struct_pb2.Value:
    match value:
        case None:
            return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        case bool():
            return struct_pb2.Value(bool_value=value)
        case int() | float():
            return struct_pb2.Value(number_value=value)
        case str():
            return struct_pb2.Value(string_value=value)
        case list():
            return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_encode(item) for item in value]))
        case dict():
            return struct_pb2.Value(struct_value=encode(value))
        case Secret():
            return struct_pb2.Value(struct_value=encode({SIGNATURE: SECRET, "value": value.value}))
        case Unknown():
            return struct_pb2.Value(string_value=COMPUTED)
