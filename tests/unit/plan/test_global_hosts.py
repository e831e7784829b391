"""What a global host is in each cluster, what answers for it, and who sees it."""

from typing import Any

import pytest

from mesh_federation.plan import gateway_api, istio_values
from mesh_federation.plan.federation import ClusterPlan
from mesh_federation.plan.global_hosts import GlobalHostPlan
from tests.unit.plan.model import GRPC, HTTP, Tree, cluster, export, federation, link, planned, three, tree

AS_GLOBAL: dict[str, Any] = {"as": "global"}
TARGETED = {**HTTP, "targetPort": 8080}
HTTPBIN = [{"cluster": "east", "sample": "httpbin"}]


def declared(*, workloads: list[Tree] | None = None, **given: object) -> Tree:
    """East imports httpbin as global from west."""
    return tree(exports=[export(ports=[TARGETED])], imports=[link(**AS_GLOBAL, **given)], workloads=workloads or [])


def both_ways() -> Tree:
    """East and west run httpbin, and each offers it to the other."""
    to_west = [{"cluster": "west", "serviceAccounts": ["tool/tool"]}]
    other = export("east", ports=[{**HTTP, "targetPort": 9090}], to=to_west, serviceAccount="server")
    links = [link(**AS_GLOBAL), {**link("east", **AS_GLOBAL), "cluster": "west"}]
    return tree(exports=[export(ports=[TARGETED]), other], imports=links)


def host(plan: ClusterPlan) -> GlobalHostPlan:
    [found] = plan.global_hosts
    return found


def spec(plan: ClusterPlan) -> dict[str, Any]:
    [planned_object] = host(plan).objects
    found = planned_object.body["spec"]
    assert isinstance(found, dict)
    return found


def entries(plan: ClusterPlan) -> list[dict[str, Any]]:
    """All WorkloadEntries of a cluster."""
    return [body for body in plan.bodies if body["kind"] == "WorkloadEntry"]


def gateway_api_objects(plan: ClusterPlan) -> list[dict[str, Any]]:
    """All objects of the Gateway API of a cluster."""
    return [body for body in plan.bodies if body["apiVersion"] == gateway_api.API_VERSION]


def offered(name: str, imports: list[Tree]) -> tuple[str, ...]:
    [plan] = planned(tree(imports=imports), name).exports
    return plan.hosts


@pytest.mark.parametrize(
    ("modes", "hosts"),
    [
        ((), ("httpbin.httpbin.svc.cluster.local",)),
        (("remote",), ("httpbin.httpbin.svc.cluster.local",)),
        (("local",), ("httpbin.httpbin.svc.cluster.local",)),
        (("global",), ("httpbin.mesh.global",)),
        (("global", "remote"), ("httpbin.httpbin.svc.cluster.local", "httpbin.mesh.global")),
    ],
)
def test_a_gateway_offers_the_names_under_which_a_service_is_imported_and_no_other(
    modes: tuple[str, ...], hosts: tuple[str, ...]
) -> None:
    imports = [link(**{"as": mode}) for mode in modes]
    assert offered("west", imports) == hosts
    [plan] = planned(tree(imports=imports), "west").exports
    assert [server["hosts"] for server in plan.objects[1].body["spec"]["servers"]] == [list(hosts)]  # type: ignore[index]


def test_another_form_of_global_hosts_reaches_exporter_importer_and_gateway() -> None:
    """With the namespace in it, services of one name in two namespaces are called side by side."""
    named = {**declared(), "globalHost": "{name}.{namespace}.svc.clusterset.local"}
    expected = "httpbin.httpbin.svc.clusterset.local"
    for name in ("east", "west"):
        assert spec(planned(named, name))["hosts"] == [expected]
    (exported,) = planned(named, "west").exports
    assert exported.hosts == (expected,) and exported.is_global


def test_a_host_that_nobody_imports_as_global_is_nowhere() -> None:
    assert [planned(tree(), name).global_hosts for name in ("east", "west")] == [(), ()]


def test_the_exporter_selects_its_pods_on_their_own_port_for_its_gateway_alone() -> None:
    plan = planned(declared(), "west")
    assert host(plan).owner == "ServiceEntry httpbin/global-httpbin-httpbin"
    assert spec(plan)["workloadSelector"] == {"labels": {"app": "httpbin"}}
    assert spec(plan)["ports"] == [{"number": 8000, "targetPort": 8080, "name": "http", "protocol": "HTTP"}]
    assert spec(plan)["exportTo"] == ["istio-system"]


def test_a_port_without_target_leads_to_its_own_number() -> None:
    both = tree(exports=[export(ports=[HTTP, GRPC])], imports=[link(**AS_GLOBAL)])
    assert [port["targetPort"] for port in spec(planned(both, "west"))["ports"]] == [8000, 9000]


def test_an_importer_without_pods_selects_by_a_label_that_no_pod_has() -> None:
    plan = planned(declared())
    label = {"mesh-federation/import": "import-httpbin-httpbin"}
    assert host(plan).namespace == "istio-system"
    assert spec(plan)["workloadSelector"] == {"labels": label}
    [entry] = entries(plan)
    assert entry["metadata"]["namespace"] == "istio-system"
    assert entry["spec"]["labels"] == {**label, "security.istio.io/tlsMode": "istio"}


def test_two_services_in_one_namespace_select_different_entries() -> None:
    other = {"service": "httpbin/tool"}
    both = tree(exports=[export(), export(**other)], imports=[link(**AS_GLOBAL), link(**AS_GLOBAL, **other)])
    first, second = planned(both).global_hosts
    assert first.selector.keys() == second.selector.keys()
    assert first.selector != second.selector


def test_pods_of_the_importer_answer_too_and_their_service_takes_no_entry_for_its_own() -> None:
    plan = planned(declared(workloads=HTTPBIN))
    assert host(plan).namespace == "httpbin"
    selected = spec(plan)["workloadSelector"]["labels"]
    [entry] = entries(plan)
    assert entry["metadata"]["namespace"] == "httpbin"
    assert selected.items() <= entry["spec"]["labels"].items()
    assert selected == {"service.istio.io/canonical-name": "httpbin"}
    assert "app" not in entry["spec"]["labels"]  # by which the Service selects


def test_callers_pin_the_pods_here_and_there() -> None:
    remote = "spiffe://west.local/ns/httpbin/sa/httpbin"
    assert spec(planned(declared()))["subjectAltNames"] == [remote]
    beside = spec(planned(declared(workloads=HTTPBIN)))["subjectAltNames"]
    assert beside == ["spiffe://east.local/ns/httpbin/sa/httpbin", remote]


def test_a_cluster_that_offers_and_imports_a_host_has_one_object_for_both() -> None:
    plan = planned(both_ways())
    assert spec(plan)["exportTo"] == ["istio-system", "sleep"]
    assert spec(plan)["ports"][0]["targetPort"] == 9090
    assert spec(plan)["subjectAltNames"] == [
        "spiffe://east.local/ns/httpbin/sa/server",
        "spiffe://west.local/ns/httpbin/sa/httpbin",
    ]
    assert spec(plan)["workloadSelector"] == {"labels": {"service.istio.io/canonical-name": "httpbin"}}


def test_the_own_gateway_sees_an_imported_host_only_where_it_offers_it() -> None:
    assert spec(planned(declared()))["exportTo"] == ["sleep"]
    whole = tree(exports=[export(to=[{"cluster": "east"}])], imports=[link(**AS_GLOBAL)])
    assert spec(planned(whole))["exportTo"] == ["*"]


def test_an_entry_has_the_gateways_address_by_istios_api_and_none_by_the_other() -> None:
    [by_address] = entries(planned(declared()))
    assert by_address["spec"]["ports"] == {"http": 15443}
    [by_network] = entries(planned(declared(api="gateway")))
    assert not {"address", "ports"} & by_network["spec"].keys()
    for entry in (by_address, by_network):
        assert (entry["spec"]["network"], entry["spec"]["locality"]) == ("west-network", "west")


def test_every_gateway_address_gets_an_entry_by_istios_api_and_one_for_all_by_the_other() -> None:
    clusters = {"east": cluster(10), "west": cluster(30, gateway={"addresses": ["172.30.200.1", "172.30.200.2"]})}
    assert len(entries(planned({**declared(), "clusters": clusters}))) == 2
    assert len(entries(planned({**declared(api="gateway"), "clusters": clusters}))) == 1


def test_weights_stand_on_entries_and_beside_pods_in_the_rule() -> None:
    assert [entry["spec"]["weight"] for entry in entries(planned(three(**AS_GLOBAL)))] == [50, 50]
    plan = planned(declared(workloads=HTTPBIN, weight=30))
    assert [entry["spec"].get("weight") for entry in entries(plan)] == [None]
    [link_plan] = plan.imports
    assert link_plan.destination_rule
    rule: Any = link_plan.destination_rule.body
    [share] = rule["spec"]["trafficPolicy"]["loadBalancer"]["localityLbSetting"]["distribute"]
    assert share["to"] == {"east/*": 70, "west": 30}
    assert rule["metadata"]["namespace"] == "httpbin"
    assert rule["spec"]["host"] == "httpbin.mesh.global"


def test_a_source_of_weight_0_gets_no_entry() -> None:
    both = three(**AS_GLOBAL)
    for each, weight in zip(both["imports"], (100, 0), strict=True):
        each["weight"] = weight
    assert [entry["metadata"]["name"] for entry in entries(planned(both))] == ["import-global-httpbin-httpbin-west"]


def test_an_offer_through_the_gateway_api_has_a_listener_for_each_exact_host_on_the_gateway_that_is_there() -> None:
    links = [link(**AS_GLOBAL), link(api="gateway")]
    [offer] = gateway_api_objects(planned(tree(imports=links), "west"))
    assert [each["hostname"] for each in offer["spec"]["listeners"]] == list(offered("west", links))
    assert {(each["port"], each["protocol"]) for each in offer["spec"]["listeners"]} == {(15443, "TLS")}
    assert offer["spec"]["addresses"] == [
        {"type": "Hostname", "value": "istio-eastwestgateway.istio-system.svc.cluster.local"}
    ]
    assert "labels" not in offer["metadata"]  # a network label would make an address of that Service's name


def test_an_istiod_of_a_revision_is_told_that_an_offer_is_its_own() -> None:
    [offer] = gateway_api_objects(planned({**declared(api="gateway"), "istio": {"revision": "canary"}}, "west"))
    assert offer["metadata"]["labels"] == {"istio.io/rev": "canary"}


def test_no_name_means_a_gateway_of_either_api() -> None:
    by_istio, by_gateway_api = (
        planned(declared(api=api), "west").exports[0].objects[1].body["metadata"]["name"]  # type: ignore[index]
        for api in ("istio", "gateway")
    )
    assert by_istio != by_gateway_api


def test_a_remote_gateway_carries_its_network_and_typed_addresses() -> None:
    [remote] = planned(declared(api="gateway")).remote_gateways
    [gateway] = remote.objects
    body: Any = gateway.filled({"west": ["203.0.113.1", "west.example.com"]})
    assert body["metadata"]["labels"] == {"topology.istio.io/network": "west-network"}
    assert body["spec"]["gatewayClassName"] == "istio-remote"
    assert [each["type"] for each in body["spec"]["addresses"]] == ["IPAddress", "Hostname"]


def test_one_remote_gateway_serves_all_imports_from_a_network() -> None:
    other = {"service": "httpbin/tool", "api": "gateway"}
    both = tree(exports=[export(), export(service="httpbin/tool")], imports=[link(api="gateway"), link(**other)])
    assert [remote.name for remote in planned(both).remote_gateways] == ["remote-west"]
    assert planned(both, "west").remote_gateways == ()


@pytest.mark.parametrize("mode", ["remote", "local"])
def test_other_imports_through_the_gateway_api_have_no_addresses_either(mode: str) -> None:
    plan = planned(tree(imports=[link(api="gateway", **{"as": mode})]))
    [body] = [each for each in plan.bodies if each["kind"] in ("ServiceEntry", "WorkloadEntry")]
    body_spec: Any = body["spec"]
    [endpoint] = body_spec.get("endpoints", [body_spec])
    assert not {"address", "ports"} & endpoint.keys()
    assert endpoint["network"] == "west-network"


@pytest.mark.parametrize(("version", "flagged"), [("1.29.2", True), ("1.30.0", False), ("1.31.0", False)])
def test_an_older_istiod_is_told_to_take_tls_listeners(version: str, flagged: bool) -> None:
    model = federation(istio={"version": version}, imports=[link(api="gateway")])
    values: Any = istio_values.istiod_values(model, model.clusters["west"])
    flag = {"env": {"PILOT_ENABLE_ALPHA_GATEWAY_API": "true"}}
    assert {key: values[key] for key in ("env",) if key in values} == (flag if flagged else {})
    assert values.get("pilot") == (flag if flagged else None)


def test_no_istiod_is_told_where_no_link_needs_it() -> None:
    model = federation(istio={"version": "1.29.2"})
    assert not {"env", "pilot"} & istio_values.istiod_values(model, model.clusters["west"]).keys()


def test_names_tell_both_imports_of_a_service_apart() -> None:
    plan = planned(tree(imports=[link(**AS_GLOBAL), link(**{"as": "local"})]))
    names = [(body["kind"], body["metadata"]["namespace"], body["metadata"]["name"]) for body in entries(plan)]
    assert len(set(names)) == 2
    assert len({each.name for each in plan.imports}) == 2
