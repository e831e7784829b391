"""Whatever a file holds, reading it ends in a federation or in problems."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh_federation import loader, rules
from mesh_federation.stack import json_schema, yaml_reader
from mesh_federation.stack.problem import InvalidModel
from tests.unit.stack.large import federation

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


def _parses_or_reports(tree: object) -> None:
    try:
        loader.parse(tree)
    except InvalidModel as invalid:
        assert invalid.problems
        assert all(text.isprintable() for f in invalid.problems for text in (f.where, f.rule, f.what, f.fix))


def _reads_or_reports(text: bytes, folder: Path) -> None:
    file = folder / "Pulumi.fuzz.yaml"
    file.write_bytes(text)
    try:
        loader.read(file)
    except InvalidModel as invalid:
        assert invalid.problems


@given(tree=TREES)
def test_any_tree_gives_a_federation_or_problems(tree: object) -> None:
    _parses_or_reports(tree)


@given(path=st.lists(st.integers(0, 5), max_size=6), value=TREES)
def test_any_change_of_a_sound_tree_gives_a_federation_or_problems(path: list[int], value: object) -> None:
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
    _parses_or_reports(tree)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.binary(max_size=200))
def test_any_bytes_give_a_federation_or_problems(text: bytes, tmp_path: Path) -> None:
    _reads_or_reports(text, tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text("abk:-[]{},&*#!|>'\"?%@` \n\t0.1<~é", max_size=60))
def test_any_text_that_looks_like_yaml_gives_a_federation_or_problems(text: str, tmp_path: Path) -> None:
    _reads_or_reports(text.encode(), tmp_path)


@pytest.mark.parametrize("text", [b"[" * 100_000, b"{a: " * 100_000, b"- " * 100_000, b"? " * 50_000])
def test_depth_does_not_exhaust_the_stack(text: bytes, tmp_path: Path) -> None:
    _reads_or_reports(text, tmp_path)


def _rules(tree: object) -> list[str]:
    with pytest.raises(InvalidModel) as raised:
        loader.parse(tree)
    return [problem.rule for problem in raised.value.problems]


def test_values_that_are_no_plain_data_are_reported() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (object(), b"bytes", float("nan"), {1, 2}, deep):
        assert _rules({"clusters": {"east": {}}, "istio": {"values": {"a": value}}}) == ["not-plain-data"]
    assert _rules({"clusters": {"\ud800": {}}}) == ["wrong-value"]


def test_unreadable_files_are_reported(tmp_path: Path) -> None:
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (yaml_reader.MAX_BYTES + 1))
    for file, rule in (
        (tmp_path / "none.yaml", "unreadable-file"),
        (tmp_path, "unreadable-file"),
        (large, "file-too-large"),
    ):
        with pytest.raises(InvalidModel) as raised:
            loader.read(file)
        assert [problem.rule for problem in raised.value.problems] == [rule]


def test_a_large_federation_satisfies_all_rules() -> None:
    assert len(loader.parse(federation()).imports) == 2000


def test_problems_are_sorted_by_key_path_and_unique() -> None:
    imports = [{"cluster": "east", "from": "west", "service": f"a/s{index}"} for index in range(12)]
    with pytest.raises(InvalidModel) as raised:
        loader.parse({"clusters": {"east": {}, "west": {}}, "imports": imports})
    assert [problem.where for problem in raised.value.problems] == [f"imports[{index}]" for index in range(12)]
    assert rules.ordered(raised.value.problems * 2) == raised.value.problems
