"""Where a gateway is reached: both families of addresses, Services without a load balancer, and what is told."""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_federation.plan import egress, gateway_addresses, gateway_api
from mesh_federation.plan.istio_api import resolution
from mesh_federation.plan.istio_values import EGRESS_PORTS
from mesh_federation.rules.gateways import OWN_PORTS
from mesh_federation.stack.config import Federation, is_address
from tests.unit.plan.model import Tree, cluster, link, planned, tree

IPV4, IPV6, NAME = "203.0.113.10", "2001:db8::16", "lb.example.com"
ADDRESSES = st.lists(st.sampled_from([IPV4, "203.0.113.9", IPV6, "2001:db8::7", NAME, "0.example.com"]), unique=True)


def elsewhere(istio: Tree | None = None, *, imports: Tree | None = None, **gateway: object) -> Tree:
    """Two existing clusters, of which west's gateway is as given."""
    made = {"provisioner": "existing", "kubeconfig": "k"}
    clusters = {"east": cluster(10, **made, gateway={"addresses": ["192.0.2.1"]})}
    clusters["west"] = cluster(30, **{**made, "kubeconfig": "w"}, gateway=gateway)
    return tree(clusters=clusters, istio=istio or {}, imports=[link(**(imports or {}))])


def test_ipv6_is_an_address_and_never_a_host_name() -> None:
    assert is_address(IPV6) and is_address(IPV4) and not is_address(NAME) and not is_address(f"[{IPV6}]")
    assert gateway_api.typed([IPV6, NAME]) == [
        {"type": "IPAddress", "value": IPV6},
        {"type": "Hostname", "value": NAME},
    ]
    assert resolution([IPV6], [IPV4]) == "STATIC"


@pytest.mark.parametrize("written", ["2001:DB8::16", "2001:db8:0:0:0:0:0:16", "2001:0db8::0016"])
def test_an_ipv6_address_has_one_spelling_however_it_is_written(written: str) -> None:
    assert planned(elsewhere(addresses=[written]), "west").addresses == (IPV6,)


@given(ADDRESSES)
def test_importers_call_no_ipv6_address_beside_an_ipv4_one_and_every_other(addresses: list[str]) -> None:
    called = gateway_addresses.for_importers(addresses)
    has_ipv4 = any(is_address(each) and not gateway_addresses.is_ipv6(each) for each in addresses)
    assert called == [each for each in addresses if not (has_ipv4 and gateway_addresses.is_ipv6(each))]
    assert bool(called) == bool(addresses)


@given(ADDRESSES, st.randoms(use_true_random=False))
def test_what_a_load_balancer_gives_is_told_in_one_order_ipv4_first(addresses: list[str], random: Random) -> None:
    ingress = [{"ip": each} if is_address(each) else {"hostname": each} for each in addresses]
    told = gateway_addresses.assigned(ingress)
    random.shuffle(ingress)
    assert gateway_addresses.assigned(ingress) == told
    kinds = [
        0 if is_address(each) and not gateway_addresses.is_ipv6(each) else 1 if is_address(each) else 2 for each in told
    ]
    assert (kinds, sorted(told)) == (sorted(kinds), sorted(addresses))


def test_an_address_that_comes_with_a_name_is_the_one_that_counts() -> None:
    assert gateway_addresses.assigned([{"ip": IPV4, "hostname": NAME}]) == [IPV4]


def test_a_port_is_told_from_an_address_of_either_family() -> None:
    assert [gateway_addresses.with_port(each, 443) for each in (IPV4, IPV6, NAME)] == [
        "203.0.113.10:443",
        "[2001:db8::16]:443",
        "lb.example.com:443",
    ]


def test_a_declared_gateway_of_both_families_is_called_by_its_ipv4_address() -> None:
    declared = elsewhere(addresses=[IPV6, IPV4], imports={"as": "local"})
    [plan] = planned(declared, "east").imports
    assert plan.sources[0].endpoint_count == 1
    assert planned(declared, "west").addresses == (IPV6, IPV4)


def test_no_way_to_a_gateway_is_left_open_by_its_other_family() -> None:
    spec: Any = egress.network_policy("sleep", [IPV4, IPV6, NAME])["spec"]
    blocks = [each["ipBlock"] for each in spec["egress"][0]["to"] if "ipBlock" in each]
    assert blocks == [
        {"cidr": "0.0.0.0/0", "except": ["203.0.113.10/32"]},
        {"cidr": "::/0", "except": ["2001:db8::16/128"]},
    ]


EXTERNAL = {"gatewayValues": {"service": {"type": "ClusterIP", "externalIPs": ["198.51.100.4", IPV6]}}}


def test_external_ips_stand_for_the_load_balancer_that_a_service_has_not() -> None:
    clusters = elsewhere(EXTERNAL)
    assert planned(clusters, "west").addresses == ("198.51.100.4", IPV6)
    assert planned(clusters, "east").addresses == ("192.0.2.1",), "what is declared of one cluster alone comes first"
    balanced = {"gatewayValues": {"service": {"externalIPs": ["198.51.100.4"]}}}
    assert planned(elsewhere(balanced), "west").addresses == ()


def test_a_gateway_that_nodes_serve_asks_for_the_node_port_that_is_called() -> None:
    declared = tree(
        clusters={"west": cluster(30, provisioner="existing", kubeconfig="w",
                                  gateway={"addresses": ["192.0.2.7"], "port": 31443})},
        istio={"gatewayValues": {"service": {"type": "NodePort"}}}, exports=[], imports=[],
    )  # fmt: skip
    service: Any = planned(declared, "west").values["istio-eastwestgateway"]["service"]
    [_, served] = service["ports"]
    assert (served["port"], served["targetPort"], served["nodePort"]) == (31443, 31443, 31443)


@pytest.mark.parametrize(
    ("declared", "service", "allocated"),
    [
        ({}, {}, False),
        ({"provisioner": "kind"}, {}, False),
        ({"provisioner": "k3d"}, {}, False),
        ({"provisioner": "k3d"}, {"externalTrafficPolicy": "Local"}, None),
        ({"provisioner": "kind", "loadBalancer": "none"}, {}, None),
        ({"provisioner": "existing", "kubeconfig": "k"}, {}, None),
        ({"provisioner": "existing", "kubeconfig": "k"}, {"allocateLoadBalancerNodePorts": False}, False),
        ({}, {"allocateLoadBalancerNodePorts": True}, True),
    ],
)
def test_no_node_port_is_opened_where_the_load_balancer_needs_none(
    declared: Tree, service: Tree, allocated: bool | None
) -> None:
    istio = {"gatewayValues": {"service": service}}
    one = tree(clusters={"east": cluster(10, **declared)}, istio=istio, exports=[], imports=[])
    values: Any = planned(one, "east").values["istio-eastwestgateway"]["service"]
    assert values.get("allocateLoadBalancerNodePorts") is allocated


def test_exits_of_egress_gateways_keep_clear_of_istios_own_ports() -> None:
    assert not set(EGRESS_PORTS) & set(OWN_PORTS)
    assert {15000, 15001, 15004, 15006, 15008, 15009, 15010, 15012, 15014, 15017, 15020, 15021, 15053, 15090} <= set(
        OWN_PORTS
    )


def test_an_ipv4_address_in_the_form_of_an_ipv6_one_is_refused() -> None:
    from mesh_federation import rules

    west = {"provisioner": "existing", "kubeconfig": "k", "gateway": {"addresses": ["::ffff:192.0.2.1"]}}
    found = rules.check(Federation.model_validate({"clusters": {"west": west}}))
    assert [each.rule for each in found] == ["bad-gateway-address"]
    assert "192.0.2.1" in found[0].what
