"""Clusters whose Services have names in other domains: each side calls a service by the name that it has there."""

import json
from typing import Any

import pytest
import yaml

from mesh_federation.loader import parse
from mesh_federation.plan.federation import ClusterPlan, plan
from mesh_federation.stack.stack_file import KEY
from tests.unit.plan.model import Tree, link, tree
from tests.unit.plan.test_member import CHECKOUT

MUNICH = "cluster.munich"
HERE, THERE = "httpbin.httpbin.svc.cluster.local", f"httpbin.httpbin.svc.{MUNICH}"


def planned(tree_: Tree) -> dict[str, ClusterPlan]:
    return dict(plan(parse(tree_), "stack").clusters)


def crossing(**imported: object) -> dict[str, ClusterPlan]:
    """East, whose domain is Kubernetes' own, imports from west, whose domain is another."""
    declared = tree(imports=[link(**imported)])
    declared["clusters"]["west"]["clusterDomain"] = MUNICH
    return planned(declared)


def spec(of: ClusterPlan, kind: str) -> Any:  # noqa: ANN401 - a part of an object
    [found] = [body for body in of.bodies if body["kind"] == kind]
    return found["spec"]


def test_a_service_has_the_domain_of_its_callers_and_is_asked_for_by_that_of_its_own_cluster() -> None:
    clusters = crossing()
    assert spec(clusters["west"], "Gateway")["servers"][0]["hosts"] == [THERE]
    [entry] = [body for body in clusters["east"].bodies if body["kind"] == "ServiceEntry"]
    assert (entry["metadata"]["name"], entry["spec"]["hosts"]) == ("import-httpbin-httpbin", [HERE])  # type: ignore[index]
    rule = spec(clusters["east"], "DestinationRule")
    [port] = rule["trafficPolicy"]["portLevelSettings"]
    assert (rule["host"], port["tls"]["sni"]) == (HERE, f"outbound_.8000_._.{THERE}")
    [pinned] = port["tls"]["subjectAltNames"]
    assert pinned == "spiffe://west.local/ns/httpbin/sa/httpbin"


def test_a_service_that_both_run_keeps_its_name_in_each() -> None:
    bodies = crossing(**{"as": "local"})["east"].bodies
    specs: list[Any] = [body["spec"] for body in bodies if body["kind"] == "DestinationRule"]
    assert len(specs) == 2
    for rule in specs:
        [port] = rule["trafficPolicy"]["portLevelSettings"]
        assert (rule["host"], port["tls"]["sni"]) == (HERE, f"outbound_.8000_._.{THERE}")
        assert len(port["tls"]["subjectAltNames"]) == 2


def test_a_global_host_is_one_name_whatever_the_domains_are() -> None:
    clusters = crossing(**{"as": "global"})
    assert spec(clusters["west"], "Gateway")["servers"][0]["hosts"] == ["httpbin.mesh.global"]
    assert not [body for body in clusters["east"].bodies if body["kind"] == "DestinationRule"]


@pytest.mark.parametrize(("api", "kind"), [("istio", "VirtualService"), ("gateway", "TLSRoute")])
def test_an_egress_gateway_passes_on_what_callers_ask_for(api: str, kind: str) -> None:
    east = crossing(via="egress", api=api)["east"]
    named = json.dumps(spec(east, kind))
    assert f"*.{THERE}" in named and HERE not in named
    if api == "gateway":
        assert "istio-egressgateway.istio-system.svc.cluster.local" in json.dumps(east.bodies)


def test_gateways_are_named_in_their_own_domain() -> None:
    gateway = spec(crossing(api="gateway")["west"], "Gateway")
    assert gateway["addresses"] == [{"type": "Hostname", "value": f"istio-eastwestgateway.istio-system.svc.{MUNICH}"}]


def test_proxies_know_the_domain_of_their_cluster() -> None:
    proxies: Any = {name: each.values["istiod"]["global"] for name, each in crossing().items()}
    assert proxies["west"]["proxy"] == {"clusterDomain": MUNICH}
    assert "proxy" not in proxies["east"]


def test_another_domain_is_another_cluster_where_this_program_makes_it() -> None:
    for provisioner in ("native", "kind", "k3d"):
        clusters: Tree = {"east": {"provisioner": provisioner}}
        other: Tree = {"east": {"provisioner": provisioner, "clusterDomain": MUNICH}}
        names = [planned({"clusters": each})["east"].provision.name for each in (clusters, other)]
        assert names[0] != names[1]


@pytest.mark.parametrize("stack", sorted(file.name for file in CHECKOUT.glob("Pulumi.*.yaml")))
def test_a_federation_in_another_domain_is_the_same_but_for_its_names(stack: str) -> None:
    federation = yaml.safe_load((CHECKOUT / stack).read_text(encoding="utf-8"))["config"][KEY]
    for name, cluster in federation["clusters"].items():  # of others: names of those that it makes follow the domain
        cluster |= {"provisioner": "existing", "kubeconfig": "k", "context": name}
    before = json.dumps([each.bodies for _, each in sorted(planned(federation).items())])
    for cluster in federation["clusters"].values():
        cluster["clusterDomain"] = MUNICH
    after = json.dumps([each.bodies for _, each in sorted(planned(federation).items())])
    dashed = before.replace("svc-cluster-local", "svc-cluster-munich").replace('"*.local"', '"*.munich"')
    assert after == dashed.replace("svc.cluster.local", f"svc.{MUNICH}") != before
