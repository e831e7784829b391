"""Whatever is in a file, reading it ends in a federation or in findings."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mesh_federation import loader, rules
from mesh_federation.stack import json_schema, yaml_reader
from mesh_federation.stack.config import Declared, Entry
from mesh_federation.stack.problem import InvalidModel
from tests.unit.stack.large import federation

CORPUS = Path(__file__).with_name("corpus")
KEYS = sorted({key for d in json_schema.schema()["$defs"].values() for key in d.get("properties", {})})  # type: ignore[attr-defined]
WORDS = st.sampled_from(
    [*KEYS, "east", "west", "httpbin/httpbin", "10.0.0.0/16", "HTTP", "1.31.0", "kind", "remote", ""]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
TREES = st.recursive(
    SCALARS,
    lambda t: st.lists(t, max_size=4) | st.dictionaries(WORDS | st.text(max_size=5), t, max_size=5),
    max_leaves=25,
)
SOUND = {
    "clusters": {"east": {}, "west": {}},
    "exports": [
        {
            "cluster": "west",
            "service": "httpbin/httpbin",
            "ports": [{"name": "http", "number": 8000, "protocol": "HTTP"}],
            "to": [{"cluster": "east", "serviceAccounts": ["sleep/sleep"]}],
        }
    ],
    "imports": [{"cluster": "east", "from": "west", "service": "httpbin/httpbin"}],
}


def _parses_or_finds(tree: object) -> None:
    try:
        loader.parse(tree)
    except InvalidModel as invalid:
        assert invalid.problems
        assert all(text.isprintable() for f in invalid.problems for text in (f.where, f.rule, f.what, f.fix))


def _reads_or_finds(text: bytes, folder: Path) -> None:
    file = folder / "Pulumi.fuzz.yaml"
    file.write_bytes(text)
    try:
        loader.read(file)
    except InvalidModel as invalid:
        assert invalid.problems


@given(tree=TREES)
def test_any_tree_gives_a_federation_or_findings(tree: object) -> None:
    _parses_or_finds(tree)


@given(path=st.lists(st.integers(0, 5), max_size=6), value=TREES)
def test_any_change_of_a_sound_tree_gives_a_federation_or_findings(path: list[int], value: object) -> None:
    tree: Any = json.loads(json.dumps(SOUND))
    here = tree
    for step in path[:-1]:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        if not keys or not isinstance(here[keys[step % len(keys)]], dict | list):
            break
        here = here[keys[step % len(keys)]]
    keys = list(here) if isinstance(here, dict) else list(range(len(here)))
    if keys:
        here[keys[(path or [0])[-1] % len(keys)]] = value
    _parses_or_finds(tree)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.binary(max_size=200))
def test_any_bytes_give_a_federation_or_findings(text: bytes, tmp_path: Path) -> None:
    _reads_or_finds(text, tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text("abk:-[]{},&*#!|>'\"?%@` \n\t0.1<~é", max_size=60))
def test_any_text_that_looks_like_yaml_gives_a_federation_or_findings(text: str, tmp_path: Path) -> None:
    _reads_or_finds(text.encode(), tmp_path)


PLAIN = st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text("abyn-:#1 é", max_size=6)


@given(tree=st.lists(st.recursive(PLAIN, st.lists, max_leaves=9)))
def test_what_is_written_as_yaml_is_read_back(tree: list[object]) -> None:
    assert yaml_reader.read(json.dumps(tree).encode()) == tree
    assert yaml_reader.read(yaml.safe_dump(tree, allow_unicode=True).encode()) == tree


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("yes", "yes"), ("No", "No"), ("TRUE", True), ("~", None), ("0x1F", 31), ("0o17", 15),
        ("017", 15), ("-7", -7), ("1e3", 1000.0), (".5", 0.5), ("12:30", "12:30"), ("2024-01", "2024-01"),
        ("1.31.0", "1.31.0"), ("089", 89.0), ("'1'", "1"), ("0x", "0x"), ("<<", "<<"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_the_engine(text: str, value: object) -> None:
    read = yaml_reader.read(text.encode())
    assert (type(read), read) == (type(value), value)


def _read(text: str) -> object:
    """Read a plain scalar; a list of rules where it is refused."""
    try:
        return yaml_reader.read(text.encode())
    except yaml_reader.Unreadable as unreadable:
        return [finding.rule for finding in unreadable.problems]


ENGINE: dict[str, object] = json.loads(Path(__file__).with_name("scalars.json").read_text(encoding="utf-8"))
"""Plain scalars and what the loader of Pulumi 3.259 makes of them."""


@pytest.mark.parametrize("text", ENGINE)
def test_a_plain_scalar_means_to_us_what_it_means_to_the_engine_or_is_refused(text: str) -> None:
    read, expected = _read(text), ENGINE[text]
    is_number = isinstance(expected, int | float) and not isinstance(expected, bool)
    is_refused = read in (["quotes-missing"], ["not-a-number"], ["yaml-tag"])
    assert is_refused or (read == expected and (is_number or type(read) is type(expected)))


@pytest.mark.parametrize("text", ["2026-11-01", "2026-1-1T1:00:00Z", "1_000", "1_000.5", "0_8", "0b+1", "+_1", ".1_0"])
def test_what_looks_like_text_and_is_none_to_the_engine_needs_quotes(text: str) -> None:
    assert _read(text) == ["quotes-missing"]
    assert _read(f"'{text}'") == text


@pytest.mark.parametrize("text", ["18446744073709551616", "-9223372036854775809", "0x1FFFFFFFFFFFFFFFF", "1e16"])
def test_a_number_that_does_not_fit_is_refused(text: str) -> None:
    assert _read(text) == ["not-a-number"]


@pytest.mark.parametrize("text", ["0b_", "_1", "2026-11-01x", "20261101T1", "1_a", "v1_0", "12:30", "1.31.0"])
def test_what_is_text_to_both_needs_no_quotes(text: str) -> None:
    assert _read(text) == text


@pytest.mark.parametrize("text", [b"[" * 100_000, b"{a: " * 100_000, b"- " * 100_000, b"? " * 50_000])
def test_depth_does_not_exhaust_the_stack(text: bytes, tmp_path: Path) -> None:
    _reads_or_finds(text, tmp_path)


def _rules(tree: object) -> list[str]:
    with pytest.raises(InvalidModel) as raised:
        loader.parse(tree)
    return [finding.rule for finding in raised.value.problems]


def test_what_is_not_data_is_a_finding() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (object(), b"bytes", float("nan"), {1, 2}, deep):
        assert _rules({"clusters": {"east": {}}, "istio": {"values": {"a": value}}}) == ["not-plain-data"]
    assert _rules({"clusters": {"\ud800": {}}}) == ["wrong-value"]


def test_files_that_cannot_be_read_are_findings(tmp_path: Path) -> None:
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (yaml_reader.MAX_BYTES + 1))
    for file, rule in (
        (tmp_path / "none.yaml", "unreadable-file"),
        (tmp_path, "unreadable-file"),
        (large, "file-too-large"),
    ):
        with pytest.raises(InvalidModel) as raised:
            loader.read(file)
        assert [finding.rule for finding in raised.value.problems] == [rule]


def test_the_committed_schema_is_that_of_the_types() -> None:
    assert json_schema.FILE.read_text() == json_schema.rendered(), "run python -m mesh_federation.stack.json_schema"


@pytest.mark.parametrize("file", sorted((CORPUS / "valid").glob("*.yaml")), ids=lambda path: path.stem)
def test_valid_files_satisfy_the_schema(file: Path) -> None:
    jsonschema.validate(yaml_reader.read(file.read_bytes()), json_schema.schema())


@pytest.mark.parametrize("name", ["config-unknown-key", "shape-snake-case", "shape-many-at-once", "shape-no-clusters"])
def test_misshapen_files_do_not_satisfy_the_schema(name: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml_reader.read((CORPUS / f"{name}.yaml").read_bytes()), json_schema.schema())


def test_a_large_federation_is_sound() -> None:
    assert len(loader.parse(federation()).imports) == 2000


def test_findings_come_in_the_order_of_the_file_and_once() -> None:
    imports = [{"cluster": "east", "from": "west", "service": f"a/s{index}"} for index in range(12)]
    with pytest.raises(InvalidModel) as raised:
        loader.parse({"clusters": {"east": {}, "west": {}}, "imports": imports})
    assert [finding.where for finding in raised.value.problems] == [f"imports[{index}]" for index in range(12)]
    assert rules.ordered(raised.value.problems * 2) == raised.value.problems


KINDS = {kind.__name__: kind for kind in (*Declared.__subclasses__(), *Entry.__subclasses__())}
WRITTEN_EMPTY = sorted(
    (name, field.alias or key) for name, kind in KINDS.items() for key, field in kind.model_fields.items()
)


@pytest.mark.parametrize(("kind", "key"), WRITTEN_EMPTY)
def test_no_key_takes_nothing_for_left_out(kind: str, key: str) -> None:
    with pytest.raises(ValidationError) as raised:
        KINDS[kind].model_validate_json(json.dumps({key: None}), strict=True)
    assert (key,) in {error["loc"] for error in raised.value.errors() if error["type"] != "missing"}


def test_no_key_takes_null_in_an_editor() -> None:
    assert "null" not in {each for kind in json_schema.schema()["$defs"].values() for each in types_of(kind)}  # type: ignore[attr-defined]


def types_of(tree: object) -> Iterator[str]:
    """Yield the types that a JSON Schema allows anywhere below a place."""
    if isinstance(tree, dict):
        if isinstance(tree.get("type"), str):
            yield tree["type"]
        yield from (each for value in tree.values() for each in types_of(value))
    elif isinstance(tree, list):
        yield from (each for value in tree for each in types_of(value))
