"""What exports and imports become."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import routing
from model.routing import ExportPlan, ImportPlan, shares
from tests.unit.plan.model import GRPC, HTTP, Tree, cluster, export, federation, link, planned, three, tree

ADDRESS = ["172.30.200.9"]


def offered(**given: object) -> ExportPlan:
    [plan] = planned(tree(exports=[export(**given)], imports=[]), "west").exports
    return plan


def imported(declared: Tree | None = None) -> ImportPlan:
    [plan] = planned(declared).imports
    return plan


def entry(plan: ImportPlan, *addresses: list[str]) -> dict[str, Any]:
    spec = routing.service_entry(plan, addresses or [ADDRESS] * len(plan.sources))["spec"]
    assert isinstance(spec, dict)
    return spec


def rule(plan: ImportPlan) -> dict[str, Any]:
    body = routing.destination_rule(plan)
    assert body is not None
    spec = body["spec"]
    assert isinstance(spec, dict)
    return spec


def denied(plan: ExportPlan) -> dict[str, Any]:
    spec = routing.authorization(plan)["spec"]
    assert isinstance(spec, dict)
    return spec


@given(st.integers(1, 150))
def test_equal_shares_sum_to_100_and_differ_by_at_most_one(count: int) -> None:
    found = shares([None] * count)
    assert (len(found), sum(found)) == (count, 100)
    assert max(found) - min(found) <= 1


@given(st.lists(st.integers(0, 100), min_size=1))
def test_given_shares_are_kept(weights: list[int]) -> None:
    assert shares(weights) == weights


def test_a_gateway_offers_the_exact_host_and_no_wildcard() -> None:
    spec: Any = routing.gateway(offered())["spec"]
    [server] = spec["servers"]
    assert server["hosts"] == ["httpbin.httpbin.svc.cluster.local"]
    assert server["tls"] == {"mode": "AUTO_PASSTHROUGH"}
    assert server["port"] == {"number": 15443, "name": "tls", "protocol": "TLS"}


def test_foreign_callers_that_are_not_named_are_refused() -> None:
    spec = denied(offered())
    assert spec["action"] == "DENY"
    assert spec["selector"] == {"matchLabels": {"app": "httpbin"}}
    [source] = [each["source"] for each in spec["rules"][0]["from"]]
    assert source == {"principals": ["*"], "notPrincipals": ["west.local/*", "east.local/ns/sleep/sa/sleep"]}


def test_a_consumer_without_accounts_admits_its_whole_cluster() -> None:
    source = denied(offered(to=[{"cluster": "east"}]))["rules"][0]["from"][0]["source"]
    assert source["notPrincipals"] == ["west.local/*", "east.local/*"]


def test_an_export_to_nobody_admits_no_foreigner() -> None:
    both = federation(exports=[], imports=[])
    assert routing.exports(both, "west") == []


def test_policies_do_not_change_with_the_order_of_accounts() -> None:
    accounts = ["b/b", "a/a", "c/c"]
    one = offered(to=[{"cluster": "east", "serviceAccounts": accounts}])
    other = offered(to=[{"cluster": "east", "serviceAccounts": accounts[::-1]}])
    assert routing.authorization(one) == routing.authorization(other)


def test_an_import_is_seen_only_where_the_export_names_callers() -> None:
    to = [{"cluster": "east", "serviceAccounts": ["b/x", "a/y", "b/z"]}]
    assert entry(imported(tree(exports=[export(to=to)])))["exportTo"] == ["a", "b"]


def test_an_import_for_a_whole_cluster_is_seen_in_all_of_it() -> None:
    assert entry(imported(tree(exports=[export(to=[{"cluster": "east"}])])))["exportTo"] == ["*"]


def test_every_port_name_leads_to_the_gateways_tls_port() -> None:
    spec = entry(imported(tree(exports=[export(ports=[HTTP, GRPC])])))
    assert [(p["name"], p["number"], p["protocol"]) for p in spec["ports"]] == [
        ("http", 8000, "HTTP"),
        ("grpc", 9000, "GRPC"),
    ]
    assert spec["endpoints"][0]["ports"] == {"http": 15443, "grpc": 15443}


def test_endpoints_say_where_they_are_and_that_they_speak_mutual_tls() -> None:
    [endpoint] = entry(imported())["endpoints"]
    assert endpoint == {
        "address": "172.30.200.9",
        "ports": {"http": 15443},
        "network": "west-network",
        "locality": "west",
        "labels": {"app": "httpbin", "security.istio.io/tlsMode": "istio"},
        "weight": 100,
    }


def test_endpoints_of_several_sources_share_the_calls() -> None:
    spec = entry(imported(three()), ["172.30.200.1"], ["172.30.200.2"])
    assert [(e["address"], e["network"], e["locality"], e["weight"]) for e in spec["endpoints"]] == [
        ("172.30.200.1", "north-network", "north", 50),
        ("172.30.200.2", "west-network", "west", 50),
    ]


def test_declared_weights_and_localities_reach_the_endpoints() -> None:
    declared = three()
    declared["imports"][0] |= {"weight": 80, "locality": "eu/a"}
    declared["imports"][1] |= {"weight": 20}
    found = {e["network"]: (e["weight"], e["locality"]) for e in entry(imported(declared))["endpoints"]}
    assert found == {"west-network": (80, "eu/a"), "north-network": (20, "north")}


def test_importers_pin_the_identity_of_each_source() -> None:
    assert entry(imported(three()))["subjectAltNames"] == [
        "spiffe://north.local/ns/httpbin/sa/httpbin",
        "spiffe://west.local/ns/httpbin/sa/httpbin",
    ]
    other = imported(tree(exports=[export(serviceAccount="server")]))
    assert entry(other)["subjectAltNames"] == ["spiffe://west.local/ns/httpbin/sa/server"]


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [([ADDRESS], "STATIC"), ([["gw.example.com"]], "DNS"), ([["a.example.com", "b.example.com"]], "DNS")],
)
def test_host_names_of_gateways_are_resolved_and_addresses_are_not(addresses: list[list[str]], expected: str) -> None:
    plan = imported()
    assert routing.resolution(addresses) == expected
    assert entry(plan, *addresses)["resolution"] == expected
    assert len(entry(plan, *addresses)["endpoints"]) == len(addresses[0])


def test_no_rule_is_made_where_none_is_asked_for() -> None:
    assert routing.destination_rule(imported()) is None


@pytest.mark.parametrize("failover", [{}, {"to": "north"}, {"consecutiveErrors": 7}])
def test_failover_always_brings_outlier_detection(failover: dict[str, object]) -> None:
    policy = rule(imported(three(failover=failover)))["trafficPolicy"]
    assert policy["outlierDetection"]["consecutive5xxErrors"] == failover.get("consecutiveErrors", 1)
    assert policy["outlierDetection"]["maxEjectionPercent"] == 100
    setting = policy["loadBalancer"]["localityLbSetting"]
    assert setting["enabled"] is True
    expected = [{"from": "east", "to": "north"}] if failover.get("to") else None
    assert setting.get("failover") == expected


def test_a_connection_pool_holds_only_what_is_declared() -> None:
    pool = {"maxConnections": 5, "connectTimeoutSeconds": 3, "maxRequestsPerConnection": 1}
    policy = rule(imported(tree(imports=[link(connectionPool=pool)])))["trafficPolicy"]
    assert policy == {
        "connectionPool": {
            "tcp": {"maxConnections": 5, "connectTimeout": "3s"},
            "http": {"maxRequestsPerConnection": 1},
        }
    }
    one = rule(imported(tree(imports=[link(connectionPool={"maxConnections": 5})])))["trafficPolicy"]
    assert one == {"connectionPool": {"tcp": {"maxConnections": 5}}}


def test_rules_apply_where_the_import_is_seen_and_to_its_host() -> None:
    plan = imported(three(failover={}))
    assert rule(plan)["host"] == entry(plan)["hosts"][0]
    assert rule(plan)["exportTo"] == entry(plan)["exportTo"] == ["sleep"]


def test_another_gateway_port_is_used_on_both_sides() -> None:
    clusters = {"east": cluster(10), "west": cluster(30, gateway={"port": 16443})}
    declared = tree(clusters=clusters)
    [export_plan] = planned(declared, "west").exports
    spec: Any = routing.gateway(export_plan)["spec"]
    assert spec["servers"][0]["port"]["number"] == 16443
    assert entry(imported(declared))["endpoints"][0]["ports"] == {"http": 16443}
