"""The facts of a picture are those of the plan."""

import copy
from pathlib import Path

import pytest

from mesh_federation import loader
from mesh_federation.diagrams.graph import Caller, Cluster, Graph, Import, graph
from mesh_federation.plan.federation import plan
from tests.unit.components.authorities import provided
from tests.unit.components.federations import committed, multi_primary, not_ours, three_clusters, with_trust
from tests.unit.diagrams.federations import STACKS, drawn, of

CORPUS = Path(__file__).parents[1] / "stack"
CARDS, OBSERVED = CORPUS / "cards" / "stack", CORPUS / "observed" / "stack"


def clusters(graph: Graph) -> dict[str, Cluster]:
    return {cluster.name: cluster for cluster in graph.clusters}


def imports(graph: Graph) -> dict[str, Import]:
    return {link.path: link for cluster in graph.clusters for link in cluster.imports}


@pytest.mark.parametrize("stack", STACKS)
def test_every_entry_of_the_stack_file_is_in_its_graph(stack: str) -> None:
    declared, found = committed(stack), drawn(stack)
    assert list(clusters(found)) == sorted(declared["clusters"])
    paths = [
        *(f"imports[{place}]" for place in range(len(declared.get("imports", [])))),
        *(f"exports[{place}]" for place in range(len(declared.get("exports", [])))),
        *(f"discovery[{place}]" for place in range(len(declared.get("discovery", [])))),
    ]
    in_graph = [
        *(link.path for each in found.clusters for link in each.imports),
        *(offer.path for each in found.clusters for offer in each.exports),
        *(link.path for each in found.clusters for link in each.discoveries),
    ]
    assert sorted(in_graph) == sorted(paths)


def test_a_gateway_that_only_its_service_knows_has_no_address_and_all_others_have() -> None:
    assert all(cluster.gateway and cluster.gateway.addresses == () for cluster in of(not_ours()).clusters)
    assert all(cluster.gateway and len(cluster.gateway.addresses) == 1 for cluster in drawn("east-west").clusters)


def test_an_entry_keeps_its_path_whatever_its_place_in_the_picture() -> None:
    tree = copy.deepcopy(committed("three-meshes"))
    tree["imports"].reverse()
    now = {(link.source, link.service, path) for path, link in imports(of(tree)).items() if link.source == "central"}
    assert {path for _, _, path in now} == {"imports[0]", "imports[1]"}


def test_imports_of_a_service_under_several_names_keep_their_paths() -> None:
    tree = copy.deepcopy(committed("east-west"))
    [link] = tree["imports"]
    tree["imports"] = [{**link, "host": "pay.west.example"}, link, {**link, "host": "api.west.example"}]
    assert {path: each.host for path, each in imports(of(tree)).items()} == {
        "imports[0]": "pay.west.example",
        "imports[1]": "httpbin.httpbin.svc.cluster.local",
        "imports[2]": "api.west.example",
    }


def test_weights_are_those_of_the_plan_where_several_clusters_answer() -> None:
    weights = {link.source: link.weight for link in imports(of(three_clusters())).values()}
    assert weights == {"north": 50, "west": 50}
    assert [link.weight for link in imports(drawn("simulated")).values()] == [None]


def test_callers_are_those_that_the_export_names() -> None:
    [export] = clusters(drawn("simulated"))["west"].exports
    assert export.callers == (Caller("east", ("sleep/sleep",)),)
    tree = committed("simulated")
    tree["exports"][0]["to"] = [{"cluster": "east"}]
    assert clusters(of(tree))["west"].exports[0].callers == (Caller("east", ()),)


def test_an_export_has_the_hosts_that_its_gateway_offers() -> None:
    assert clusters(drawn("gateway-api"))["west"].exports[0].hosts == ("httpbin.mesh.global",)
    assert clusters(drawn("simulated"))["west"].exports[0].hosts == ("httpbin.httpbin.svc.cluster.local",)


def test_only_a_cluster_with_imports_by_egress_has_an_egress_gateway() -> None:
    assert {name: each.egress is not None for name, each in clusters(drawn("egress")).items()} == {
        "east": True,
        "west": True,
    }
    assert all(each.egress is None for each in drawn("gateway-api").clusters)
    tree = committed("egress")
    tree["exports"][0]["to"] = [{"cluster": "east"}]
    east = clusters(of(tree))["east"]
    assert east.egress and east.egress.confines == ("*",)


def test_a_gateway_is_open_only_where_the_cluster_is_discovered_over_another_network() -> None:
    assert all(each.gateway and each.gateway.is_open for each in of(multi_primary()).clusters)
    assert not any(each.gateway and each.gateway.is_open for each in drawn("egress").clusters)


def test_a_common_root_signs_every_cluster_and_separate_ones_their_own() -> None:
    common, separate = of(with_trust("common")), of(with_trust("separate"))
    assert [(root.name, root.signs) for root in common.trust.roots] == [("root CA", ("east", "west"))]
    assert [root.signs for root in separate.trust.roots] == [("east",), ("west",)]
    assert [each.root for each in separate.clusters] == ["east root CA", "west root CA"]


def test_provided_roots_are_told_by_their_subjects_and_sealed_ones_by_their_cluster() -> None:
    tree = copy.deepcopy(provided())
    roots = of(tree).trust.roots
    assert sorted(cluster for root in roots for cluster in root.signs) == ["east", "west"]
    assert all(root.name.startswith("CN=") or "CN=" in root.name for root in roots)
    for authority in tree["trust"]["provided"].values():
        authority["root"] = {"secure": "v1:AAAA"}
    assert [root.name for root in of(tree).trust.roots] == ["encrypted root of east", "encrypted root of west"]


def test_a_cluster_accepts_the_domains_of_those_it_calls_and_serves() -> None:
    assert clusters(drawn("three-meshes"))["central"].accepts == ("east.local", "west.local")
    assert clusters(drawn("three-meshes"))["east"].accepts == ("central.local",)


def test_a_partner_is_drawn_as_the_cluster_that_its_card_describes() -> None:
    federation = loader.read(CARDS / "Pulumi.dev.yaml")
    east, acme = sorted(
        graph(federation, plan(federation, "dev"), "dev").clusters, key=lambda each: each.name != "east"
    )
    assert (acme.provisioner, acme.istio, acme.root, acme.path) == ("partner", "", "CN=west", "partners.acme.mesh")
    assert acme.gateway and acme.gateway.addresses == ("203.0.113.7",)
    assert [each.source for each in east.imports] == ["acme"]


def test_what_belongs_to_others_is_said_and_no_gateway_is_drawn_where_there_is_none() -> None:
    federation = loader.read(OBSERVED / "Pulumi.dev.yaml")
    east, west = graph(federation, plan(federation, "dev"), "dev").clusters
    assert (east.istio, east.is_of_others, east.gateway, east.root) == ("1.31.0", True, None, "CN=east")
    assert west.gateway
