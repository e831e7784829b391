"""A gateway has the address that importers use, and listens where it offers something."""

from dataclasses import replace

import pytest

from mesh_federation.loader import parse
from mesh_federation.verify import exports, gateways
from mesh_federation.verify.context import ClusterUnderTest, Context
from tests.unit.plan.model import cluster, tree
from tests.unit.verify.fake_clusters import context, fake, pod, staged


def service(*addresses: str, node_port: int | None = None) -> dict[str, object]:
    """The gateway's Service."""
    ingress = [{"ip": address} for address in addresses]
    return {
        "metadata": {"name": "istio-eastwestgateway", "namespace": "istio-system"},
        "spec": {"ports": [{"port": 15443, **({"nodePort": node_port} if node_port else {})}]},
        "status": {"loadBalancer": {"ingress": ingress}},
    }


def west(address: str = "", told_to_importers: str = "") -> ClusterUnderTest:
    cluster = context().clusters["west"]
    if told_to_importers:
        cluster = replace(cluster, output=cluster.output.model_copy(update={"gateway": (told_to_importers,)}))
    fake(cluster).lists("services", service(*([address] if address else [])))
    return cluster


PLANNED = context().clusters["west"].output.gateway[0]


@pytest.mark.parametrize(
    ("cluster", "found"),
    [
        (lambda: west(PLANNED), PLANNED),
        (lambda: west(), "no load balancer assigned an address"),
        (lambda: west("203.0.113.9"), f"it has 203.0.113.9, importers use {PLANNED}"),
        (lambda: west("203.0.113.9", "203.0.113.9"), "203.0.113.9 is not in the pool"),
    ],
)
def test_the_address_is_the_one_that_importers_were_told_and_in_the_pool(cluster: object, found: str) -> None:
    assert callable(cluster)
    assert found in gateways.address(cluster()).message


def elsewhere(*given: str, addresses: tuple[str, ...] = (), node_port: int | None = None) -> ClusterUnderTest:
    """The exporter on an existing cluster: what its load balancer gave, and the addresses that are declared."""
    existing = {"provisioner": "existing", "kubeconfig": "k", "gateway": {"addresses": list(addresses)}}
    declared = tree(clusters={"east": cluster(10), "west": cluster(30, **existing)})
    west = staged(parse(declared), "test").clusters["west"]
    west = replace(west, output=west.output.model_copy(update={"gateway": addresses or given}))
    fake(west).lists("services", service(*given, node_port=node_port))
    return west


@pytest.mark.parametrize("given", [(), ("10.0.0.7",), ("203.0.113.7",)])
def test_a_declared_address_stands_whatever_the_service_has(given: tuple[str, ...]) -> None:
    verdict = gateways.address(elsewhere(*given, addresses=("203.0.113.7",)))
    assert (verdict.status, verdict.message) == ("passed", "203.0.113.7, as declared")


def test_addresses_of_both_families_are_compared_in_whatever_order_they_come() -> None:
    assert gateways.address(elsewhere("2001:db8::16", "203.0.113.7")).status == "passed"


def test_node_ports_where_none_are_needed_are_a_way_around_and_told() -> None:
    cluster = context().clusters["west"]
    fake(cluster).lists("services", service(PLANNED, node_port=31234))
    verdict = gateways.address(cluster)
    assert verdict.status == "failed"
    assert "every node of west also serves it, on port 31234" in verdict.message
    assert gateways.address(elsewhere("203.0.113.7", node_port=31234)).status == "passed", "its cloud may need them"


def test_importers_and_checks_call_the_same_addresses(nothing_listens: None) -> None:
    verdict = gateways.reachable(elsewhere("203.0.113.7", "2001:db8::16"))
    assert "203.0.113.7:15443" in verdict.message and "2001" not in verdict.message
    assert "[2001:db8::16]:15443: connection refused" in gateways.reachable(elsewhere("2001:db8::16")).message


def test_what_stands_in_front_of_a_declared_gateway_need_not_pass_its_status_port_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gateways, "connection_error", lambda endpoint: "")
    monkeypatch.setattr(gateways, "readiness_error", lambda endpoint: "connection refused")
    assert gateways.reachable(elsewhere(addresses=("203.0.113.7",))).status == "passed"
    assert gateways.reachable(elsewhere("203.0.113.7")).status == "failed"


def test_a_gateway_that_is_not_there_is_told() -> None:
    cluster = context().clusters["west"]
    fake(cluster).lists("services")
    assert gateways.address(cluster).message == "there is no gateway"


@pytest.fixture
def nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    for room in (gateways, exports):
        monkeypatch.setattr(room, "connection_error", lambda endpoint: "connection refused")
        monkeypatch.setattr(room, "readiness_error", lambda endpoint: "")


def test_where_nothing_is_offered_nothing_need_listen(nothing_listens: None) -> None:
    whole: Context = context()
    assert gateways.reachable(whole.clusters["east"]).status == "passed"
    assert exports.closed(whole, whole.clusters["east"]).message == "the gateway is ready and does not listen for calls"


def test_where_something_is_offered_the_gateway_must_listen(nothing_listens: None) -> None:
    west = context().clusters["west"]
    [offer] = west.plan.exports
    assert exports.presented(west, offer).message.startswith("the gateway is ready but does not listen at")
    verdict = gateways.reachable(west)
    assert (verdict.status, f"{PLANNED}:15443: connection refused" in verdict.message) == ("failed", True)


def listeners(details: str = "") -> dict[str, object]:
    return {"configs": [{"active_state": {}, **({"error_state": {"details": details}} if details else {})}]}


@pytest.mark.parametrize(("refused", "status"), [("", "passed"), ("duplicate matcher", "failed")])
def test_a_gateway_that_goes_on_with_what_it_had_is_told(refused: str, status: str) -> None:
    cluster = context().clusters["west"]
    fake(cluster).lists("pods", pod("istio-eastwestgateway", "istio-system"), pod("sleep", "sleep"))
    fake(cluster).when("exec", "istio-eastwestgateway-0", "dynamic_listeners", out=listeners(refused))
    verdict = gateways.current(cluster)
    assert (verdict.status, refused in verdict.message) == (status, True)
