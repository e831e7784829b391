"""JSON documents with the settings of a job or a process: written from a dataclass, validated against it when read."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from types import NoneType, UnionType
from typing import TYPE_CHECKING, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

VARIABLE = "JOB"
"""The environment variable that holds the document of a job."""
NAMES: Mapping[object, str] = {str: "a string", int: "a whole number", bool: "true or false", NoneType: "null"}

T = TypeVar("T")


class DocumentError(ValueError):
    """A document that is not what its reader needs; the text says where and why."""


def write(settings: "DataclassInstance") -> str:
    """Return the document with some settings; equal settings are equal texts."""
    return json.dumps(asdict(settings), sort_keys=True)


def read(kind: type[T], text: str, source: str = VARIABLE) -> T:
    """Read settings from a document.

    Args:
        kind: their dataclass.
        text: the document.
        source: what holds the document, for errors.

    Raises:
        DocumentError: the text is no JSON object, or lacks a key without a default, or has one that is not known, or
            a value of another type. States of users hold documents that are older than keys with defaults.
    """
    try:
        tree = json.loads(text)
    except ValueError as error:
        raise DocumentError(f"{source} holds no JSON document: {error}") from None
    settings = _value(kind, tree, source)
    assert isinstance(settings, kind)
    return settings


def _value(kind: object, tree: object, path: str) -> object:
    """Convert a part of the document to the type that is declared for it."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is object:
        return tree
    if isinstance(kind, type) and is_dataclass(kind):
        return _record(kind, tree, path)
    if origin is tuple:
        if not isinstance(tree, list):
            raise DocumentError(f"{path} must be a list")
        return tuple(_value(arguments[0], item, f"{path}[{index}]") for index, item in enumerate(tree))
    if origin is Mapping:
        return {key: _value(arguments[1], value, f"{path}.{key}") for key, value in _object(tree, path).items()}
    if origin in (Union, UnionType):
        return None if tree is None else _value(arguments[0], tree, path)
    if type(tree) is not kind:  # exactly: true is no number
        raise DocumentError(f"{path} must be {NAMES[kind]}")
    return tree


def _record(kind: "type[DataclassInstance]", tree: object, path: str) -> "DataclassInstance":
    entries = _object(tree, path)
    types = get_type_hints(kind)
    needed = [each.name for each in fields(kind) if each.default is each.default_factory is MISSING]
    if missing := [name for name in needed if name not in entries]:
        raise DocumentError(f"{path} lacks {', '.join(missing)}")
    if unknown := sorted(entries.keys() - {each.name for each in fields(kind)}):
        raise DocumentError(f"{path} has {', '.join(unknown)}, which is not known")
    return kind(**{name: _value(types[name], entry, f"{path}.{name}") for name, entry in entries.items()})


def _object(tree: object, path: str) -> dict[str, object]:
    if not isinstance(tree, dict):
        raise DocumentError(f"{path} must be an object")
    return tree
