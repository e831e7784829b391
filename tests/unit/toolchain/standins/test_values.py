"""Values survive the way over the wire, and the wire format is the SDK's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime import rpc

from mesh_federation.toolchain.standins import values
from mesh_federation.toolchain.standins.values import (
    UNKNOWN,
    Secret,
    Value,
    decode,
    encode,
    has_secret,
    plain,
    property_differences,
)

LEAVES = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text() | st.just(UNKNOWN)
KEYS = st.text(min_size=1).filter(lambda key: key != values.SIGNATURE)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3) | inner.map(Secret),
    max_leaves=10,
)


@given(value=VALUES.filter(lambda value: value is not None))
def test_a_value_comes_back_as_it_was_sent(value: Value) -> None:
    assert decode(encode({"it": value})) == {"it": value}


@given(value=VALUES)
def test_plain_takes_every_secret_mark_off(value: Value) -> None:
    assert not has_secret(plain(value))


@given(value=VALUES)
def test_nothing_differs_from_itself_marked_secret(value: Value) -> None:
    assert property_differences({"it": value}, {"it": Secret(value)}) == {}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1.0}, {}),
        ({}, {"a": 1}, {"a": "add"}),
        ({"a": 1}, {}, {"a": "delete"}),
        ({"e": {"A": "1"}}, {"e": {"A": "2", "B c": "3"}}, {"e.A": "update", 'e["B c"]': "add"}),
        ({"l": ["a", "b"]}, {"l": ["a"]}, {"l[1]": "delete"}),
        ({"a": "1"}, {"a": UNKNOWN}, {"a": "update"}),
    ],
)
def test_differences_name_their_paths(old: values.Properties, new: values.Properties, expected: dict[str, str]) -> None:
    assert property_differences(old, new) == expected


def test_signatures_are_those_of_the_sdk() -> None:
    ours = (values.SIGNATURE, values.SECRET, values.COMPUTED)
    assert ours == (rpc._special_sig_key, rpc._special_secret_sig, rpc.UNKNOWN)
