"""Environment variables and the downward API, as kubelets compute them."""

import pytest

from mesh_federation.native.variables import Content, Downward, SourceMissing, environment, expand, quantity
from tests.unit.native.example_pods import container, pod_object, pod_spec

SOURCES: dict[tuple[str, str], Content] = {
    ("configMap", "settings"): {"color": b"red", "bad name!": b"x"},
    ("secret", "password"): {"word": b"sesame"},
}


def lookup(kind: str, name: str) -> Content | None:
    return SOURCES.get((kind, name))


def variables(*entries: dict[str, object], **fields: object) -> dict[str, str]:
    """Return the variables of a container."""
    containers = [container(env=list(entries), **fields)]
    spec = pod_spec(containers=containers)
    downward = Downward(pod_object(containers=containers), spec, "10.10.0.5", "node-a", "172.30.0.2")
    return environment(spec.containers[0], {"BASE": "base"}, lookup, downward)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("$(A)$(B)", "12"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A ${A} $", "$A ${A} $"),
        ("$$", "$"),
        ("$(A", "$(A"),
    ],
)
def test_references_are_expanded_as_kubernetes_does(text: str, expected: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expected


def test_a_variable_refers_to_those_before_it() -> None:
    found = variables({"name": "A", "value": "$(BASE)-$(B)"}, {"name": "B", "value": "$(A)"})
    assert (found["A"], found["B"]) == ("base-$(B)", "base-$(B)")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "web-0"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app']", "web"),
        ("metadata.labels['none']", ""),
        ("metadata.labels", 'app="web"\ntier="front"'),
        ("metadata.annotations", 'note="a \\"quoted\\" text"'),
        ("spec.nodeName", "node-a"),
        ("spec.serviceAccountName", "default"),
        ("status.podIP", "10.10.0.5"),
        ("status.hostIP", "172.30.0.2"),
    ],
)
def test_fields_of_the_pod_can_be_read(path: str, expected: str) -> None:
    assert variables({"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}})["X"] == expected


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"resource": "limits.memory"}, "67108864"),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "64"),
        ({"resource": "limits.memory", "divisor": "100Mi"}, "1"),
        ({"resource": "requests.cpu"}, "1"),
        ({"resource": "requests.cpu", "divisor": "1m"}, "250"),
    ],
)
def test_resources_are_counted_in_their_divisor_and_rounded_up(reference: dict[str, str], expected: str) -> None:
    resources = {"limits": {"memory": "64Mi"}, "requests": {"cpu": "250m"}}
    found = variables({"name": "X", "valueFrom": {"resourceFieldRef": reference}}, resources=resources)
    assert found["X"] == expected


def test_keys_of_config_maps_and_secrets_become_variables() -> None:
    found = variables(
        {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "color"}}},
        {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "password", "key": "word"}}},
        {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "missing", "key": "word", "optional": True}}},
        envFrom=[{"configMapRef": {"name": "settings"}, "prefix": "P_"}],
    )
    assert (found["COLOR"], found["WORD"], found["P_color"]) == ("red", "sesame", "red")
    assert "NONE" not in found
    assert "P_bad name!" not in found


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "missing", "key": "x"}}, 'configmap "missing" not found'),
        ({"secretKeyRef": {"name": "password", "key": "x"}}, "couldn't find key x in secret password"),
    ],
)
def test_a_source_that_is_missing_is_named(source: dict[str, object], message: str) -> None:
    with pytest.raises(SourceMissing, match=message):
        variables({"name": "X", "valueFrom": source})


@pytest.mark.parametrize(
    ("text", "value"), [("500m", 0.5), ("1", 1), ("1Ki", 1024), ("2G", 2e9), ("1.5Gi", 1.5 * 2**30), ("", 0)]
)
def test_quantities_are_numbers(text: str, value: float) -> None:
    assert quantity(text) == value
