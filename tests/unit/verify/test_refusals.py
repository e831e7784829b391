"""A refusal counts only where somebody else gets through; who gets through and must not is named."""

import pytest

from mesh_federation.verify import refusals
from mesh_federation.verify.certificates import Identity
from mesh_federation.verify.context import Context
from mesh_federation.verify.gateway_endpoint import GatewayEndpoint, GatewayResponse, ServiceAddress
from mesh_federation.verify.runner import run_one
from mesh_federation.verify.verdict import Verdict
from tests.unit.verify.fake_clusters import context, fake, pod

CALLER = "spiffe://east.local/ns/sleep/sa/sleep"
OK, RBAC, ENDED = (
    GatewayResponse(200, "hello"),
    GatewayResponse(403, "RBAC: access denied"),
    GatewayResponse(0, "the connection was closed"),
)


def asked(
    name: str, answers: dict[str, GatewayResponse], monkeypatch: pytest.MonkeyPatch, rest: GatewayResponse = RBAC
) -> Verdict:
    """Judge west's export when its gateway answers identities like this."""

    def request(endpoint: GatewayEndpoint, service: ServiceAddress, caller: Identity) -> GatewayResponse:
        return answers.get(caller.uri, rest)

    monkeypatch.setattr(refusals, "request", request)
    [check] = [each for each in refusals.checks(context()) if each.id == f"refusals.{name}"]
    return run_one(check).verdict


@pytest.mark.parametrize("name", ["undeclared", "other-mesh"])
def test_everybody_else_is_refused_while_the_declared_caller_gets_through(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(name, {CALLER: OK}, monkeypatch).status == "passed"


@pytest.mark.parametrize("name", ["undeclared", "other-mesh", "unknown-root"])
def test_where_nobody_gets_through_a_refusal_means_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = asked(name, {}, monkeypatch, rest=ENDED)
    assert (verdict.status, "refuses the admitted caller too" in verdict.message) == ("could-not-run", True)


@pytest.mark.parametrize("name", ["undeclared", "other-mesh"])
def test_who_gets_through_and_must_not_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = asked(name, {}, monkeypatch, rest=OK)
    assert (verdict.status, "gets status 200" in verdict.message) == ("failed", True)


def test_a_declared_name_under_an_unknown_root_must_not_even_be_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = iter([ENDED, OK])  # the stranger, then the declared caller
    monkeypatch.setattr(refusals, "request", lambda *_: next(heard))
    [check] = [each for each in refusals.checks(context()) if each.id == "refusals.unknown-root"]
    assert run_one(check).verdict.status == "passed"
    assert asked("unknown-root", {}, monkeypatch, rest=RBAC).status == "could-not-run"
    assert asked("unknown-root", {}, monkeypatch, rest=OK).status == "failed"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("error trying to reach service: read tcp 1->2: read: connection reset by peer", "passed"),
        ("error trying to reach service: EOF", "passed"),
        ("", "failed"),
        ("Error from server (NotFound): the server could not find the requested resource", "failed"),
        ("error trying to reach service: dial tcp 10.0.0.1:8080: i/o timeout", "could-not-run"),
        ("Error from server (Forbidden): pods is forbidden", "could-not-run"),
    ],
)
def test_plaintext_must_be_ended_by_the_pod_itself(said: str, status: str) -> None:
    whole = context()
    cluster = fake(whole.clusters["west"])
    cluster.lists("pods", pod("httpbin", "httpbin"))
    slices = {"metadata": {"name": "httpbin-x"}, "ports": [{"port": 8080}]}
    cluster.lists("endpointslices.discovery.k8s.io", slices)
    cluster.when("httpbin-0:8080/proxy/", error=said)
    cluster.when("httpbin-0:15021/proxy/healthz/ready", out="")
    [check] = [each for each in refusals.checks(whole) if each.id == "refusals.plaintext"]
    assert run_one(check).verdict.status == status


def test_plaintext_that_nobody_can_try_is_no_refusal() -> None:
    whole = context()
    cluster = fake(whole.clusters["west"])
    cluster.lists("pods", pod("httpbin", "httpbin"))
    cluster.lists("endpointslices.discovery.k8s.io", {"metadata": {"name": "x"}, "ports": [{"port": 8080}]})
    cluster.when("healthz/ready", error="error trying to reach service: dial tcp: no route to host")
    [check] = [each for each in refusals.checks(whole) if each.id == "refusals.plaintext"]
    assert run_one(check).verdict.status == "could-not-run"


def confined(whole: Context, goes: str, upstream: str) -> Verdict:
    """Judge east's egress when its caller's proxy leads there."""
    east = fake(whole.clusters["east"])
    east.lists("pods", pod("sleep", "sleep"))
    chain = {"name": "virtualOutbound-catchall-tcp", "filters": [{"typed_config": {"cluster": goes}}]}
    listener = {"active_state": {"listener": {"name": "virtualOutbound", "filter_chains": [chain]}}}
    east.when("exec", "dynamic_listeners", out={"configs": [listener]})
    address, _, port = upstream.rpartition(":")
    where = {"socket_address": {"address": address, "port_value": int(port)}}
    held = {"cluster_statuses": [{"name": "outbound|1||x", "host_statuses": [{"address": where}]}]}
    east.when("exec", "clusters?format=json", out=held)
    [check] = [each for each in refusals.checks(whole) if each.id == "refusals.bypass" and "east" in each.description]
    return run_one(check).verdict


def test_callers_with_an_egress_gateway_lead_past_it_to_nowhere() -> None:
    whole = context("egress")
    gateway = str(whole.clusters["west"].endpoint)
    assert confined(whole, "BlackHoleCluster", "10.0.0.1:80").status == "passed"
    assert (
        "sends unknown destinations to PassthroughCluster"
        in confined(whole, "PassthroughCluster", "10.0.0.1:80").message
    )
    assert f"has the endpoint {gateway}" in confined(whole, "BlackHoleCluster", gateway).message
