"""Declared fields are compared as Pulumi's Kubernetes provider compares them; items added to lists are found beside."""

import pytest

from mesh_federation.verify.differences import added_items, differing, text

LABELS = {"app": "httpbin", "istio.io/rev": "default"}


@pytest.mark.parametrize(
    ("declared", "live", "paths"),
    [
        pytest.param({"a": 1}, {"a": 1}, [], id="equal"),
        pytest.param({"a": 1}, {"a": 2}, ["a"], id="another-value"),
        pytest.param({"a": {"b": 1}}, {"a": {}}, ["a.b"], id="removed-field"),
        pytest.param({"a": {"b": {}}}, {"a": {}}, ["a.b"], id="removed-empty-mapping"),
        pytest.param({"a": {"b": 1}}, {}, ["a"], id="removed-mapping"),
        pytest.param({"a": {"b": 1}}, {"a": "text"}, ["a"], id="text-in-place-of-a-mapping"),
        pytest.param({"a": 1}, {"a": 1, "b": 2}, [], id="added-field"),
        pytest.param({"a": {}}, {"a": {"b": 2}}, [], id="added-field-in-an-empty-mapping"),
        pytest.param({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}]}, [], id="added-field-of-an-item"),
        pytest.param({"a": None}, {}, [], id="declared-as-null"),
        pytest.param({"a": [1, 2]}, {"a": [1]}, ["a[1]"], id="removed-item"),
        pytest.param({"a": [1, 2]}, {"a": [2, 1]}, ["a[0]", "a[1]"], id="items-in-another-order"),
        pytest.param({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 9}, {"b": 1}, {"b": 2}]}, ["a[0].b", "a[1].b"],
                     id="item-added-in-front"),
        pytest.param({"a": [1]}, {"a": [1, 2]}, [], id="item-added-at-the-end"),
        pytest.param({"a": []}, {"a": [1]}, [], id="item-added-to-an-empty-list"),
        pytest.param({"a": [[1, 2]]}, {"a": [[1, 3]]}, ["a[0][1]"], id="list-of-lists"),
        pytest.param({"a": 80}, {"a": "80"}, ["a"], id="number-and-text"),
        pytest.param({"a": 1}, {"a": 1.0}, [], id="whole-number-and-fraction"),
        pytest.param({"a": 1}, {"a": True}, ["a"], id="number-and-truth"),
        pytest.param({"a": False}, {"a": 0}, ["a"], id="truth-and-number"),
        pytest.param({"a": LABELS}, {"a": {"app": "httpbin"}}, ['a["istio.io/rev"]'], id="key-with-dots"),
    ],
)  # fmt: skip
def test_exactly_the_declared_fields_that_differ_are_found(declared: object, live: object, paths: list[str]) -> None:
    assert differing(declared, live) == paths


@pytest.mark.parametrize(
    ("declared", "live", "paths"),
    [
        pytest.param({"spec": {"a": [1]}}, {"spec": {"a": [1]}}, [], id="equal"),
        pytest.param({"spec": {"a": [1]}}, {"spec": {"a": [1, 2, 3]}}, ["spec.a[2]", "spec.a[1]"], id="last-first"),
        pytest.param({"rules": []}, {"rules": [{"verbs": ["*"]}]}, ["rules[0]"], id="to-an-empty-list"),
        pytest.param({"a": [{"b": [1]}]}, {"a": [{"b": [1, 2]}, 3]}, ["a[1]", "a[0].b[1]"], id="in-an-item-too"),
        pytest.param({"a": [[1]]}, {"a": [[1, 2]]}, ["a[0][1]"], id="list-of-lists"),
        pytest.param({"a": [1, 2]}, {"a": [1]}, [], id="removed-item"),
        pytest.param({"a": [1, 2]}, {"a": [9, 1, 2]}, [], id="in-front-so-that-the-last-one-is-declared"),
        pytest.param({"a": [{"b": 1, "c": []}]}, {"a": [{"b": 2, "c": [3]}, {"b": 1, "c": []}]}, [],
                     id="in-an-item-of-somebody-else"),
        pytest.param({"z": [], "a": []}, {"a": [1], "z": [2]}, ["a[0]", "z[0]"], id="in-the-order-of-the-declaration"),
        pytest.param({"a": 1}, {"a": 1, "b": [2]}, [], id="list-that-is-not-declared"),
        pytest.param({"a": [1]}, {"a": "text"}, [], id="text-in-place-of-a-list"),
        pytest.param({"metadata": {"finalizers": ["a"]}}, {"metadata": {"finalizers": ["a", "b"]}}, [],
                     id="finalizer-of-the-cluster"),
        pytest.param({"status": {"a": []}}, {"status": {"a": [1]}}, [], id="status"),
    ],
)  # fmt: skip
def test_exactly_the_items_that_somebody_added_to_declared_lists_are_found(
    declared: dict[str, object], live: dict[str, object], paths: list[str]
) -> None:
    assert [text(path) for path in added_items(declared, live)] == paths
