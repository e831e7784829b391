"""What is made where Istio belongs to others: filters, exports, imports, a gateway of an own name, and nothing else."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mesh_federation import loader
from mesh_federation.plan.federation import ClusterPlan, Plan, plan
from mesh_federation.stack.config import Federation
from mesh_federation.stack.problem import InvalidModel

STACK = Path(__file__).parents[1] / "stack" / "observed" / "stack" / "Pulumi.dev.yaml"
DECLARED = loader.read(STACK)


def tree() -> Any:  # noqa: ANN401 - a tree
    """The federation as its files have it."""
    return copy.deepcopy(loader.declared(STACK).tree)


def observing(cluster: str, **changed: object) -> Federation:
    """The federation with something else observed of a cluster."""
    given = tree()
    given["clusters"][cluster]["observed"] |= changed
    return loader.parse(given)


@pytest.fixture(scope="module")
def planned() -> Plan:
    return plan(DECLARED, "dev")


def bodies(cluster: ClusterPlan) -> dict[str, Mapping[str, Any]]:
    """Bodies of objects by kind and name."""
    return {f"{body['kind']} {body['metadata']['name']}": body for body in cluster.bodies}  # type: ignore[index]


def test_only_links_have_objects(planned: Plan) -> None:
    assert list(bodies(planned.clusters["west"])) == [
        "EnvoyFilter export-httpbin-httpbin",
        "AuthorizationPolicy export-httpbin-httpbin",
        "Gateway export-httpbin-httpbin",
    ]
    assert list(bodies(planned.clusters["east"])) == [
        "EnvoyFilter import-httpbin-httpbin",
        "Service httpbin",
        "WorkloadEntry import-httpbin-httpbin-west",
        "DestinationRule import-httpbin-httpbin",
    ]


def test_no_chart_but_that_of_a_gateway_is_rendered_and_only_for_exports(planned: Plan) -> None:
    assert list(planned.clusters["west"].values) == ["mesh-federation-gateway"]
    assert list(planned.clusters["east"].values) == []
    assert planned.clusters["west"].istio is None


def test_the_gateway_takes_no_part_in_the_owners_network(planned: Plan) -> None:
    values: Any = planned.clusters["west"].values["mesh-federation-gateway"]
    assert values["labels"] == {"app": "mesh-federation-gateway", "istio": "mesh-federation-gateway"}
    assert "ISTIO_META_REQUESTED_NETWORK_VIEW" not in values["env"]
    selected: Any = bodies(planned.clusters["west"])["Gateway export-httpbin-httpbin"]["spec"]
    assert selected["selector"] == values["labels"]


def in_a_namespace_for_links(cluster: str, mode: str = "remote", captured: bool = True) -> Federation:
    """The federation with a namespace for what links share in a cluster."""
    given = tree()
    given["clusters"][cluster]["istio"]["linkNamespace"] = "mesh-links"
    given["clusters"]["east"]["observed"]["dnsCapture"] = captured
    given["imports"][0]["as"] = mode
    return loader.parse(given)


def test_a_namespace_for_links_has_the_gateway_and_all_that_opens_it() -> None:
    west = plan(in_a_namespace_for_links("west"), "dev").clusters["west"]
    [release] = west.releases
    assert str(west.gateway) == str(release.reference) == "mesh-links/mesh-federation-gateway"
    namespaces = {title: each["metadata"]["namespace"] for title, each in bodies(west).items()}
    assert namespaces == {
        "EnvoyFilter export-httpbin-httpbin": "httpbin",
        "AuthorizationPolicy export-httpbin-httpbin": "httpbin",
        "Gateway export-httpbin-httpbin": "mesh-links",
    }


def test_a_gateway_in_a_namespace_for_links_is_selected_by_objects_of_the_same_stack_alone() -> None:
    """Istio matches labels of pods in all namespaces, and another stack has a gateway of the same name there."""
    west = plan(in_a_namespace_for_links("west"), "dev").clusters["west"]
    selector = bodies(west)["Gateway export-httpbin-httpbin"]["spec"]["selector"]
    assert selector["mesh-federation/namespace"] == "mesh-links"
    values: Any = west.values["mesh-federation-gateway"]
    assert selector.items() <= values["labels"].items()


def test_a_global_host_is_seen_by_a_gateway_in_a_namespace_for_links() -> None:
    west = plan(in_a_namespace_for_links("west", "global"), "dev").clusters["west"]
    assert bodies(west)["ServiceEntry global-httpbin-httpbin"]["spec"]["exportTo"] == ["mesh-links"]


def test_imports_beside_no_service_are_in_the_namespace_for_links() -> None:
    east = plan(in_a_namespace_for_links("east"), "dev").clusters["east"]
    assert {each["metadata"]["namespace"] for each in bodies(east).values()} == {"mesh-links", "sleep"}


def test_the_owner_is_asked_for_a_namespace_for_links_before_anything_is_made() -> None:
    planned = plan(in_a_namespace_for_links("west"), "dev")
    [missing] = [each for each in planned.clusters["west"].prerequisites if each.name == "mesh-links"]
    assert missing.path == "clusters.west.istio.linkNamespace"
    assert not [each for each in planned.clusters["east"].prerequisites if each.name in ("mesh-links", "istio-system")]


def with_istio_elsewhere(**changed: object) -> ClusterPlan:
    """The exporting cluster, whose istiod is in a namespace that its owner chose."""
    return plan(observing("west", namespace="aks-istio-system", **changed), "dev").clusters["west"]


def test_what_links_share_is_beside_istiod_wherever_its_owner_has_it() -> None:
    west = with_istio_elsewhere(rootNamespace="aks-istio-system")
    assert str(west.gateway) == "aks-istio-system/mesh-federation-gateway"
    assert bodies(west)["Gateway export-httpbin-httpbin"]["metadata"]["namespace"] == "aks-istio-system"
    assert "istio-system" not in {each.name for each in west.prerequisites} | {
        each.reference.namespace for each in west.releases
    }
    assert "aks-istio-system" not in {each.name for each in west.prerequisites}


@pytest.mark.parametrize("namespace", ["aks-istio-system", "istio-config"])
def test_no_service_of_istios_own_namespaces_is_exported_wherever_they_are(namespace: str) -> None:
    given = tree()
    given["clusters"]["west"]["observed"] |= {"namespace": "aks-istio-system", "rootNamespace": "istio-config"}
    for each in (*given["exports"], *given["imports"]):
        each["service"] = f"{namespace}/httpbin"
    with pytest.raises(InvalidModel) as refused:
        loader.parse(given)
    assert "reserved-namespace" in {each.rule for each in refused.value.problems}


@pytest.mark.parametrize("namespace", ["aks-istio-system", "istio-config"])
def test_nothing_is_put_beside_istiod_or_into_the_root_namespace_but_what_links_share(namespace: str) -> None:
    given = tree()
    for cluster in given["clusters"].values():
        cluster["observed"] |= {"namespace": "istio-system", "rootNamespace": "istio-system"}
    given["clusters"]["east"]["observed"] |= {"namespace": "aks-istio-system", "rootNamespace": "istio-config"}
    for each in (*given["exports"], *given["imports"]):
        each["service"] = f"{namespace}/httpbin"
    given["workloads"] = [{"cluster": "east", "sample": "sleep", "namespace": namespace}]
    with pytest.raises(InvalidModel) as refused:
        loader.parse(given)
    where = {each.where for each in refused.value.problems if each.rule == "reserved-namespace"}
    assert where == {"imports[0].service", "workloads[0].namespace"}


def test_istio_system_is_asked_for_where_istiod_is_elsewhere() -> None:
    given = tree()
    given["clusters"]["west"]["observed"] |= {"namespace": "mesh-control", "rootNamespace": "mesh-control"}
    given["clusters"]["west"]["istio"]["linkNamespace"] = "istio-system"
    names = [each.name for each in plan(loader.parse(given), "dev").clusters["west"].prerequisites]
    assert "istio-system" in names


def test_no_caller_in_the_root_namespace_is_admitted_wherever_that_is() -> None:
    given = tree()
    given["clusters"]["east"]["observed"] |= {"rootNamespace": "istio-config"}
    given["exports"][0]["to"][0]["serviceAccounts"] = ["istio-config/caller"]
    with pytest.raises(InvalidModel) as refused:
        loader.parse(given)
    assert "scope-of-caller" in {each.rule for each in refused.value.problems}


def test_a_namespace_for_links_is_not_asked_for_where_nothing_would_be_in_it() -> None:
    federation = in_a_namespace_for_links("east", captured=False)
    names = [each.name for each in plan(federation, "dev").clusters["east"].prerequisites]
    assert "mesh-links" not in names and "httpbin" in names


def test_a_namespace_for_links_is_asked_for_by_one_of_two_imports_of_a_service() -> None:
    """One is beside the pods of a Service, the other has a name of its own and is beside none."""
    given = tree()
    given["clusters"]["east"]["istio"]["linkNamespace"] = "mesh-links"
    given["clusters"]["east"]["observed"]["dnsCapture"] = True
    [link] = given["imports"]
    given["imports"] = [{**link, "as": "local"}, {**link, "host": "pay.west.example"}]
    names = [each.name for each in plan(loader.parse(given), "dev").clusters["east"].prerequisites]
    assert {"mesh-links", "httpbin"} <= set(names)


def test_the_gateway_sees_the_owners_network_alone_if_that_has_a_name() -> None:
    values: Any = plan(observing("west", network="n1"), "dev").clusters["west"].values["mesh-federation-gateway"]
    assert values["env"]["ISTIO_META_REQUESTED_NETWORK_VIEW"] == "n1"
    assert "topology.istio.io/network" not in values["labels"]


@pytest.mark.parametrize("declared", [{}, {"network": "network1"}, {"network": ""}])
def test_no_istiod_takes_the_network_of_another_mesh_for_its_own(declared: dict[str, str]) -> None:
    """Both owners call theirs network1; a gateway that saw the other one would pass calls on to it (pitfall 37)."""
    given = tree()
    for number, cluster in enumerate(given["clusters"].values()):
        cluster["observed"] |= {"network": "network1", "meshID": f"mesh{number}"}
    given["clusters"]["west"] |= declared
    caller = {"cluster": "west", "serviceAccounts": ["shop/web"]}
    given["exports"] += [{**given["exports"][0], "cluster": "east", "service": "backend/httpbin", "to": [caller]}]
    given["imports"] += [{"cluster": "west", "from": "east", "service": "backend/httpbin"}]
    planned = plan(loader.parse(given), "dev").clusters
    for cluster, other in (("east", "west"), ("west", "east")):
        made = bodies(planned[cluster])
        values: Any = planned[cluster].values["mesh-federation-gateway"]
        assert values["env"]["ISTIO_META_REQUESTED_NETWORK_VIEW"] == "network1"
        assert f'"network": "{other}-network"' in json.dumps(made)
        assert '"network": "network1"' not in json.dumps(made)


def test_a_network_of_the_importer_that_is_called_like_the_exporters_is_told_apart_too() -> None:
    east = plan(observing("east", network="west-network"), "dev").clusters["east"]
    entry: Any = bodies(east)["WorkloadEntry import-httpbin-httpbin-west"]["spec"]
    assert entry["network"] == "other-west-network"


def test_the_gateway_is_injected_by_the_revision_that_was_observed() -> None:
    west = plan(observing("west", revision="canary"), "dev").clusters["west"]
    values: Any = west.values["mesh-federation-gateway"]
    assert (values["revision"], west.revision) == ("canary", "canary")


def test_the_gateway_is_of_the_charts_at_hand_whatever_release_runs() -> None:
    west = plan(observing("west", version="1.29.4"), "dev").clusters["west"]
    assert (west.istio_version, west.charts_version) == ("1.29.4", "1.31.0")


def test_what_vouches_for_a_mesh_of_others_are_its_own_roots(planned: Plan) -> None:
    seen = DECLARED.clusters["west"].observed
    assert seen
    anchors = planned.trust.anchors["west"]
    assert (anchors.given, anchors.roots, anchors.intermediates) == (seen.roots, (), ())
    assert not planned.trust.roots and not planned.trust.bundles


def test_without_dns_in_proxies_a_service_gives_the_host_an_address(planned: Plan) -> None:
    made = bodies(planned.clusters["east"])
    service: Any = made["Service httpbin"]
    entry: Any = made["WorkloadEntry import-httpbin-httpbin-west"]
    assert service["metadata"]["namespace"] == entry["metadata"]["namespace"] == "httpbin"
    assert service["spec"]["selector"].items() <= entry["spec"]["labels"].items()
    assert service["spec"]["ports"] == [{"name": "http", "port": 8000, "protocol": "TCP"}]
    assert service["metadata"]["annotations"] == {"networking.istio.io/exportTo": "sleep"}


def test_such_an_import_pins_the_identities_of_its_exporter(planned: Plan) -> None:
    rule: Any = bodies(planned.clusters["east"])["DestinationRule import-httpbin-httpbin"]["spec"]
    pinned = {"mode": "ISTIO_MUTUAL", "subjectAltNames": ["spiffe://west.example/ns/httpbin/sa/httpbin"]}
    assert rule["trafficPolicy"]["tls"] == pinned
    assert rule["exportTo"] == ["sleep"]


def test_with_dns_in_proxies_no_service_is_made() -> None:
    east = plan(observing("east", dnsCapture=True), "dev").clusters["east"]
    assert list(bodies(east)) == ["EnvoyFilter import-httpbin-httpbin", "ServiceEntry import-httpbin-httpbin"]


def test_what_is_about_all_callers_is_in_the_owners_root_namespace() -> None:
    given = tree()
    given["clusters"]["east"]["observed"]["rootNamespace"] = "istio-config"
    given["exports"][0]["to"] = [{"cluster": "east"}]
    [bound] = plan(loader.parse(given), "dev").clusters["east"].bindings
    assert bound.namespace == "istio-config"
    assert bound.selects("anywhere", {})


def test_the_namespace_of_such_an_import_must_be_there_already(planned: Plan) -> None:
    wanted = {(each.kind, each.name) for each in planned.clusters["east"].prerequisites}
    assert wanted == {("Namespace", "httpbin"), ("Namespace", "sleep")}


def test_a_twin_vouches_for_a_mesh_in_place_of_a_root_that_others_have_too() -> None:
    shared = loader.read(STACK.parents[2] / "corpus" / "valid" / "observed-twin.yaml")
    for name, anchors in plan(shared, "dev").trust.anchors.items():
        cluster = shared.clusters[name]
        assert cluster.observed and anchors.given == (cluster.istio.twin,) != cluster.observed.roots
