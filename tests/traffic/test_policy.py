"""What is declared is enforced, live: a named caller on a port that the export lists, and nobody anywhere else."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from mesh_federation.verify.gateway_endpoint import GatewayEndpoint, GatewayResponse, ServiceAddress, request
from tests.checkout import eventually
from tests.traffic.identities import minted
from tests.traffic.lab import PATIENCE, Lab
from tests.traffic.mutations import MESH_WIDE, POLICY, deleted
from tests.traffic.verified import until_green, verify

pytestmark = pytest.mark.long

SHOP = "shop.shop.svc.cluster.local"
HELM = {"app.kubernetes.io/name": "shop", "app.kubernetes.io/instance": "shop"}
PORTS = {"http": (80, 8080), "tcp-data": (7000, 7000), "http-admin": (9000, 9000), "tcp-admin": (7001, 7001)}
"""Ports of a Service of the user's own, as charts make them, and of its pods."""
LISTED = [
    {"name": "http", "number": 80, "protocol": "HTTP", "targetPort": 8080},
    {"name": "tcp-data", "number": 7000, "protocol": "TCP"},
]
UNLISTED = (9000, 7001)
SLEEP, OTHER = "spiffe://east.local/ns/sleep/sa/sleep", "spiffe://east.local/ns/sleep/sa/other"
EXPORT: dict[str, Any] = {
    "cluster": "west",
    "service": "shop/shop",
    "selector": HELM,
    "serviceAccount": "default",
    "ports": LISTED,
    "to": [{"cluster": "east", "serviceAccounts": ["sleep/sleep"]}],
}


def shop(image: str) -> list[dict[str, object]]:
    """A Service whose pods serve HTTP on four ports; two of them are plain TCP to the mesh."""
    metadata = {"name": "shop", "namespace": "shop"}
    containers = [
        {
            "name": name, "image": image, "imagePullPolicy": "IfNotPresent",
            "env": [{"name": "PORT", "value": str(target)}], "ports": [{"containerPort": target}],
        }
        for name, (_, target) in PORTS.items()
    ]  # fmt: skip
    pod = {"metadata": {"labels": HELM}, "spec": {"terminationGracePeriodSeconds": 1, "containers": containers}}
    ports = [{"name": name, "port": port, "targetPort": target} for name, (port, target) in PORTS.items()]
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": HELM, "ports": ports}},
        {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {"replicas": 1, "selector": {"matchLabels": HELM}, "template": pod},
        },
    ]  # fmt: skip


@pytest.fixture
def deployed(lab: Lab) -> Iterator[Lab]:
    """The lab, with that Service in west; a user made it, and the stack knows nothing of it."""
    path = "--output=jsonpath={.spec.template.spec.containers[0].image}"
    image = lab.ask("west", "get", "deployment", "httpbin", "--namespace=httpbin", path)
    namespace = {
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "shop", "labels": {"istio-injection": "enabled"}},
    }  # fmt: skip
    everything = {"apiVersion": "v1", "kind": "List", "items": [namespace, *shop(image)]}
    lab.ask("west", "apply", "--filename=-", stdin=json.dumps(everything))
    status = ["rollout", "status", "deployment/shop", "--namespace=shop", "--timeout=120s"]
    lab.ask("west", *status, limit="0")
    declared = lab.checkout.declared()
    yield lab
    lab.restore(declared)
    lab.ask("west", "delete", "namespace", "shop", "--ignore-not-found", limit="0")


def declare(lab: Lab, scope: str = "mesh", **differently: object) -> None:
    """Export the Service from west, and import it into east.

    With trust for the whole mesh the handshake refuses no caller, so that what is refused is refused by policies.
    """
    with lab.edited() as federation:
        trust, exports, imports = federation["trust"], federation["exports"], federation["imports"]
        assert isinstance(trust, dict) and isinstance(exports, list) and isinstance(imports, list)
        trust["scope"] = scope
        exports.append({**EXPORT, **differently})
        imports.append({"cluster": "east", "from": "west", "service": "shop/shop"})


def answered(lab: Lab, port: int, uri: str = SLEEP) -> GatewayResponse:
    """Call the Service through west's gateway, as proxies do."""
    gateway = GatewayEndpoint("west", lab.gateway("west"), 15443, lab.nodes.connect)
    return request(gateway, ServiceAddress(SHOP, port), minted(lab, "east", uri))


def come_to(lab: Lab, statuses: dict[int, int], uri: str = SLEEP) -> bool:
    """Say whether calls on these ports end with these statuses; 0 is a connection that was ended."""
    return {port: answered(lab, port, uri).status for port in statuses} == statuses


def test_a_named_caller_is_answered_on_listed_ports_and_refused_on_others_of_the_same_service(deployed: Lab) -> None:
    declare(deployed)
    deployed.checkout.up()
    eventually(partial(come_to, deployed, {80: 200, 7000: 200, 9000: 403, 7001: 0}), PATIENCE)
    eventually(partial(come_to, deployed, {80: 403, 7000: 0, 9000: 403, 7001: 0}, OTHER), PATIENCE)
    told = verify(deployed, "--only=refusals.ports", "--only=exports.closed", "--only=exports.covered")
    assert told.code == 0, told.told
    calls = deployed.calls("east", "sleep", 5, f"http://{SHOP}/headers")
    assert {reply.status for reply in calls} == {200}


def test_with_trust_for_each_link_the_handshake_refuses_what_policies_would(deployed: Lab) -> None:
    declare(deployed, scope="link")
    deployed.checkout.up()
    eventually(partial(come_to, deployed, {80: 200, 7000: 200, 9000: 0, 7001: 0}), PATIENCE)
    eventually(partial(come_to, deployed, {80: 0, 7000: 0, 9000: 0, 7001: 0}, OTHER), PATIENCE)
    told = verify(deployed, "--only=refusals", "--only=exports")
    assert told.code == 0, told.told


def test_without_the_policies_the_same_calls_are_answered_on_every_port(deployed: Lab) -> None:
    """What is refused above is refused by them, and by nothing else."""
    declare(deployed)
    deployed.checkout.up()
    eventually(partial(come_to, deployed, {9000: 403}), PATIENCE)
    deleted("west", POLICY, "export-shop-shop", "shop")(deployed)
    deleted("west", POLICY, MESH_WIDE, "istio-system")(deployed)
    eventually(partial(come_to, deployed, {80: 200, 7000: 200, 9000: 200, 7001: 200}), PATIENCE)
    told = verify(deployed, "--only=refusals.ports")
    assert (told.code, told.ended("failed")) == (1, ["refusals.ports"])
    assert all(f"{SHOP}:{port}: {SLEEP} gets status 200" in told.told[0] for port in UNLISTED)


def test_a_policy_beside_its_pods_lets_no_account_in_that_no_export_names(deployed: Lab) -> None:
    """Labels changed after `up`, as a new release of a chart does: the mesh-wide policy still stands."""
    declare(deployed)
    deployed.checkout.up()
    eventually(partial(come_to, deployed, {80: 200}), PATIENCE)
    beside = {"spec": {"selector": {"matchLabels": {"app": "nobody"}}}}
    patch = ["patch", POLICY, "export-shop-shop", "--namespace=shop", "--type=merge", f"--patch={json.dumps(beside)}"]
    deployed.ask("west", *patch)
    eventually(partial(come_to, deployed, {80: 403, 7000: 0}, OTHER), PATIENCE)
    assert come_to(deployed, {80: 403, 7000: 0}, OTHER)


@pytest.mark.parametrize(
    ("differently", "told"),
    [
        ({"selector": {"app": "shop"}}, "the policy would not cover shop-"),
        ({"serviceAccount": "shop"}, "its pods run as default, and callers would expect shop"),
        ({"ports": [{"name": "http", "number": 80, "protocol": "HTTP"}]}, "leads to port 8080 of its pods"),
    ],
    ids=["selector", "account", "port"],
)
def test_an_export_that_is_not_as_its_service_is_refused_and_nothing_is_opened(
    deployed: Lab, differently: dict[str, Any], told: str
) -> None:
    declare(deployed, **differently)
    refused = deployed.checkout.mesh("up", "--yes", f"--stack={deployed.checkout.stack}")
    assert refused.code == 1, refused.text
    assert "west exports shop/shop, which is not as the export says" in refused.text
    assert told in refused.text
    assert deployed.certificate("west", SHOP, 80) is None


def test_an_export_that_was_right_is_not_made_wrong_in_front_of_an_open_gateway(deployed: Lab) -> None:
    declare(deployed)
    deployed.checkout.up()
    eventually(partial(come_to, deployed, {80: 200, 9000: 403}), PATIENCE)
    with deployed.edited() as federation:
        exports = federation["exports"]
        assert isinstance(exports, list)
        exports[-1]["selector"] = {"app": "shop"}
    assert deployed.checkout.mesh("up", "--yes", f"--stack={deployed.checkout.stack}").code == 1
    assert come_to(deployed, {80: 200, 9000: 403})
    assert come_to(deployed, {80: 403}, OTHER)


def test_a_service_that_comes_after_its_export_is_compared_by_the_next_run(lab: Lab) -> None:
    before = lab.checkout.declared()
    declare(lab, selector={"app": "shop"})
    lab.checkout.up()
    try:
        path = "--output=jsonpath={.spec.template.spec.containers[0].image}"
        image = lab.ask("west", "get", "deployment", "httpbin", "--namespace=httpbin", path)
        lab.ask(
            "west", "apply", "--filename=-",
            stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": shop(image)}),
        )  # fmt: skip
        lab.ask("west", "rollout", "status", "deployment/shop", "--namespace=shop", "--timeout=120s", limit="0")
        eventually(lambda: answered(lab, 80, OTHER).status == 403, PATIENCE)  # of the mesh-wide policy
        again = lab.checkout.mesh("up", "--yes", f"--stack={lab.checkout.stack}")
        assert (again.code, "write selector: " in again.text) == (1, True), again.text
        assert verify(lab, "--only=exports.covered").ended("failed") == ["exports.covered"]
    finally:
        lab.restore(before)
        lab.ask("west", "delete", "namespace", "shop", "--ignore-not-found", limit="0")
    until_green(lab)
