"""Sample workloads."""

from typing import Any

import pytest

from mesh_federation.plan.samples import SAMPLES
from mesh_federation.stack.config import Images
from tests.unit.plan.model import Tree, planned, tree


def declared(**given: object) -> Tree:
    return tree(workloads=[{"cluster": "west", "sample": "httpbin", **given}])


def bodies(**given: object) -> list[dict[str, Any]]:
    [sample] = planned(declared(**given), "west").samples
    return [each.body for each in sample.objects]


def test_a_sample_is_an_account_a_service_and_a_deployment() -> None:
    assert [body["kind"] for body in bodies()] == ["ServiceAccount", "Service", "Deployment"]
    assert {(body["metadata"]["namespace"], body["metadata"]["name"]) for body in bodies()} == {("httpbin", "httpbin")}


def test_the_service_finds_the_pods_and_calls_are_made_under_the_accounts_identity() -> None:
    _, service, deployment = bodies()
    template = deployment["spec"]["template"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert deployment["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert template["spec"]["serviceAccountName"] == "httpbin"
    [port] = service["spec"]["ports"]
    assert port["targetPort"] == template["spec"]["containers"][0]["ports"][0]["containerPort"]
    assert (port["name"], port["port"]) == ("http", 8000)


def test_image_replicas_and_namespace_are_the_declared_ones() -> None:
    *_, deployment = bodies(image="example.com/x:1", replicas=3, namespace="other")
    assert deployment["metadata"]["namespace"] == "other"
    assert deployment["spec"]["replicas"] == 3
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "example.com/x:1"


@pytest.mark.parametrize(
    ("revision", "labels"), [("", {"istio-injection": "enabled"}), ("canary", {"istio.io/rev": "canary"})]
)
def test_namespaces_ask_for_the_sidecar_of_the_declared_revision(revision: str, labels: dict[str, str]) -> None:
    [namespace] = planned({**declared(), "istio": {"revision": revision}}, "west").namespaces
    metadata: Any = namespace.body["metadata"]
    assert metadata == {"name": "httpbin", "labels": labels}


@pytest.mark.parametrize(("revision", "asked"), [("", "default"), ("canary", "canary")])
def test_in_a_namespace_that_nobody_labels_the_pods_themselves_ask_for_the_sidecar(revision: str, asked: str) -> None:
    alone = {"exports": [], "imports": [], "istio": {"revision": revision}}
    plan = planned({**declared(namespace="default"), **alone}, "west")
    assert plan.namespaces == ()
    [deployment] = [body for body in plan.bodies if body["kind"] == "Deployment"]
    spec: Any = deployment["spec"]
    assert spec["template"]["metadata"]["labels"]["istio.io/rev"] == asked
    assert "istio.io/rev" not in spec["selector"]["matchLabels"]
    [apart] = [body for body in planned(declared(), "west").bodies if body["kind"] == "Deployment"]
    elsewhere: Any = apart["spec"]
    assert "istio.io/rev" not in elsewhere["template"]["metadata"]["labels"]


def test_the_image_of_every_sample_can_be_taken_from_a_mirror() -> None:
    assert SAMPLES.keys() <= Images.model_fields.keys()
