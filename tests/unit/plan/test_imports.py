"""Imports: what each mode creates in the importing cluster."""

from collections.abc import Sequence
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_federation.diagrams.topology import IMPORTS
from mesh_federation.plan.apis import APIS
from mesh_federation.plan.imports import MODES, EntriesImport, ImportPlan, LocalImport, shares
from mesh_federation.plan.istio_api import resolution
from mesh_federation.plan.objects import Body, object_name
from mesh_federation.rules.names import LABEL
from mesh_federation.stack.config import Import, NamespacedName
from tests.unit.plan.model import GRPC, HTTP, Tree, cluster, export, link, planned, three, tree

ADDRESS = ["172.30.200.9"]
LOCAL: dict[str, object] = {"as": "local"}


def imported(declared: Tree | None = None) -> ImportPlan:
    [plan] = planned(declared).imports
    return plan


def spec_of(plan: ImportPlan, kind: str, *addresses: Sequence[str]) -> dict[str, Any]:
    known = addresses or [ADDRESS] * len(plan.sources)
    values = {source.cluster: each for source, each in zip(plan.sources, known, strict=True)}
    [body] = [planned.filled(values) for planned in plan.objects if planned.kind == kind]
    return spec_in(body)


def spec_in(body: Body) -> dict[str, Any]:
    spec = body["spec"]
    assert isinstance(spec, dict)
    return spec


def entry(plan: ImportPlan, *addresses: list[str]) -> dict[str, Any]:
    return spec_of(plan, "ServiceEntry", *addresses)


def rules(plan: ImportPlan) -> dict[str, dict[str, Any]]:
    """Specs of the DestinationRules of an import, by their namespaces."""
    planned = [each for each in plan.objects if each.kind == "DestinationRule"]
    assert {each.reference.name for each in planned} == {"import-httpbin-httpbin"}
    return {each.reference.namespace: spec_in(each.body) for each in planned}


def rule(plan: ImportPlan) -> dict[str, Any]:
    """Spec of the rule that callers in the namespace sleep go by."""
    found = rules(plan)
    return found.get("sleep") or found[plan.namespace]


def beside_pods(declared: Tree | None = None) -> LocalImport:
    plan = imported(tree(imports=[link(**LOCAL)]) if declared is None else declared)
    assert isinstance(plan, LocalImport)
    return plan


def entries(plan: EntriesImport) -> dict[str, dict[str, Any]]:
    """Specs of the WorkloadEntries of an import, by their names; its n-th source has the addresses 192.0.2.n0, n1..."""
    values = {
        source.cluster: [f"192.0.2.{number}{index}" for index in range(source.endpoint_count)]
        for number, source in enumerate(plan.sources, start=1)
    }
    made: dict[str, dict[str, Any]] = {}
    for each in plan.objects:
        if each.kind == "WorkloadEntry":
            body: Any = each.filled(values)
            assert body["metadata"]["namespace"] == "httpbin"
            assert body["metadata"]["name"] not in made
            made[body["metadata"]["name"]] = body["spec"]
    return made


@given(st.integers(1, 150))
def test_equal_shares_sum_to_100_and_differ_by_at_most_one(count: int) -> None:
    found = shares([None] * count)
    assert (len(found), sum(found)) == (count, 100)
    assert max(found) - min(found) <= 1


@given(st.lists(st.integers(0, 100), min_size=1))
def test_given_shares_are_kept(weights: list[int]) -> None:
    assert shares(weights) == weights


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
    assert resolution(*addresses) == expected
    assert entry(plan, *addresses)["resolution"] == expected
    assert len(entry(plan, *addresses)["endpoints"]) == len(addresses[0])


def test_no_rule_is_made_where_none_is_asked_for() -> None:
    assert imported().destination_rule is None


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
    spec: Any = export_plan.objects[1].body["spec"]
    assert spec["servers"][0]["port"]["number"] == 16443
    assert entry(imported(declared))["endpoints"][0]["ports"] == {"http": 16443}


def test_remote_instances_join_the_local_service_by_its_labels_and_port_names() -> None:
    ports = tree(exports=[export(ports=[HTTP, GRPC])], imports=[link(**LOCAL)])
    assert entries(beside_pods(ports)) == {
        "import-httpbin-httpbin-west": {
            "address": "192.0.2.10",
            "ports": {"http": 15443, "grpc": 15443},
            "network": "west-network",
            "locality": "west",
            "labels": {"app": "httpbin", "security.istio.io/tlsMode": "istio", "mesh-federation/from": "west"},
        }
    }


def test_an_import_as_local_makes_no_service_entry_and_no_service() -> None:
    made = sorted(each.kind for each in beside_pods().objects)
    assert made == ["DestinationRule", "DestinationRule", "WorkloadEntry"]
    assert [each.kind for each in imported().objects] == ["ServiceEntry"]


def test_every_gateway_address_of_every_source_is_an_instance() -> None:
    declared = three(**LOCAL)
    existing = {"provisioner": "existing", "kubeconfig": "k", "gateway": {"addresses": ["192.0.2.1", "192.0.2.2"]}}
    declared["clusters"]["west"] = cluster(30, **existing)
    found = {name: spec["address"] for name, spec in entries(beside_pods(declared)).items()}
    assert found == {
        "import-httpbin-httpbin-north": "192.0.2.10",
        "import-httpbin-httpbin-west": "192.0.2.20",
        "import-httpbin-httpbin-west-2": "192.0.2.21",
    }


def test_a_gateway_whose_addresses_only_a_running_service_tells_counts_as_one() -> None:
    declared = tree(imports=[link(**LOCAL)])
    declared["clusters"]["west"] = cluster(30, provisioner="existing", kubeconfig="k")
    assert len(entries(beside_pods(declared))) == 1


def test_a_host_name_never_becomes_an_endpoint_of_a_service() -> None:
    plan = beside_pods()
    [source] = plan.sources
    assert plan.entry_address(source, "192.0.2.1") == "192.0.2.1"
    with pytest.raises(
        ValueError, match=r"gateway of west got the host name lb\.example\.com(.|\n)*-> give that gateway"
    ):
        plan.entry_address(source, "lb.example.com")


NAME = st.from_regex(r"[a-z]([a-z-]{0,20}[a-z])?", fullmatch=True)


@given(st.lists(st.tuples(NAME, NAME, NAME), min_size=2, max_size=2, unique=True))
def test_names_of_entries_are_labels_and_differ_where_their_services_or_sources_do(
    told: list[tuple[str, str, str]],
) -> None:
    names = [object_name("import", NamespacedName(space, name), source) for space, name, source in told]
    assert len(set(names)) == 2
    assert all(LABEL.fullmatch(name) and len(name) <= 63 for name in names)


def test_callers_accept_the_local_pods_and_each_source_and_nobody_else() -> None:
    tls = rule(beside_pods(three(**LOCAL)))["trafficPolicy"]["tls"]
    assert tls == {
        "mode": "ISTIO_MUTUAL",
        "subjectAltNames": [
            "spiffe://east.local/ns/httpbin/sa/httpbin",
            "spiffe://north.local/ns/httpbin/sa/httpbin",
            "spiffe://west.local/ns/httpbin/sa/httpbin",
        ],
    }


@pytest.mark.parametrize(("given_account", "local"), [({}, "server"), ({"serviceAccount": "own"}, "own")])
def test_local_pods_run_as_the_export_says_unless_the_import_names_an_account(
    given_account: dict[str, object], local: str
) -> None:
    declared = tree(exports=[export(serviceAccount="server")], imports=[link(**LOCAL, **given_account)])
    assert rule(beside_pods(declared))["trafficPolicy"]["tls"]["subjectAltNames"] == [
        f"spiffe://east.local/ns/httpbin/sa/{local}",
        "spiffe://west.local/ns/httpbin/sa/server",
    ]


def test_callers_of_a_local_service_that_the_export_does_not_name_keep_to_the_pods() -> None:
    plan = beside_pods(tree(imports=[link(**LOCAL, weight=25, connectionPool={"maxConnections": 1})]))
    named, others = rules(plan)["sleep"], rules(plan)["httpbin"]
    assert named["host"] == others["host"] == "httpbin.httpbin.svc.cluster.local"
    assert (named["exportTo"], others["exportTo"]) == (["."], ["*"])
    assert named["trafficPolicy"].keys() == {"tls", "connectionPool", "loadBalancer"}
    assert others["trafficPolicy"] == {
        "tls": named["trafficPolicy"]["tls"],
        "outlierDetection": {"consecutive5xxErrors": 0},
        "loadBalancer": {"localityLbSetting": {"enabled": True, "failoverPriority": ["mesh-federation/from="]}},
    }
    [entry] = entries(plan).values()
    assert entry["labels"]["mesh-federation/from"] == "west"


@pytest.mark.parametrize("accounts", [["httpbin/client", "sleep/sleep"], None], ids=["beside-the-service", "all"])
def test_one_rule_is_for_everybody_where_the_export_names_all_or_callers_beside_the_service(
    accounts: list[str] | None,
) -> None:
    consumer = {"cluster": "east", **({"serviceAccounts": accounts} if accounts else {})}
    found = rules(beside_pods(tree(exports=[export(to=[consumer])], imports=[link(**LOCAL, weight=25)])))
    assert found.keys() == {"httpbin"}
    assert found["httpbin"]["exportTo"] == ["*"]
    assert "distribute" in found["httpbin"]["trafficPolicy"]["loadBalancer"]["localityLbSetting"]


def test_without_weights_local_pods_and_gateways_are_called_alike() -> None:
    plan = beside_pods(three(**LOCAL))
    assert "loadBalancer" not in rule(plan)["trafficPolicy"]
    assert not [name for name, spec in entries(plan).items() if "weight" in spec]


def shared_out(plan: ImportPlan) -> dict[str, int]:
    setting = rule(plan)["trafficPolicy"]["loadBalancer"]["localityLbSetting"]
    assert setting["enabled"] is True
    [distribution] = setting["distribute"]
    to: dict[str, int] = distribution["to"]
    assert distribution["from"] == "east/*"
    return to


def weighed(north: int, west: int) -> LocalImport:
    declared = three(**LOCAL)
    declared["imports"][0]["weight"] = west
    declared["imports"][1]["weight"] = north
    return beside_pods(declared)


def test_weights_are_the_remote_shares_and_local_pods_get_the_rest() -> None:
    assert shared_out(weighed(north=20, west=30)) == {"east/*": 50, "north": 20, "west": 30}


@given(st.integers(0, 100), st.integers(0, 100))
def test_shares_of_a_local_service_are_what_istio_takes(north: int, rest: int) -> None:
    west = rest * (100 - north) // 100
    to = shared_out(weighed(north, west))
    assert sum(to.values()) == 100
    assert all(1 <= share <= 100 for share in to.values())
    assert (to.get("north", 0), to.get("west", 0)) == (north, west)


@pytest.mark.parametrize(
    ("locality", "own"), [("eu", "eu/*"), ("eu/a", "eu/a/*"), ("eu/a/1", "eu/a/1")], ids=["region", "zone", "subzone"]
)
def test_the_own_locality_is_as_wide_as_the_cluster_declares_it(locality: str, own: str) -> None:
    declared = tree(imports=[link(**LOCAL, weight=25)])
    declared["clusters"]["east"]["locality"] = locality
    [distribution] = rule(beside_pods(declared))["trafficPolicy"]["loadBalancer"]["localityLbSetting"]["distribute"]
    assert distribution == {"from": own, "to": {own: 75, "west": 25}}


def test_failover_of_a_local_service_prefers_its_own_pods() -> None:
    policy = rule(beside_pods(three(**LOCAL, failover={"to": "north"})))["trafficPolicy"]
    assert policy["loadBalancer"] == {
        "localityLbSetting": {"enabled": True, "failover": [{"from": "east", "to": "north"}]}
    }
    assert policy["outlierDetection"]["maxEjectionPercent"] == 100
    assert policy["tls"]["mode"] == "ISTIO_MUTUAL"


def test_a_connection_pool_stands_beside_the_identities() -> None:
    policy = rule(beside_pods(tree(imports=[link(**LOCAL, connectionPool={"maxRequestsPerConnection": 1})])))
    assert set(policy["trafficPolicy"]) == {"tls", "connectionPool"}


@pytest.mark.parametrize("mode", ["remote", "local"])
def test_an_import_carries_only_the_ports_that_it_lists(mode: str) -> None:
    plan = imported(tree(exports=[export(ports=[HTTP, GRPC])], imports=[link(**{"as": mode}, ports=[GRPC])]))
    assert [port.name for port in plan.ports] == ["grpc"]


def test_a_remote_source_of_weight_0_is_called_by_nobody() -> None:
    declared = three()
    declared["imports"][0] |= {"weight": 100}
    declared["imports"][1] |= {"weight": 0}
    assert [(e["network"], e["weight"]) for e in entry(imported(declared))["endpoints"]] == [("west-network", 100)]


def test_objects_of_a_cluster_name_every_object_of_its_imports() -> None:
    assert {each.name for each in planned(three(**LOCAL)).objects} >= {
        "WorkloadEntry httpbin/import-httpbin-httpbin-north",
        "WorkloadEntry httpbin/import-httpbin-httpbin-west",
        "DestinationRule httpbin/import-httpbin-httpbin",
    }


def test_every_mode_of_the_stack_file_has_a_class_and_a_picture() -> None:
    declared = set(get_args(Import.model_fields["mode"].annotation))
    assert set(MODES) == declared == set(IMPORTS)
    assert set(APIS) == set(get_args(Import.model_fields["api"].annotation))


def test_a_name_of_its_own_is_called_here_while_the_gateway_is_asked_by_the_name_that_it_knows() -> None:
    plan = planned(tree(imports=[link(host="pay.west.example")]), "east")
    [imported] = plan.imports
    entry, rule = (each.body["spec"] for each in imported.objects)
    assert isinstance(entry, dict)
    assert isinstance(rule, dict)
    assert entry["hosts"] == [rule["host"]] == ["pay.west.example"]
    [port] = rule["trafficPolicy"]["portLevelSettings"]
    assert port["port"] == {"number": 8000}
    assert port["tls"]["sni"] == "outbound_.8000_._.httpbin.httpbin.svc.cluster.local"
    assert (port["tls"]["mode"], port["tls"]["subjectAltNames"]) == ("ISTIO_MUTUAL", imported.pinned)
    west = planned(tree(imports=[link(host="pay.west.example")]), "west")
    assert west.exports[0].hosts == ("httpbin.httpbin.svc.cluster.local",)


def test_callers_of_a_name_of_their_own_call_the_number_that_they_chose() -> None:
    port = {"name": "http", "number": 80, "protocol": "HTTP", "exported": 8000}
    [imported] = planned(tree(imports=[link(host="pay.west.example", ports=[port])]), "east").imports
    entry, rule = (each.body["spec"] for each in imported.objects)
    assert isinstance(entry, dict)
    assert isinstance(rule, dict)
    assert [each["number"] for each in entry["ports"]] == [80]
    [settings] = rule["trafficPolicy"]["portLevelSettings"]
    assert settings["port"] == {"number": 80}
    assert settings["tls"]["sni"] == "outbound_.8000_._.httpbin.httpbin.svc.cluster.local"


def test_two_imports_of_services_of_one_name_have_objects_of_their_own() -> None:
    hosts = ("a.example", "b.example", "a-b.example", "a.b-example", "a.b.example")
    found = planned(tree(imports=[link(host=host) for host in hosts]), "east").imports
    assert len({each.name for each in found}) == len(hosts)
    assert {each.host for each in found} == set(hosts)
