"""An export of a Service that the stack did not make: compared with it before anything is opened."""

import json
from collections.abc import Iterator

import pytest

from tests.checkout import Checkout
from tests.traffic.lab import Lab

HELM = {"app.kubernetes.io/name": "checkout"}
EXPORT = {
    "cluster": "west",
    "service": "shop/checkout",
    "ports": [{"name": "grpc", "number": 5050, "protocol": "GRPC"}],
    "to": [{"cluster": "east", "serviceAccounts": ["sleep/sleep"]}],
}
GATEWAY = "gateways.networking.istio.io"


@pytest.fixture
def served(running: Checkout) -> Iterator[Lab]:
    """The federation, with a Service in west that is labelled as charts label."""
    lab = Lab(running)
    metadata = {"name": "checkout", "namespace": "shop"}
    spec = {"selector": HELM, "ports": [{"name": "grpc", "port": 5050}]}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    both = {"apiVersion": "v1", "kind": "List", "items": [namespace, body]}
    lab.ask("west", "apply", "--filename=-", stdin=json.dumps(both))
    yield lab
    lab.kubectl("west", "delete", "service", "checkout", "--namespace=shop")


def declare(checkout: Checkout, **differently: object) -> None:
    with checkout.edited() as federation:
        exports = federation["exports"]
        assert isinstance(exports, list)
        exports.append({**EXPORT, **differently})


def offered(lab: Lab) -> list[str]:
    """Gateways of west, by name."""
    told = lab.ask("west", "get", GATEWAY, "--namespace=istio-system", "--output=json")
    return [each["metadata"]["name"] for each in json.loads(told)["items"]]


def test_labels_that_no_pod_of_the_service_has_are_refused_before_the_gateway_opens(served: Lab) -> None:
    declare(served.checkout)
    preview = served.checkout.preview()
    assert [step for step in preview if str(step["urn"]).endswith("west:istio-system/export-shop-checkout")]
    refused = served.checkout.pulumi("up", "--yes", "--skip-preview")
    assert refused.code != 0
    assert "west exports shop/checkout, which is not as the export says" in refused.text
    assert f"write selector: {json.dumps(HELM)} in the export" in refused.text
    again = served.checkout.mesh("up", "--yes", f"--stack={served.checkout.stack}")
    assert (again.code, "which is not as the export says" in again.text) == (1, True)
    assert "export-shop-checkout" not in offered(served)


def test_the_labels_of_the_service_are_taken_and_wrong_ones_change_nothing_after_that(served: Lab) -> None:
    committed = served.checkout.declared()
    declare(served.checkout, selector=HELM)
    served.checkout.up()
    assert "export-shop-checkout" in offered(served)
    served.checkout.declare(committed)
    declare(served.checkout, selector={"app": "checkout"})
    assert served.checkout.preview()
    assert served.checkout.pulumi("up", "--yes", "--skip-preview").code != 0
    policy = served.ask("west", "get", "authorizationpolicies", "export-shop-checkout", "--namespace=shop", "-o=json")
    assert json.loads(policy)["spec"]["selector"] == {"matchLabels": HELM}
