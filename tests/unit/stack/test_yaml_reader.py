"""YAML has the values that Pulumi's engine reads."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mesh_federation.stack import yaml_reader

PLAIN = st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text("abyn-:#1 é", max_size=6)


@given(tree=st.lists(st.recursive(PLAIN, st.lists, max_leaves=9)))
def test_written_yaml_is_read_back(tree: list[object]) -> None:
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
def test_scalars_have_the_values_of_the_engine(text: str, value: object) -> None:
    read = yaml_reader.read(text.encode())
    assert (type(read), read) == (type(value), value)


def _read(text: str) -> object:
    """Read a plain scalar; a list of rules where it is refused."""
    try:
        return yaml_reader.read(text.encode())
    except yaml_reader.Unreadable as unreadable:
        return [problem.rule for problem in unreadable.problems]


ENGINE: dict[str, object] = json.loads(Path(__file__).with_name("scalars.json").read_text(encoding="utf-8"))
"""Plain scalars and the values that Pulumi 3.259 reads."""


@pytest.mark.parametrize("text", ENGINE)
def test_a_plain_scalar_has_the_value_that_the_engine_reads_or_is_refused(text: str) -> None:
    read, expected = _read(text), ENGINE[text]
    is_number = isinstance(expected, int | float) and not isinstance(expected, bool)
    is_refused = read in (["quotes-missing"], ["not-a-number"], ["yaml-tag"])
    assert is_refused or (read == expected and (is_number or type(read) is type(expected)))


@pytest.mark.parametrize("text", ["2026-11-01", "2026-1-1T1:00:00Z", "1_000", "1_000.5", "0_8", "0b+1", "+_1", ".1_0"])
def test_text_that_the_engine_reads_as_something_else_needs_quotes(text: str) -> None:
    assert _read(text) == ["quotes-missing"]
    assert _read(f"'{text}'") == text


@pytest.mark.parametrize("text", ["18446744073709551616", "-9223372036854775809", "0x1FFFFFFFFFFFFFFFF", "1e16"])
def test_a_number_that_does_not_fit_is_refused(text: str) -> None:
    assert _read(text) == ["not-a-number"]


@pytest.mark.parametrize("text", ["0b_", "_1", "2026-11-01x", "20261101T1", "1_a", "v1_0", "12:30", "1.31.0"])
def test_text_that_stays_text_in_the_engine_needs_no_quotes(text: str) -> None:
    assert _read(text) == text
