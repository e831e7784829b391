"""Egress in the program: what waits for what, what is known when, and that no second way is left open."""

from typing import Any

import pytest

from mesh_federation.loader import parse
from mesh_federation.plan.istio_values import egress_ports
from tests.unit.components.conftest import Record
from tests.unit.components.federations import Tree, as_global, committed, not_ours, three_clusters
from tests.unit.components.recorder import CLOUD_ADDRESS, CLUSTER_ADDRESS, Registered, Run, secret

WEST = "east-exit-west"
ENTRY = "ServiceEntry", "east:istio-system/import-httpbin-httpbin"
GATEWAY = "Deployment", "east:istio-system/istio-egressgateway"
SERVICE = "Service", "east:istio-system/istio-egressgateway"


def through_egress(tree: Tree, **given: object) -> Tree:
    tree["imports"] = [{**link, "via": "egress", **given} for link in tree["imports"]]
    return tree


@pytest.fixture
def run(record: Record) -> Run:
    return record(through_egress(committed("east-west")))


def port(tree: Tree, cluster: str = "east", to: str = "west") -> int:
    return egress_ports(parse(tree), cluster)[to]


def spec(run: Run, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = run.one(kind, name).body["spec"]
    return found


def named(run: Run, name: str) -> list[Registered]:
    return [each for each in run.registered if name in each.name]


def test_callers_are_sent_to_the_egress_gateway_of_their_own_cluster(run: Run) -> None:
    [endpoint] = spec(run, *ENTRY)["endpoints"]
    assert endpoint["address"] == spec(run, *SERVICE)["clusterIP"] == "10.255.10.5"
    [served] = [each for each in spec(run, *SERVICE)["ports"] if each["name"] == "tls-west"]
    assert endpoint["ports"] == {"http": served["port"]}
    assert endpoint["network"] == "west-network", "or the own gateway would pass calls on to it"


def test_the_egress_gateway_leads_to_the_exporters_and_names_no_network(run: Run) -> None:
    entry = spec(run, "ServiceEntry", "east:istio-system/ingress-west")
    address = run.one("Service", "west:istio-system/istio-eastwestgateway").body["metadata"]["annotations"]
    assert entry["endpoints"] == [{"address": address["metallb.universe.tf/loadBalancerIPs"]}]
    assert entry["exportTo"] == ["."]
    for kind, name in (GATEWAY, SERVICE):
        assert "topology.istio.io/network" not in str(run.one(kind, name).body)


def test_callers_move_only_when_every_envoy_says_that_the_way_is_open(run: Run) -> None:
    asked = run.one("Command", WEST)
    before = run.before(asked)
    for kind, name in (GATEWAY, ("ServiceEntry", "east:istio-system/ingress-west")):
        assert run.one(kind, name).urn in before
    for each in named(run, "east:istio-system/egress-"):
        assert each.urn in before
    assert asked.urn in run.before(run.one(*ENTRY))
    assert asked.settings["server_names"] == ["*.httpbin.httpbin.svc.cluster.local"]
    assert secret(asked.inputs["stdin"])


def test_other_ways_are_closed_when_callers_have_moved(run: Run) -> None:
    entry = run.one(*ENTRY).urn
    for kind in ("Sidecar", "NetworkPolicy"):
        closed = run.one(kind, "east:sleep/egress-only")
        assert entry in run.before(closed)
    address = run.one("Service", "west:istio-system/istio-eastwestgateway").body["metadata"]["annotations"]
    [rule] = spec(run, "NetworkPolicy", "east:sleep/egress-only")["egress"]
    assert rule["to"][1]["ipBlock"]["except"] == [f"{address['metallb.universe.tf/loadBalancerIPs']}/32"]
    assert spec(run, "Sidecar", "east:sleep/egress-only")["outboundTrafficPolicy"] == {"mode": "REGISTRY_ONLY"}


def test_a_remote_gateway_of_the_gateway_api_is_the_egress_gateway(record: Record) -> None:
    tree = committed("egress")
    run = record(tree)
    remote = spec(run, "Gateway", "east:istio-system/remote-west")
    assert remote["addresses"] == [{"type": "IPAddress", "value": spec(run, *SERVICE)["clusterIP"]}]
    assert [listener["port"] for listener in remote["listeners"]] == [port(tree)]
    assert run.one("Command", WEST).urn in run.before(run.one("Gateway", "east:istio-system/remote-west"))


def test_a_route_of_the_gateway_api_leads_from_its_listener_to_the_exporters_gateway(record: Record) -> None:
    run = record(committed("egress"))
    name = "egress-tls-httpbin-httpbin-global-west"
    listener = spec(run, "Gateway", f"east:istio-system/{name}")["listeners"][0]
    route = run.one("TLSRoute", f"east:istio-system/{name}")
    assert listener["tls"] == {"mode": "Passthrough"}
    assert route.body["spec"]["hostnames"] == [listener["hostname"]] == ["*.httpbin.mesh.global"]
    [backend] = route.body["spec"]["rules"][0]["backendRefs"]
    assert spec(run, "ServiceEntry", "east:istio-system/ingress-west")["hosts"] == [backend["name"]]
    assert run.one("ServiceEntry", "east:istio-system/ingress-west").urn in run.before(route)


def test_both_directions_do_not_wait_in_a_circle(record: Record) -> None:
    run = record(committed("egress"))
    assert {each.name for each in run.of_type("mesh-federation:index:Exit")} == {WEST, "west-exit-east"}
    assert not [each.name for each in run.registered if each.urn in run.before(each)]


def test_callers_choose_between_clusters_by_ports_of_one_address(record: Record) -> None:
    tree = through_egress(three_clusters())
    run = record(tree)
    found = {each["locality"]: each for each in spec(run, *ENTRY)["endpoints"]}
    assert len({each["address"] for each in found.values()}) == 1
    for source in ("north", "west"):
        assert found[source]["ports"] == {"http": port(tree, to=source)}
        [match] = spec(run, "VirtualService", f"east:istio-system/egress-httpbin-httpbin-own-{source}")["tls"]
        assert match["match"][0]["port"] == port(tree, to=source)
        assert match["route"][0]["destination"]["host"] == f"ingress.{source}.mesh.global"
    [policy] = spec(run, "NetworkPolicy", "east:sleep/egress-only")["egress"]
    assert len(policy["to"][1]["ipBlock"]["except"]) == 2


def test_an_export_to_a_whole_cluster_confines_the_whole_cluster(record: Record) -> None:
    tree = through_egress(committed("east-west"))
    tree["exports"][0]["to"] = [{"cluster": "east"}]
    run = record(tree)
    assert [each.name for each in run.registered if each.kind == "Sidecar"] == ["east:istio-system/egress-only"]
    assert [each.name for each in run.registered if each.kind == "NetworkPolicy"] == ["east:sleep/egress-only"]


def test_a_service_with_pods_here_too_confines_its_remote_callers_alone(record: Record) -> None:
    tree = through_egress(committed("as-local"))
    run = record(tree)
    assert [each.name for each in run.registered if each.kind == "Sidecar"] == ["east:sleep/egress-only"]
    entry = spec(run, "WorkloadEntry", "east:httpbin/import-httpbin-httpbin-west")
    assert (entry["address"], entry["ports"]) == ("10.255.10.5", {"http": port(tree)})


def test_simulated_gateways_have_no_envoy_to_ask(record: Record) -> None:
    run = record(through_egress(committed("simulated")))
    assert not [each.name for each in run.registered if each.type.endswith("local:Command") and "exit" in each.name]
    [route] = named(run, "east:istio-system/egress-httpbin-httpbin-own-west")[1:]
    assert route.urn in run.before(run.one(*ENTRY))


def test_on_clusters_that_are_not_ours_the_address_is_that_of_the_running_service(record: Record) -> None:
    preview = record(through_egress(not_ours()), preview=True)
    assert "clusterIP" not in spec(preview, *SERVICE)
    assert "spec.endpoints" in preview.one(*ENTRY).unknown_paths()
    done = record(through_egress(not_ours()))
    assert [each["address"] for each in spec(done, *ENTRY)["endpoints"]] == [CLUSTER_ADDRESS]
    assert done.one(*SERVICE).urn in done.one(*ENTRY).dependencies_of("spec")
    [rule] = spec(done, "NetworkPolicy", "east:sleep/egress-only")["egress"]
    assert rule["to"][1]["ipBlock"]["except"] == [f"{CLOUD_ADDRESS}/32"]


def test_without_such_an_import_there_is_no_egress(simulated: Run) -> None:
    for word in ("egress", "exit", "confinement"):
        assert not named(simulated, word)


def test_own_values_reach_the_egress_gateway_alone(record: Record) -> None:
    tree = through_egress(committed("east-west"))
    tree["istio"] = {"egressValues": {"resources": {"requests": {"cpu": "7m"}}}}
    run = record(tree)
    requests = {
        name: run.one("Deployment", f"east:istio-system/{name}").body["spec"]["template"]["spec"]["containers"][0]
        for name in ("istio-egressgateway", "istio-eastwestgateway")
    }
    assert requests["istio-egressgateway"]["resources"]["requests"]["cpu"] == "7m"
    assert requests["istio-eastwestgateway"]["resources"]["requests"].get("cpu") != "7m"


@pytest.mark.parametrize("api", ["istio", "gateway"])
@pytest.mark.parametrize("mode", ["remote", "local", "global"])
def test_exporters_behind_host_names_are_reached_in_every_mode(record: Record, mode: str, api: str) -> None:
    tree = not_ours()
    tree["clusters"]["west"]["gateway"] = {"addresses": ["west.example.com"]}
    tree["exports"] = as_global()["exports"]
    tree["imports"] = as_global(api=api, via="egress", **{"as": mode})["imports"]
    run = record(tree)
    entry = spec(run, "ServiceEntry", "east:istio-system/ingress-west")
    assert (entry["resolution"], entry["endpoints"]) == ("DNS", [{"address": "west.example.com"}])
    called = [each.body for each in run.registered if each.kind in ("WorkloadEntry", "ServiceEntry", "Gateway")]
    assert str(called).count("west.example.com") == 1
    [rule] = spec(run, "NetworkPolicy", "east:sleep/egress-only")["egress"]
    assert rule["to"][1]["ipBlock"]["except"] == []
