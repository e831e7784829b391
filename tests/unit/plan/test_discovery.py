"""What endpoint discovery means: who may read what, where, and by which name."""

from typing import Any

import pytest

from mesh_federation.loader import parse
from mesh_federation.plan import discovery
from mesh_federation.plan.discovery import DiscoveryPlan
from mesh_federation.plan.federation import Plan, plan
from mesh_federation.stack.config import NamespacedName
from tests.unit.plan.model import Tree, cluster

LINKS = [{"cluster": "east", "of": "west"}, {"cluster": "west", "of": "east", "tokenHours": 48}]


def one_mesh(provisioner: str = "kwok", **given: object) -> Tree:
    """Declare two clusters of one mesh that discover each other."""
    common = {"meshID": "mesh", "trustDomain": "mesh.local", "provisioner": provisioner}
    clusters = {name: cluster(place, **common) for name, place in (("east", 10), ("west", 30))}
    return {"trust": {"scope": "mesh"}, "clusters": clusters, "discovery": LINKS, **given}


def planned(tree: Tree) -> Plan:
    return plan(parse(tree), "test")


def link(tree: Tree) -> DiscoveryPlan:
    """East's view of west."""
    (only,) = planned(tree).clusters["east"].discovers
    return only


def rules(plan: DiscoveryPlan) -> list[dict[str, Any]]:
    """Everything that a reader may do."""
    roles = [body for body in discovery.rights(plan) if body["kind"] in ("ClusterRole", "Role")]
    return [rule for role in roles for rule in role["rules"]]  # type: ignore[attr-defined]


def test_each_cluster_knows_whom_it_reads_and_who_reads_it() -> None:
    clusters = planned(one_mesh()).clusters
    east, west = clusters["east"], clusters["west"]
    assert [(each.of, each.hours) for each in east.discovers] == [("west", 24 * 365)]
    assert [(each.of, each.hours) for each in west.discovers] == [("east", 48)]
    assert west.read_by == east.discovers
    assert east.read_by == west.discovers


def test_a_reader_writes_nothing() -> None:
    assert {verb for rule in rules(link(one_mesh())) for verb in rule["verbs"]} == {"list", "watch"}


def test_a_reader_reads_what_informers_read_and_of_config_maps_one() -> None:
    allowed = {(group, name) for rule in rules(link(one_mesh())) for group in rule["apiGroups"]
               for name in rule["resources"] if "resourceNames" not in rule}  # fmt: skip
    assert allowed == {
        ("", "namespaces"),
        ("", "nodes"),
        ("", "pods"),
        ("", "secrets"),
        ("", "services"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        ("discovery.k8s.io", "endpointslices"),
        ("gateway.networking.k8s.io", "gateways"),
        ("networking.istio.io", "workloadentries"),
    }
    (named,) = [rule for rule in rules(link(one_mesh())) if "resourceNames" in rule]
    assert (named["resources"], named["resourceNames"]) == (["configmaps"], ["istio"])


def test_rights_are_bound_to_the_account_that_is_made_and_to_no_other() -> None:
    read = link(one_mesh())
    made: Any = discovery.account(read)
    bindings: list[Any] = [body for body in discovery.rights(read) if body["kind"].endswith("Binding")]  # type: ignore[attr-defined]
    named = {"kind": "ServiceAccount", **{key: made["metadata"][key] for key in ("name", "namespace")}}
    assert [binding["subjects"] for binding in bindings] == [[named]] * 2
    for binding in bindings:
        (role,) = [b for b in discovery.rights(read) if b["kind"] == binding["roleRef"]["kind"]]
        assert role["metadata"]["name"] == binding["roleRef"]["name"]  # type: ignore[index]


def test_two_readers_of_a_cluster_have_accounts_of_their_own() -> None:
    tree = one_mesh()
    tree["clusters"]["north"] = {**tree["clusters"]["east"], **cluster(50)}
    tree["discovery"] = [{"cluster": "east", "of": "west"}, {"cluster": "north", "of": "west"}]
    readers = planned(tree).clusters["west"].read_by
    names = [{each.body["metadata"]["name"] for each in one.reader_objects} for one in readers]  # type: ignore[index]
    assert names == [{"istiod-of-east"}, {"istiod-of-north"}]


def test_a_revisions_mesh_config_is_the_one_that_is_read() -> None:
    assert link(one_mesh(istio={"revision": "blue"})).mesh_config == "istio-blue"


@pytest.mark.parametrize("provisioner", ["kwok", "kind", "existing"])
def test_api_servers_have_the_address_that_the_reading_istiod_reaches(provisioner: str) -> None:
    tree = one_mesh(provisioner)
    if provisioner == "existing":
        tree["clusters"]["west"] |= {"kubeconfig": "west", "apiServer": "https://west.example.com:6443"}
        tree["clusters"]["east"] |= {"kubeconfig": "east"}
    name = planned(tree).clusters["west"].provision.name
    assert (
        link(tree).server
        == {
            "kwok": "",
            "kind": f"https://{name}-control-plane:6443",
            "existing": "https://west.example.com:6443",
        }[provisioner]
    )


def test_an_api_server_of_k3d_is_reached_through_its_load_balancer() -> None:
    (only, _) = discovery.discoveries(parse(one_mesh("k3d")), {"east": "east-1", "west": "west-2"})
    assert only.server == "https://k3d-west-2-serverlb:6443"


def test_a_gateway_is_opened_by_discovery_from_another_network_alone() -> None:
    tree = one_mesh()
    assert planned(tree).clusters["west"].is_open
    tree["discovery"] = [{"cluster": "east", "of": "west"}]
    assert not planned(tree).clusters["east"].is_open
    for each in tree["clusters"].values():
        each["network"] = "flat"
    assert not planned(tree).clusters["west"].is_open


def test_another_port_than_istios_own_is_told_to_other_istiods() -> None:
    tree = one_mesh()
    tree["clusters"]["west"]["gateway"] = {"port": 16443}
    west: Any = planned(tree).clusters["west"].values["istio-eastwestgateway"]
    east: Any = planned(tree).clusters["east"].values["istio-eastwestgateway"]
    assert west["labels"]["networking.istio.io/gatewayPort"] == "16443"
    assert "networking.istio.io/gatewayPort" not in east["labels"]
    opened: Any = discovery.open_gateway(NamespacedName("mesh", "gateway"), 16443, "cluster.munich")
    server = opened["spec"]["servers"][0]
    assert (server["port"]["number"], server["hosts"]) == (16443, ["*.munich"])


def test_a_claim_lists_all_that_discovery_makes() -> None:
    west = planned(one_mesh()).clusters["west"]
    names = [body["metadata"]["name"] for body in west.bodies]  # type: ignore[index]
    assert names.count("istiod-of-east") == 5
    assert names.count("discovered-services") == 1
    assert names.count("istio-remote-secret-east") == 1
