"""What guards an export is looked at for every protocol and on every kind of cluster; who opens it is named."""

from typing import Any

import pytest

from mesh_federation.verify import exports, gateways, refusals
from mesh_federation.verify.context import Context
from mesh_federation.verify.curl import CurlResponse
from mesh_federation.verify.gateway_endpoint import GatewayEndpoint, GatewayResponse, ServiceAddress
from mesh_federation.verify.runner import run_one
from mesh_federation.verify.verdict import Verdict
from tests.unit.verify.fake_clusters import STACKS, context, fake, pod

HOST = "httpbin.httpbin.svc.cluster.local"
OK, RBAC = GatewayResponse(200, "hello"), GatewayResponse(403, "RBAC: access denied")
ENDED, OPEN = GatewayResponse(0, "the connection was closed"), GatewayResponse(-1, "no answer within 5 s")


def judged(whole: Context, check: str, cluster: str = "west") -> Verdict:
    """Judge one check of one cluster."""
    every = [*exports.checks(whole), *gateways.checks(whole), *refusals.checks(whole)]
    [found] = [each for each in every if each.id == check and each.description.startswith(f"{cluster}: ")]
    return run_one(found).verdict


def service(selector: dict[str, str], *ports: dict[str, object]) -> dict[str, Any]:
    """The Service httpbin, as west's API server gives it."""
    served = [{"name": "http", "port": 8000, "targetPort": 8080, "protocol": "TCP"}, *ports]
    metadata = {"name": "httpbin", "namespace": "httpbin"}
    return {"metadata": metadata, "spec": {"selector": selector, "ports": served}}


def runs(whole: Context, served: object, *pods: object) -> Context:
    """Say what Service west has, and which pods."""
    west = fake(whole.clusters["west"])
    west.lists("pods", *pods)
    west.when("get", "service", "httpbin", out=served or "")
    west.lists("services", *([served] if served else []))
    return whole


# Covered.


@pytest.mark.parametrize("stack", ["east-west", "simulated"])
def test_a_policy_that_has_the_labels_the_account_and_the_ports_of_all_pods_covers_them(stack: str) -> None:
    whole = runs(context(stack), service({"app": "httpbin"}), pod("httpbin", "httpbin"))
    assert judged(whole, "exports.covered").status == "passed"


@pytest.mark.parametrize("stack", ["east-west", "simulated"])
@pytest.mark.parametrize(
    ("served", "account", "found"),
    [
        (service({"name": "shop"}), "httpbin", "the policy would not cover other-0"),
        (service({}), "httpbin", "the Service has no selector"),
        (service({"app": "httpbin"}), "default", "run as default"),
        (
            service({"app": "httpbin"}) | {"spec": {"selector": {"app": "httpbin"}, "ports": []}},
            "httpbin",
            "no port 8000",
        ),
    ],
    ids=["labels", "no-selector", "account", "port"],
)
def test_a_policy_that_stands_beside_the_pods_is_told_on_simulated_clusters_too(
    stack: str, served: object, account: str, found: str
) -> None:
    whole = runs(context(stack), served, pod("other", "httpbin", account))
    verdict = judged(whole, "exports.covered")
    assert (verdict.status, found in verdict.message) == ("failed", True), verdict.message


def test_a_service_that_is_not_there_yet_has_no_pods_to_cover() -> None:
    assert judged(runs(context(), None), "exports.covered").status == "not-applicable"


# Ports.


def asked(
    monkeypatch: pytest.MonkeyPatch, answer: GatewayResponse, *ports: dict[str, object], leads: int = 9000
) -> Verdict:
    """Judge west's export, whose Service has these ports too, when they answer like this."""
    whole = runs(context(), service({"app": "httpbin"}, *ports), pod("httpbin", "httpbin"))
    slices = {"ports": [{"name": "http", "port": 8080}, {"name": "admin", "port": leads}]}
    fake(whole.clusters["west"]).lists("endpointslices.discovery.k8s.io", slices)

    def request(endpoint: GatewayEndpoint, service: ServiceAddress, caller: object) -> GatewayResponse:
        return OK if service == ServiceAddress(HOST, 8000) else answer

    monkeypatch.setattr(refusals, "request", request)
    return judged(whole, "refusals.ports")


ADMIN: dict[str, object] = {"name": "admin", "port": 9000, "targetPort": 9000, "protocol": "TCP"}


@pytest.mark.parametrize(
    ("answer", "status"), [(RBAC, "passed"), (ENDED, "passed"), (OK, "failed"), (OPEN, "failed")],
    ids=["http-refused", "tcp-refused", "http-answered", "tcp-let-through"],
)  # fmt: skip
def test_a_named_caller_is_refused_on_a_port_that_the_export_does_not_list(
    monkeypatch: pytest.MonkeyPatch, answer: GatewayResponse, status: str
) -> None:
    verdict = asked(monkeypatch, answer, ADMIN)
    assert verdict.status == status
    assert status == "passed" or f"{HOST}:9000: spiffe://east.local/ns/sleep/sa/sleep" in verdict.message


def test_a_port_that_leads_to_an_exported_port_of_the_pods_opens_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = asked(monkeypatch, OK, ADMIN, leads=8080)
    assert (verdict.status, "no other port that leads" in verdict.message) == ("passed", True)


def test_a_refusal_on_another_port_means_nothing_where_the_exported_one_is_refused_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = runs(context(), service({"app": "httpbin"}, ADMIN), pod("httpbin", "httpbin"))
    fake(whole.clusters["west"]).lists("endpointslices.discovery.k8s.io")
    monkeypatch.setattr(refusals, "request", lambda *_: OPEN)
    assert judged(whole, "refusals.ports").status == "could-not-run"


def test_a_gateway_may_show_other_ports_of_what_is_exported_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = runs(context(), None)
    west = fake(whole.clusters["west"])
    other = {"metadata": {"name": "secret", "namespace": "shop"}, "spec": {"ports": [{"port": 80}]}}
    west.lists("services", service({"app": "httpbin"}, ADMIN), other)
    west.lists("serviceentries.networking.istio.io")
    tried: list[str] = []
    monkeypatch.setattr(exports, "connection_error", lambda endpoint: "")
    monkeypatch.setattr(exports, "presented_certificate", lambda endpoint, service: tried.append(str(service)))
    assert judged(whole, "exports.closed").status == "passed"
    assert "secret.shop.svc.cluster.local:80" in tried
    assert not [each for each in tried if each.startswith(HOST)]


# Objects of others.


def gateway(name: str, namespace: str, selector: dict[str, str]) -> dict[str, object]:
    server = {"port": {"number": 15443}, "hosts": ["*.local"]}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"selector": selector, "servers": [server]}}


def standard(name: str, address: str) -> dict[str, object]:
    spec = {"addresses": [{"value": address}], "listeners": [{"hostname": "a.mesh.global", "port": 15443}]}
    return {"metadata": {"name": name, "namespace": "istio-system"}, "spec": spec}


OWN = gateway("export-httpbin-httpbin", "istio-system", {"app": "istio-eastwestgateway", "istio": "eastwestgateway"})
ABSENT = "Error from server (NotFound): the server could not find the requested resource"


def offering(stack: str, *found: object, standards: object = None) -> Verdict:
    whole = runs(context(stack), None, pod("istio-eastwestgateway", "istio-system"))
    west = fake(whole.clusters["west"])
    west.lists("gateways.networking.istio.io", *found)
    if standards is None:
        west.when("/apis/gateway.networking.k8s.io/v1/gateways", error=ABSENT)
    else:
        west.when("/apis/gateway.networking.k8s.io/v1/gateways", out={"items": standards})
    return judged(whole, "gateways.undeclared")


@pytest.mark.parametrize("stack", ["east-west", "simulated"])
def test_gateways_of_the_stack_and_those_of_other_gateways_are_nobodys_business(stack: str) -> None:
    ingress = gateway("web", "shop", {"istio": "ingressgateway"})
    assert offering(stack, OWN, ingress).status == "passed"


@pytest.mark.parametrize("stack", STACKS)
def test_every_gateway_that_the_stack_makes_is_its_own(stack: str) -> None:
    whole = context(stack)
    for name, cluster in whole.clusters.items():
        made = [body for body in cluster.plan.bodies if body["kind"] == "Gateway"]
        istios = [body for body in made if str(body["apiVersion"]).startswith("networking")]
        kubectl = fake(cluster)
        kubectl.lists("pods")
        kubectl.lists("gateways.networking.istio.io", *istios)
        standards = [body for body in made if body not in istios and "addresses" in body["spec"]]  # type: ignore[operator]
        kubectl.when("/apis/gateway.networking.k8s.io/v1/gateways", out={"items": standards})
        assert judged(whole, "gateways.undeclared", name).status == "passed"


@pytest.mark.parametrize("stack", ["east-west", "simulated"])
@pytest.mark.parametrize("selector", [{"istio": "eastwestgateway"}, {"app": "istio-egressgateway"}, {}])
def test_a_gateway_of_others_that_uses_the_stacks_own_is_named(stack: str, selector: dict[str, str]) -> None:
    verdict = offering(stack, OWN, gateway("evil", "httpbin", selector))
    assert (verdict.status, verdict.message) == ("failed", "Gateway httpbin/evil serves *.local on 15443")


def test_a_gateway_of_the_gateway_api_that_is_served_by_the_stacks_own_is_named() -> None:
    ours = standard("passthrough-httpbin-httpbin", "istio-eastwestgateway.istio-system.svc.cluster.local")
    theirs = standard("evil", "istio-eastwestgateway.istio-system.svc.cluster.local")
    elsewhere = standard("web", "ingress.istio-system.svc.cluster.local")
    assert offering("gateway-api", standards=[ours, elsewhere]).status == "passed"
    verdict = offering("gateway-api", standards=[ours, theirs])
    assert (verdict.status, verdict.message) == ("failed", "Gateway istio-system/evil serves a.mesh.global on 15443")


def secured(name: str, **spec: object) -> dict[str, object]:
    return {"metadata": {"name": name, "namespace": "httpbin"}, "spec": spec}


PERMISSIVE, STRICT, UNSET = {"mode": "PERMISSIVE"}, {"mode": "STRICT"}, {"mode": "UNSET"}


@pytest.mark.parametrize("stack", ["east-west", "simulated"])
@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"mtls": PERMISSIVE}, "httpbin/open has PERMISSIVE"),
        ({"mtls": {"mode": "DISABLE"}}, "httpbin/open has DISABLE"),
        ({"mtls": STRICT, "portLevelMtls": {"8080": PERMISSIVE}}, "httpbin/open has PERMISSIVE on port 8080"),
        ({"mtls": STRICT}, ""),
        ({"selector": {"matchLabels": {"app": "x"}}, "mtls": UNSET}, ""),
        ({}, ""),
    ],
    ids=["permissive", "disable", "port", "strict", "unset", "empty"],
)
def test_what_lets_calls_in_without_mutual_tls_is_named_whoever_made_it(
    stack: str, spec: dict[str, object], found: str
) -> None:
    whole = context(stack)
    default = {"metadata": {"name": "default", "namespace": "istio-system"}, "spec": {"mtls": STRICT}}
    fake(whole.clusters["west"]).lists("peerauthentications", default, secured("open", **spec))
    verdict = judged(whole, "refusals.strict")
    assert (verdict.status, verdict.message if found else "") == ("failed" if found else "passed", found)


# Flat networks.


def reached(monkeypatch: pytest.MonkeyPatch, status: int, ip: str = "10.30.0.9", network: str = "") -> Verdict:
    """Judge west when a caller in east calls its pod by address."""
    whole = context()
    if network:
        for cluster in whole.clusters.values():
            object.__setattr__(cluster.plan, "declared", cluster.plan.declared.model_copy(update={"network": network}))
    fake(whole.clusters["east"]).lists("pods", pod("sleep", "sleep", ip="10.10.0.9"))
    fake(whole.clusters["west"]).lists("pods", pod("httpbin", "httpbin", ip=ip))
    monkeypatch.setattr(refusals, "call", lambda proxy, url, count: [CurlResponse(status, "", "", url)])
    return judged(whole, "refusals.direct")


def test_a_pod_that_is_reached_by_its_address_from_another_network_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = reached(monkeypatch, 200)
    assert (verdict.status, verdict.message) == ("failed", "east reaches httpbin/httpbin-0 by its address")


@pytest.mark.parametrize("status", [0, 502])
def test_pods_that_do_not_answer_by_address_are_out_of_reach(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    assert reached(monkeypatch, status).status == "passed"


def test_an_address_that_a_pod_of_the_callers_cluster_has_too_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reached(monkeypatch, 200, ip="10.10.0.9").status == "not-applicable"


def test_clusters_that_are_declared_to_be_on_one_network_reach_each_other_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    verdict = reached(monkeypatch, 200, network="vpc")
    assert (verdict.status, "one network, vpc" in verdict.message) == ("not-applicable", True)
