"""What callers' proxies hold is compared with what is declared, endpoint by endpoint."""

from dataclasses import replace

import pytest

from mesh_federation.plan.imports import ImportPlan
from mesh_federation.verify import imports
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.verdict import NotApplicable, Status, Verdict
from tests.unit.verify.fake_clusters import context, fake, pod

IPV6 = "2001:db8::16"
HTTPBIN = "outbound|8000||httpbin.httpbin.svc.cluster.local"
RATINGS = "outbound|8000||httpbin.ratings.svc.cluster.local"
PIN = "spiffe://west.local/ns/httpbin/sa/httpbin"


def endpoint(address: str, port: int = 15443, weight: int = 100, region: str = "west") -> dict[str, object]:
    """An endpoint as Envoy tells of it."""
    where = {"socket_address": {"address": address, "port_value": port}}
    return {"address": where, "weight": weight, "locality": {"region": region}}


def upstreams(name: str, *endpoints: object) -> dict[str, object]:
    return {"cluster_statuses": [{"name": name, "host_statuses": list(endpoints)}]}


def asked(stack: str, importer: str, name: str, *endpoints: object, pods: tuple[object, ...] = ()) -> Verdict:
    """Judge the import of a stack when the caller's proxy holds these endpoints of it."""
    whole = context(stack)
    cluster, link = of(whole, importer, name)
    fake(cluster).lists("pods", pod("sleep", "sleep"), *pods)
    fake(cluster).when("exec", "clusters?format=json", out=upstreams(name, *endpoints))
    return imports.endpoints(whole, cluster, link)


def of(whole: Context, importer: str, name: str) -> tuple[ClusterUnderTest, ImportPlan]:
    cluster = whole.clusters[importer]
    return cluster, next(link for link in cluster.plan.imports if name.endswith(f"||{link.host}"))


def gateway(stack: str, cluster: str) -> str:
    return context(stack).clusters[cluster].output.gateway[0]


WEST = gateway("east-west", "west")


def test_exactly_the_declared_gateway_passes() -> None:
    verdict = asked("east-west", "east", HTTPBIN, endpoint(WEST))
    assert (verdict.status, verdict.message) == (Status.PASSED, f"{WEST}:15443")


@pytest.mark.parametrize(
    ("endpoints", "found"),
    [
        ([], "lacks"),
        ([endpoint("203.0.113.9")], "also has 203.0.113.9:15443"),
        ([endpoint(WEST), endpoint("203.0.113.9")], "also has 203.0.113.9:15443"),
        ([endpoint(WEST, port=443)], f"lacks {WEST}:15443"),
        ([endpoint(WEST, region="east")], f"has {WEST}:15443 in the locality east"),
    ],
)
def test_an_endpoint_too_many_too_few_or_elsewhere_is_told(endpoints: list[object], found: str) -> None:
    verdict = asked("east-west", "east", HTTPBIN, *endpoints)
    assert (verdict.status, found in verdict.message) == (Status.FAILED, True), verdict.message


def test_a_name_that_the_proxy_does_not_know_is_told() -> None:
    verdict = asked("east-west", "east", "outbound|1||httpbin.httpbin.svc.cluster.local")
    assert "does not know outbound|8000||httpbin.httpbin" in verdict.message


@pytest.mark.parametrize(("weights", "status"), [((50, 50), "passed"), ((1, 1), "passed"), ((95, 5), "failed")])
def test_weights_are_compared_as_shares(weights: tuple[int, int], status: str) -> None:
    first, second = (gateway("three-meshes", cluster) for cluster in ("east", "west"))
    held = [endpoint(first, weight=weights[0], region="east"), endpoint(second, weight=weights[1])]
    assert asked("three-meshes", "central", RATINGS, *held).status == status


def test_beside_pods_of_its_own_a_cluster_must_hold_each_that_is_ready_and_no_other() -> None:
    remote, here = gateway("as-local", "west"), endpoint("10.10.0.20", 8080, 1, "east")
    own = pod("httpbin", "httpbin", ip="10.10.0.20")
    both = asked("as-local", "east", HTTPBIN, endpoint(remote), here, pods=(own,))
    assert (both.status, both.message) == (Status.PASSED, f"{remote}:15443, and 1 local pods")
    assert "lacks 10.10.0.20" in asked("as-local", "east", HTTPBIN, endpoint(remote), pods=(own,)).message
    assert "also has 10.10.0.20:8080" in asked("as-local", "east", HTTPBIN, endpoint(remote), here).message


def test_through_an_egress_gateway_callers_hold_that_alone() -> None:
    whole = context("egress")
    [link] = whole.clusters["east"].plan.imports
    planned = whole.clusters["east"].plan.egress
    assert planned is not None
    name = f"outbound|8000||{link.host}"
    port = link.sources[0].port
    assert asked("egress", "east", name, endpoint(planned.address, port)).status is Status.PASSED
    direct = asked("egress", "east", name, endpoint(gateway("egress", "west")))
    assert f"lacks {planned.address}:{port}" in direct.message


def test_ipv6_endpoints_are_compared_as_addresses() -> None:
    whole = context("east-west")
    west = replace(whole.clusters["west"], output=whole.clusters["west"].output.model_copy(update={"gateway": (IPV6,)}))
    whole = replace(whole, clusters={**whole.clusters, "west": west})
    cluster, link = of(whole, "east", HTTPBIN)
    fake(cluster).lists("pods", pod("sleep", "sleep"))
    fake(cluster).when("exec", "clusters?format=json", out=upstreams(HTTPBIN, endpoint(IPV6)))
    verdict = imports.endpoints(whole, cluster, link)
    assert (verdict.status, verdict.message) == (Status.PASSED, f"[{IPV6}]:15443")


def settings(*pins: str, typed: bool = False) -> dict[str, object]:
    """How a proxy speaks to httpbin."""
    exact: list[dict[str, object]] = [{"exact": pin} for pin in pins]
    names = {"match_typed_subject_alt_names": [{"san_type": "URI", "matcher": each} for each in exact]} if typed else {}
    context: dict[str, object] = {"default_validation_context": names or {"match_subject_alt_names": exact}}
    tls = {"typed_config": {"common_tls_context": {"combined_validation_context": context}}}
    matches = [{"name": "tlsMode-istio", "transport_socket": tls}]
    return {"configs": [{"cluster": {"name": HTTPBIN, "transport_socket_matches": matches}}]}


@pytest.mark.parametrize(
    ("held", "status"),
    [
        (settings(PIN), "passed"),
        (settings(PIN, typed=True), "passed"),
        (settings(PIN, "spiffe://west.local/ns/x/sa/y"), "failed"),
        (settings("spiffe://west.local/ns/x/sa/y"), "failed"),
        (settings(), "failed"),
        ({"configs": []}, "failed"),
    ],
)
def test_callers_must_accept_the_declared_identities_and_no_other(held: dict[str, object], status: str) -> None:
    whole = context("east-west")
    cluster, link = of(whole, "east", HTTPBIN)
    fake(cluster).lists("pods", pod("sleep", "sleep"))
    fake(cluster).when("exec", "dynamic_active_clusters", out=held)
    assert imports.pins(whole, cluster, link).status == status


def test_without_a_caller_nothing_is_known_and_that_is_said() -> None:
    whole = context("east-west")
    cluster, link = of(whole, "east", HTTPBIN)
    fake(cluster).lists("pods", pod("other", "sleep"))
    with pytest.raises(NotApplicable, match="no pod in the mesh of east runs as sleep/sleep"):
        imports.endpoints(whole, cluster, link)


@pytest.mark.parametrize(
    ("sni", "status"),
    [
        ("outbound_.8000_._.httpbin.httpbin.svc.cluster.local", "passed"),
        ("outbound_.8000_._.other", "failed"),
        ("", "failed"),
    ],
)
def test_callers_must_ask_for_a_service_by_the_name_that_the_gateway_knows(sni: str, status: str) -> None:
    whole = context("east-west")
    cluster, link = of(whole, "east", HTTPBIN)
    fake(cluster).lists("pods", pod("sleep", "sleep"))
    tls = {"name": "tlsMode-istio", "transport_socket": {"typed_config": {"sni": sni}}}
    held = {"configs": [{"cluster": {"name": HTTPBIN, "transport_socket_matches": [tls]}}]}
    fake(cluster).when("exec", "dynamic_active_clusters", out=held)
    assert imports.names(whole, cluster, link).status == status
