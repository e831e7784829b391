"""Translates pydantic's errors about a federation into problems for the person who wrote it."""

import types
from collections.abc import Callable, Iterable, Mapping
from enum import EnumMeta
from ipaddress import IPv4Network
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from mesh_federation.stack.config import Federation
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule, FormRule
from mesh_federation.stack.text import any_of, excerpt, key_path, kind_of, nearest

Location = tuple[int | str, ...]


def problems(errors: Iterable[ErrorDetails]) -> list[Problem]:
    """Translate errors of pydantic into problems of the stack file."""
    reported = list(errors)
    # A list with wrong entries is also reported as too short, because pydantic does not count those entries.
    filled = [e for e in reported if e["type"] != "too_short" or not e["input"]]
    return [_translated(error) for error in filled]


def _translated(error: ErrorDetails) -> Problem:
    location = tuple(error["loc"])
    path = path_of(location)
    translate = _TRANSLATIONS.get(error["type"])
    if translate is not None:
        rule, problem, fix = translate(error, location)
        return Problem(path, rule, problem, fix)
    return Problem(
        path, FormRule.WRONG_VALUE, f"{_shown(error, location)}: {error['msg']}", "write a value that satisfies this"
    )


def path_of(location: Location) -> str:
    """Write a location as a key path: exports[0].ports[1].name."""
    path = ""
    for part in location:
        path = f"{path}[{part}]" if isinstance(part, int) else key_path(path, part)
    return path


def _type_at(location: Location) -> Any:  # noqa: ANN401 - a type form
    """Return the type that is declared at a location; None if there is none."""
    kind: Any = Federation
    for part in location:
        kind = _plain(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = _fields(kind).get(str(part))
        elif get_origin(kind) in (tuple, dict):
            kind = get_args(kind)[0 if get_origin(kind) is tuple else 1]
        else:
            return None
    return _plain(kind)


def may_be_left_out(location: Location) -> bool:
    """Say whether a location is that of an optional key without a default value."""
    field = next((each for each in _declared(location[:-1]) if each.alias == location[-1]), None)
    return field is not None and not field.is_required() and field.default is None


def _plain(kind: Any) -> Any:  # noqa: ANN401 - a type form
    """Strip `| None`."""
    if get_origin(kind) in (Union, types.UnionType):
        return next(arg for arg in get_args(kind) if arg is not type(None))
    return kind


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _declared(location: Location) -> list[FieldInfo]:
    """Return the keys that are declared at a location."""
    kind = _type_at(location)
    return list(kind.model_fields.values()) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _is_secret(location: Location) -> bool:
    return "provided" in location[1:3] and location[0] == "trust" or _type_at(location) is SecretStr


def _shown(error: ErrorDetails, location: Location) -> str:
    """Show a value, unless it may be a private key."""
    if _is_secret(location):
        return "the value (not shown: it may be secret)"
    value = error.get("input")
    if value == "" and isinstance(value, str):
        return "the empty text"
    return excerpt(value) if isinstance(value, str) else kind_of(value)


Translation = tuple[FormRule | FederationRule, str, str]
"""A rule, what is wrong, and what to do."""


def _missing(error: ErrorDetails, location: Location) -> Translation:
    key = str(location[-1])
    parent = location[:-1]
    if key == "name" and len(location) == 5 and "ports" in location:
        return (
            FederationRule.UNNAMED_PORT,
            "the port has no name, but Istio matches the endpoints of other clusters by port name (pitfall 15)",
            "add the name of the Service's port, for example name: http; if it has none, imports as remote or global"
            " accept any name that begins with its protocol",
        )
    example = _EXAMPLES.get(_model_key(parent, key)) or _EXAMPLES.get(("", key)) or f"{key}: ..."
    entry = path_of(parent) or "the federation"
    return FormRule.MISSING_KEY, f"{entry} has no `{key}`, which is required", f"add it, for example {example}"


def _model_key(parent: Location, key: str) -> tuple[str, str]:
    kind = _type_at(parent)
    return (kind.__name__ if isinstance(kind, type) else "", key)


_EXAMPLES: dict[tuple[str, str], str] = {
    ("Federation", "clusters"): "clusters: {east: {}, west: {}}",
    ("", "cluster"): "cluster: west",
    ("", "from"): "from: west",
    ("", "service"): "service: httpbin/httpbin",
    ("", "ports"): "ports: [{name: http, number: 8000, protocol: HTTP}]",
    ("", "number"): "number: 8000",
    ("", "selector"): "selector: {app: httpbin}",
    ("", "protocol"): "protocol: HTTP",
    ("", "to"): "to: [{cluster: east, serviceAccounts: [sleep/sleep]}]",
    ("", "of"): "of: west",
    ("", "sample"): "sample: httpbin",
    ("", "certificate"): "certificate: certs/west/ca-cert.pem",
    ("", "key"): "key: {secure: ...}, as `pulumi config set --secret --path` writes it",
    ("", "root"): "root: certs/root-cert.pem",
    ("Rotation", "phase"): "phase: add",
}


_NOT_SUPPORTED_KEYS = {("Istio", "ambient"): ("ambient meshes are not supported", "remove it: the mesh uses sidecars")}
"""Why a key that people may expect does not exist, and what to do, by the model and the key."""

_NOT_SUPPORTED_WORDS = {
    "cert-manager": (
        "authorities of cert-manager are not supported",
        "write provided, with certificates that cert-manager issued",
    ),
    "spire": ("authorities of SPIRE are not supported", "write common, separate or provided"),
    "cloud-provider-kind": ("this program does not start cloud-provider-kind", "write none, and run it yourself"),
}
"""Why a word that people may expect is not allowed, and what to do."""


def _unknown(error: ErrorDetails, location: Location) -> Translation:
    key = str(location[-1])
    kind = _type_at(location[:-1])
    if reason := _NOT_SUPPORTED_KEYS.get(_model_key(location[:-1], key)):
        return FormRule.UNKNOWN_KEY, *reason
    known = list(_fields(kind)) if isinstance(kind, type) and issubclass(kind, BaseModel) else []
    entry = path_of(location[:-1]) or "the federation"
    meant = nearest(key, known)
    if isinstance(kind, type) and issubclass(kind, BaseModel) and key in kind.model_fields:
        meant = kind.model_fields[key].alias  # the name of the field in Python
    fix = f"write {meant}" if meant else f"use one of {', '.join(known)}; or remove it"
    return FormRule.UNKNOWN_KEY, f"{entry} has no key `{excerpt(key)}`", fix


def _word(error: ErrorDetails, location: Location) -> Translation:
    allowed = [str(getattr(word, "value", word)) for word in _allowed(location)]
    value = error.get("input")
    if isinstance(value, str) and (reason := _NOT_SUPPORTED_WORDS.get(value)):
        return FormRule.WRONG_WORD, *reason
    meant = nearest(value, allowed) if isinstance(value, str) else None
    fix = f"write {meant}; allowed: {', '.join(allowed)}" if meant else f"write {any_of(allowed)}"
    return FormRule.WRONG_WORD, f"{_shown(error, location)} is not a value that this key accepts", fix


def _allowed(location: Location) -> list[object]:
    kind = _type_at(location)
    if get_origin(kind) is not None:
        return list(get_args(kind))
    return list(kind) if isinstance(kind, EnumMeta) else []


def _wrong_type(wanted: str, example: str) -> Callable[[ErrorDetails, Location], Translation]:
    def translate(error: ErrorDetails, location: Location) -> Translation:
        value = error.get("input")
        if isinstance(value, Mapping) and list(value) == ["secure"]:
            problem = "the value is encrypted, but only PEM texts under trust.provided may be encrypted"
            return FormRule.ENCRYPTED_VALUE, problem, f"write {wanted}, not encrypted"
        fix = f"write {wanted}, for example {_example(location) or example}"
        if wanted == "a whole number":
            fix = f"{_range(location)}, as a whole number"
        if _is_secret(location):
            return (
                FormRule.WRONG_TYPE,
                "the value (not shown: it may be secret) is not text",
                "write PEM text",
            )
        if _type_at(location) is IPv4Network:
            fix = "write a subnet, for example 10.10.0.0/16"
        elif str(location[-1]).lower().endswith("version"):
            fix = 'write a full release number, for example "1.31.0"'
        elif wanted == "text" and isinstance(value, bool | int | float):
            fix = f'put it in quotes: "{str(value).lower() if isinstance(value, bool) else value}"'
        if wanted == "a whole number" and isinstance(value, str) and value.strip().isdecimal():
            fix = f"write it without quotes: {value.strip()[:20]}"
        if value is None and not (location[0] == "clusters" and len(location) < 3):
            fix += f"; or remove the key {_LEFT_OUT.get(str(location[-1]), 'to use its default')}"
        return FormRule.WRONG_TYPE, f"the value is {kind_of(value)}, but this key accepts {wanted}", fix

    return translate


_LEFT_OUT = {"serviceAccounts": "to admit every workload of that cluster"}
"""The effect of removing a key, if it is more than using a default."""


def _example(location: Location) -> str | None:
    """Return an example of a value at a location."""
    kind = _type_at(location)
    if location == ("clusters",):
        return "{east: {}, west: {}}"
    if get_origin(kind) is tuple and get_args(kind)[0] is str:
        return "[172.30.128.10]"
    return _MAPPINGS.get(kind.__name__) if isinstance(kind, type) else None


_MAPPINGS = {
    "Cluster": "{} for a cluster with all defaults",
    "Port": "{name: http, number: 8000, protocol: HTTP}",
    "Consumer": "{cluster: east, serviceAccounts: [sleep/sleep]}",
    "Import": "{cluster: east, from: west, service: httpbin/httpbin}",
    "Workload": "{cluster: east, sample: sleep}",
    "Discovery": "{cluster: east, of: west}",
    "Failover": "{consecutiveErrors: 5}",
    "ConnectionPool": "{maxConnections: 100}",
}


def _limit(sentence: str) -> Callable[[ErrorDetails, Location], Translation]:
    def translate(error: ErrorDetails, location: Location) -> Translation:
        limits = _limits(error.get("ctx", {}))
        return FormRule.OUT_OF_RANGE, f"{_shown(error, location)} is {sentence.format(**limits)}", _range(location)

    return translate


def _limits(context: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in context.items() if name in _LIMITS}


_LIMITS = ("ge", "le", "min_length", "max_length")


def _range(location: Location) -> str:
    """Return the limits of a key's number or length, from its declaration."""
    parent = _type_at(location[:-1])
    if not (isinstance(parent, type) and issubclass(parent, BaseModel)):
        return "write a value within its limits"
    fields = {field.alias or name: field for name, field in parent.model_fields.items()}
    found: dict[str, Any] = {}
    for constraint in fields[str(location[-1])].metadata:
        found |= {name: getattr(constraint, name) for name in _LIMITS if hasattr(constraint, name)}
    low, high = found.get("ge", found.get("min_length")), found.get("le", found.get("max_length"))
    unit = " characters" if "max_length" in found else ""
    if low is not None and high is not None:
        return f"write {low} to {high}{unit}"
    return f"write {low} or more{unit}" if low is not None else f"write {high} or fewer{unit}"


def _too_short(error: ErrorDetails, location: Location) -> Translation:
    key = str(location[-1])
    example = _EXAMPLES.get(_model_key(location[:-1], key)) or _EXAMPLES.get(("", key))
    empty = f"{key} is empty, but needs at least one entry"
    fix = f"add one, for example {example}" if example else "add one"
    field = next((each for each in _declared(location[:-1]) if each.alias == key), None)
    return FormRule.EMPTY, empty, fix if field is None or field.is_required() else f"{fix}; or remove the key"


def _network(error: ErrorDetails, location: Location) -> Translation:
    value = error.get("input")
    if not isinstance(value, str):
        return _wrong_type("a subnet", "10.10.0.0/16")(error, location)
    if "/" not in value:
        return (
            FormRule.BAD_SUBNET,
            f"{excerpt(value)} has no prefix length",
            "write it as 10.10.0.0/16",
        )
    try:
        wider = IPv4Network(value, strict=False)
    except ValueError:
        if ":" in value:
            return (
                FormRule.BAD_SUBNET,
                f"{excerpt(value)} is not an IPv4 subnet, the only kind that is supported",
                "write it as 10.10.0.0/16",
            )
        return FormRule.BAD_SUBNET, f"{excerpt(value)} is not an IPv4 subnet", "write it as 10.10.0.0/16"
    address = value.split("/")[0]
    problem = f"{excerpt(value)} is an address in {wider}, not a subnet: it has bits after the prefix"
    return (
        FormRule.HOST_BITS_SET,
        problem,
        f"write {wider}, or a longer prefix if the subnet should start at {address}",
    )


def _pattern(error: ErrorDetails, location: Location) -> Translation:
    key = str(location[-1])
    fix = "write the server version of kubectl version, for example v1.34.4"
    return (
        FormRule.BAD_VERSION,
        f"{_shown(error, location)} is not a full release number",
        fix if key == "kubernetesVersion" else "write it as 1.31.0",
    )


def _value(error: ErrorDetails, location: Location) -> Translation:
    if _type_at(location) is IPv4Network:
        return _network(error, location)
    reason = str(error.get("ctx", {}).get("error", error["msg"]))
    return FormRule.BAD_REFERENCE, f"{_shown(error, location)} is not of the form namespace/name", reason


def _json(error: ErrorDetails, location: Location) -> Translation:
    return (
        FormRule.WRONG_VALUE,
        f"the federation cannot be written as JSON: {error['msg']}",
        "remove unpaired surrogates",
    )


_TRANSLATIONS: dict[str, Callable[[ErrorDetails, Location], Translation]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "literal_error": _word,
    "enum": _word,
    "string_type": _wrong_type("text", "east"),
    "int_type": _wrong_type("a whole number", "8000"),
    "int_from_float": _wrong_type("a whole number", "8000"),
    "int_parsing_size": _wrong_type("a whole number", "8000"),
    "bool_type": _wrong_type("true or false", "true"),
    "tuple_type": _wrong_type("a list", "[...], or lines that start with a dash"),
    "dict_type": _wrong_type("a mapping", "{key: value}"),
    "model_type": _wrong_type("a mapping", "{key: value}"),
    "model_attributes_type": _wrong_type("a mapping", "{key: value}"),
    "greater_than_equal": _limit("below {ge}"),
    "less_than_equal": _limit("above {le}"),
    "string_too_long": _limit("longer than {max_length} characters"),
    "string_too_short": _limit("shorter than {min_length} characters"),
    "too_short": _too_short,
    "ip_v4_network": _network,
    "string_pattern_mismatch": _pattern,
    "value_error": _value,
    "json_invalid": _json,
}
