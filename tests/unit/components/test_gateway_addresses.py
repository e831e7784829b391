"""Addresses of gateways in the program: what is waited for, what is told to whom, and what stays closed."""

from typing import Any

import pulumi
import pytest

from tests.unit.components.conftest import Record
from tests.unit.components.federations import Tree, as_global, as_local, committed, not_ours
from tests.unit.components.recorder import CLOUD_ADDRESS, Ingress, Run

SERVICE = "Service", "west:istio-system/istio-eastwestgateway"
ENTRY = "ServiceEntry", "east:istio-system/import-httpbin-httpbin"
WAITING = "west-gateway-address"
IPV4, IPV6, NAME = "203.0.113.7", "2001:db8::16", "0.lb.example.com"
BOTH = ({"ip": IPV6}, {"ip": IPV4})
MIXED = ({"hostname": NAME}, {"ip": IPV4})


def waits(run: Run) -> list[str]:
    """Names of the commands that wait for a load balancer."""
    return [each.name for each in run.registered if each.name.endswith("-gateway-address")]


def annotations(run: Run) -> dict[str, str]:
    found: dict[str, str] = run.one(*SERVICE).body["metadata"]["annotations"]
    return found


def spec(run: Run, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = run.one(kind, name).body["spec"]
    return found


def declared(**istio: object) -> Tree:
    """Existing clusters whose gateways' addresses the stack file has."""
    tree = not_ours()
    for number, cluster in enumerate(tree["clusters"].values()):
        cluster["gateway"] = {"addresses": [f"192.0.2.{number + 1}"]}
    return {**tree, "istio": istio}


def test_a_declared_address_is_told_at_once_and_no_load_balancer_is_waited_for(record: Record) -> None:
    preview = record(declared(), preview=True)
    assert [each["address"] for each in spec(preview, *ENTRY)["endpoints"]] == ["192.0.2.2"]
    assert waits(preview) == []
    assert "pulumi.com/waitFor" not in annotations(preview)


def test_an_address_that_must_be_read_is_waited_for_by_a_command_that_can_say_what_lacks(record: Record) -> None:
    done = record(not_ours())
    waiting = done.one("Command", WAITING)
    assert waiting.settings == {
        "cluster": "west",
        "namespace": "istio-system",
        "service": "istio-eastwestgateway",
    }
    assert str(waiting.inputs["stdin"]).endswith("/kubeconfig"), "the name of the file that has the credentials"
    assert done.one(*SERVICE).urn in waiting.dependencies
    assert waiting.urn in done.one(*ENTRY).dependencies_of("spec")
    assert "pulumi.com/waitFor" not in annotations(done)
    assert done.exports["clusters"]["west"]["gateway"] == [CLOUD_ADDRESS], "and is no secret"


def test_where_the_load_balancer_is_ours_the_service_must_get_what_it_asks_for(record: Record) -> None:
    for stack in ("simulated", "east-west"):
        run = record(committed(stack), stack=stack)
        assert "pulumi.com/waitFor" in annotations(run)
        assert waits(run) == []


def test_external_ips_are_told_and_known_at_preview(record: Record) -> None:
    service = {"type": "ClusterIP", "externalIPs": ["198.51.100.4"]}
    tree = declared(gatewayValues={"service": service})
    del tree["clusters"]["west"]["gateway"]
    preview = record(tree, preview=True)
    assert [each["address"] for each in spec(preview, *ENTRY)["endpoints"]] == ["198.51.100.4"]
    assert spec(preview, *SERVICE)["externalIPs"] == ["198.51.100.4"]
    assert "allocateLoadBalancerNodePorts" not in spec(preview, *SERVICE)


def test_a_service_of_nodes_has_the_node_port_that_is_called(record: Record) -> None:
    tree = declared(gatewayValues={"service": {"type": "NodePort"}})
    for cluster in tree["clusters"].values():
        cluster["gateway"]["port"] = 31443
    run = record(tree)
    assert {each["port"]: each.get("nodePort") for each in spec(run, *SERVICE)["ports"]} == {15021: None, 31443: 31443}
    [endpoint] = spec(run, *ENTRY)["endpoints"]
    assert endpoint["ports"] == {"http": 31443}


@pytest.mark.parametrize("ingress", [BOTH, BOTH[::-1]])
def test_importers_are_told_the_ipv4_address_of_a_balancer_that_gives_both(record: Record, ingress: Ingress) -> None:
    run = record(not_ours(), ingress=ingress)
    entry = spec(run, *ENTRY)
    assert (entry["resolution"], [each["address"] for each in entry["endpoints"]]) == ("STATIC", [IPV4])
    assert run.exports["clusters"]["west"]["gateway"] == [IPV4, IPV6]


def test_importers_are_told_an_ipv6_address_where_there_is_no_other(record: Record) -> None:
    entry = spec(record(not_ours(), ingress=({"ip": IPV6},)), *ENTRY)
    assert (entry["resolution"], [each["address"] for each in entry["endpoints"]]) == ("STATIC", [IPV6])


@pytest.mark.parametrize("ingress", [BOTH, MIXED])
def test_an_instance_beside_pods_has_the_ipv4_address_whatever_sorts_first(record: Record, ingress: Ingress) -> None:
    tree = as_local()
    tree["clusters"] = not_ours()["clusters"]
    run = record(tree, ingress=ingress)
    assert spec(run, "WorkloadEntry", "east:httpbin/import-httpbin-httpbin-west")["address"] == IPV4


@pytest.mark.parametrize(
    ("ingress", "told"),
    [
        (BOTH, [{"type": "IPAddress", "value": IPV4}]),
        (({"ip": IPV6},), [{"type": "IPAddress", "value": IPV6}]),
        (MIXED, [{"type": "IPAddress", "value": IPV4}, {"type": "Hostname", "value": NAME}]),
    ],
)
def test_a_remote_gateway_has_addresses_of_their_true_type(record: Record, ingress: Ingress, told: object) -> None:
    tree = not_ours()
    tree["imports"] = as_global(api="gateway")["imports"]
    tree["exports"] = as_global()["exports"]
    assert spec(record(tree, ingress=ingress), "Gateway", "east:istio-system/remote-west")["addresses"] == told


def test_the_other_family_is_no_way_around_an_egress_gateway(record: Record) -> None:
    tree = not_ours()
    tree["imports"] = [{**link, "via": "egress"} for link in tree["imports"]]
    run = record(tree, ingress=BOTH)
    assert spec(run, "ServiceEntry", "east:istio-system/ingress-west")["endpoints"] == [{"address": IPV4}]
    [rule] = spec(run, "NetworkPolicy", "east:sleep/egress-only")["egress"]
    blocks = [each["ipBlock"] for each in rule["to"] if "ipBlock" in each]
    assert [block["except"] for block in blocks] == [[f"{IPV4}/32"], [f"{IPV6}/128"]]


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
def test_an_egress_gateway_is_called_inside_its_cluster_whatever_its_service_is(record: Record, kind: str) -> None:
    tree = not_ours()
    tree["imports"] = [{**link, "via": "egress"} for link in tree["imports"]]
    tree["istio"] = {"egressValues": {"service": {"type": kind}}}
    run = record(tree)
    service = spec(run, "Service", "east:istio-system/istio-egressgateway")
    assert service["type"] == kind
    assert [each["address"] for each in spec(run, *ENTRY)["endpoints"]] == ["10.96.7.7"]


def test_node_ports_are_opened_only_where_a_load_balancer_may_need_them(record: Record) -> None:
    for stack in ("simulated", "east-west"):
        run = record(committed(stack), stack=stack)
        assert spec(run, *SERVICE)["allocateLoadBalancerNodePorts"] is False
    assert "allocateLoadBalancerNodePorts" not in spec(record(not_ours()), *SERVICE)


def test_values_that_a_chart_refuses_are_told_by_their_key_in_the_stack_file(record: Record) -> None:
    """Those that a rule knows are refused before (tests/unit/stack/corpus)."""
    wrong: Tree = {"gatewayValues": {"podAnnotations": "text"}}
    with pytest.raises(pulumi.RunError, match=r"-> look at istio.gatewayValues and clusters.X.istio.gatewayValues"):
        record({**committed("simulated"), "istio": wrong}, preview=True)
