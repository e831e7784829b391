"""Global hosts and the Gateway API in the program: what waits for what, and what is known when."""

import re
from pathlib import Path
from typing import Any

import pulumi
import pytest

from mesh_federation.manifests import published
from mesh_federation.plan.gateway_api import GatewayApi
from mesh_federation.plan.routing_api import ExportedHosts
from mesh_federation.stack.config import NamespacedName
from tests.unit.components.conftest import Record
from tests.unit.components.federations import Tree, as_global, committed, not_ours
from tests.unit.components.recorder import CLOUD_ADDRESS, Registered, Run, secret

API = "kubernetes:gateway.networking.k8s.io/v1:Gateway"
REMOTE, OFFER = "east:istio-system/remote-west", "west:istio-system/passthrough-httpbin-httpbin"
PLACE = NamespacedName("istio-system", "gateway")
ENTRY = "WorkloadEntry", "east:httpbin/import-global-httpbin-httpbin-west"


@pytest.fixture
def run(record: Record) -> Run:
    return record(committed("gateway-api"))


def gateway(run: Run, name: str) -> Registered:
    [found] = [each for each in run.of_type(API) if each.name == name]
    return found


def on_kwok() -> Tree:
    tree = committed("gateway-api")
    for cluster in tree["clusters"].values():
        cluster["provisioner"] = "kwok"
    return tree


def elsewhere(**given: object) -> Tree:
    tree = not_ours()
    tree["imports"] = as_global(api="gateway", **given)["imports"]
    tree["exports"] = as_global()["exports"]
    return tree


def test_the_definitions_are_there_before_istiod_and_equal_in_all_clusters(run: Run) -> None:
    seen = set()
    for name in ("east", "west"):
        defined = run.one("Command", f"{name}-gateway-api-crds")
        assert defined.urn in run.one("Deployment", f"{name}:istio-system/istiod").dependencies
        seen.add((defined.settings["folder"], defined.settings["file"], defined.body["triggers"][0]))
    assert len(seen) == 1
    assert seen.pop()[:2] == ("MESH_MANIFESTS", "gateway-api.yaml")


def test_without_a_link_that_needs_them_no_cluster_gets_them(simulated: Run) -> None:
    assert not [each.name for each in simulated.registered if "gateway-api" in each.name]


def test_every_gateway_of_the_gateway_api_waits_for_its_definitions_and_for_istiod(run: Run) -> None:
    found = run.of_type(API)
    assert {each.name for each in found} == {REMOTE, OFFER}
    for each in found:
        cluster = each.name.split(":")[0]
        before = run.before(each)
        assert run.one("Command", f"{cluster}-gateway-api-crds").urn in before
        assert run.one("Deployment", f"{cluster}:istio-system/istiod").urn in before


def test_hosts_that_differ_by_a_hyphen_alone_have_listeners_of_their_own() -> None:
    exported = ExportedHosts(("a-b.c.global", "a.b-c.global"), 15443, PLACE, "gateway.istio-system", "")
    spec = GatewayApi().export_gateway(PLACE, exported)["spec"]
    assert isinstance(spec, dict)
    listeners = spec["listeners"]
    assert [each["name"] for each in listeners] == [each["hostname"] for each in listeners] == list(exported.hosts)


def test_a_service_is_offered_after_its_policy_and_its_global_host(run: Run) -> None:
    offer = gateway(run, OFFER)
    assert run.one("AuthorizationPolicy", "west:httpbin/export-httpbin-httpbin").urn in offer.dependencies
    assert run.one("ServiceEntry", "west:httpbin/global-httpbin-httpbin").urn in run.before(offer)


def test_callers_are_sent_to_a_gateway_only_after_it_offers_all_that_they_call(run: Run) -> None:
    remote = gateway(run, REMOTE)
    assert gateway(run, OFFER).urn in run.before(remote)
    assert run.one("Deployment", "west:httpbin/httpbin").urn in run.before(remote)


def test_entries_join_a_host_that_is_there_and_a_network_whose_gateway_is_known(run: Run) -> None:
    entry = run.one(*ENTRY)
    before = run.before(entry)
    assert run.one("ServiceEntry", "east:httpbin/global-httpbin-httpbin").urn in before
    assert gateway(run, REMOTE).urn in before
    assert "address" not in entry.body["spec"]


def test_one_object_has_the_host_in_each_cluster(run: Run) -> None:
    for name in ("east", "west"):
        entry = run.one("ServiceEntry", f"{name}:httpbin/global-httpbin-httpbin")
        freed = run.one("Command", f"{name}-global-httpbin-httpbin-host")
        assert freed.urn in entry.dependencies
        settings = freed.settings
        assert (settings["host"], settings["service"]) == ("httpbin.mesh.global", "")
        assert settings["owner"] == "ServiceEntry httpbin/global-httpbin-httpbin"


def test_commands_get_the_kubeconfig_as_a_secret(run: Run) -> None:
    for name in ("east-global-httpbin-httpbin-host", "east-gateway-api-crds"):
        assert secret(run.one("Command", name).inputs["stdin"])


def test_no_gateway_of_istio_offers_what_the_gateway_api_offers(run: Run) -> None:
    assert not run.of_type("kubernetes:networking.istio.io/v1:Gateway")


def test_a_remote_gateway_has_the_address_that_the_exporters_service_asks_for(record: Record) -> None:
    preview = record(committed("gateway-api"), preview=True)
    service = preview.one("Service", "west:istio-system/istio-eastwestgateway").body
    asked = service["metadata"]["annotations"]["metallb.universe.tf/loadBalancerIPs"]
    assert gateway(preview, REMOTE).body["spec"]["addresses"] == [{"type": "IPAddress", "value": asked}]


def test_on_clusters_that_are_not_ours_it_has_the_address_of_the_running_service(record: Record) -> None:
    run = record(elsewhere())
    remote = gateway(run, REMOTE)
    assert remote.body["spec"]["addresses"] == [{"type": "IPAddress", "value": CLOUD_ADDRESS}]
    assert run.one("Service", "west:istio-system/istio-eastwestgateway").urn in remote.dependencies_of("spec")
    unknown = gateway(record(elsewhere(), preview=True), REMOTE).unknown_paths()
    assert unknown == {"spec.addresses", "metadata.labels.mesh-federation/owner"}


@pytest.mark.parametrize("mode", ["global", "remote", "local"])
def test_gateways_behind_host_names_are_found_by_them(record: Record, mode: str) -> None:
    tree = elsewhere(**{"as": mode})
    tree["clusters"]["west"]["gateway"] = {"addresses": ["west.example.com"]}
    run = record(tree, preview=True)
    assert gateway(run, REMOTE).body["spec"]["addresses"] == [{"type": "Hostname", "value": "west.example.com"}]
    for each in run.of_type("kubernetes:networking.istio.io/v1:ServiceEntry"):
        assert each.body["spec"]["resolution"] == "STATIC"
        assert not [e for e in each.body["spec"].get("endpoints", []) if "address" in e]


def test_the_stack_runs_on_simulated_clusters_by_its_provisioner_alone(record: Record) -> None:
    run = record(on_kwok())
    assert {each.name for each in run.of_type(API)} == {REMOTE, OFFER}
    assert not run.of_type("mesh-federation:index:MetalLB")


def test_both_imports_of_one_service_stand_side_by_side(record: Record) -> None:
    tree = as_global()
    tree["imports"].append({**tree["imports"][0], "as": "remote"})
    run = record(tree)
    [offer] = run.of_type("kubernetes:networking.istio.io/v1:Gateway")
    assert offer.body["spec"]["servers"][0]["hosts"] == ["httpbin.httpbin.svc.cluster.local", "httpbin.mesh.global"]
    names = [(each.type, each.name) for each in run.registered]
    assert len(names) == len(set(names))


def test_clusters_that_offer_each_other_one_host_do_not_wait_in_a_circle(record: Record) -> None:
    tree: Any = committed("gateway-api")
    [export], [link] = tree["exports"], tree["imports"]
    tree["exports"].append(
        {**export, "cluster": "east", "to": [{"cluster": "west", "serviceAccounts": ["sleep/sleep"]}]}
    )
    tree["imports"].append({**link, "cluster": "west", "from": "east"})
    run = record(tree)
    assert len(run.of_type(API)) == 4
    assert not [each.name for each in run.registered if each.urn in run.before(each)]


def test_definitions_of_the_users_own_are_applied(record: Record, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("kind: CustomResourceDefinition\nmetadata: {name: gateways.gateway.networking.k8s.io}\n")
    run = record({**as_global(api="gateway"), "istio": {"gatewayApi": str(own)}})
    assert run.one("Command", "east-gateway-api-crds").settings["file"] == str(own)


def test_a_preview_tells_which_release_is_applied_and_what_becomes_of_that_of_others(run: Run) -> None:
    settings = run.one("Command", "east-gateway-api-crds").settings
    assert re.fullmatch(r"Gateway API v\d+\.\d+\.\d+ standard", settings["release"])
    assert settings["note"].startswith("definitions that others made are left alone")
    used = {each.kind for each in run.of_type(API) if each.name.startswith("east:")} | {"Gateway"}
    assert settings["needed"] == [f"gateway.networking.k8s.io/v1 {kind}" for kind in sorted(used)]
    istio = run.one("Command", "east-crds").settings
    assert istio["release"].startswith("Istio 1.") and istio["needed"] == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("metadata:\n  annotations:\n    gateway.networking.k8s.io/bundle-version: v1.7.0\n", "Gateway API v1.7.0"),
        ("    gateway.networking.k8s.io/channel: experimental\n", "Gateway API experimental"),
        ("kind: CustomResourceDefinition\n", "Gateway API"),
    ],
)
def test_the_release_of_definitions_is_told_as_far_as_their_file_tells_it(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text)
    assert published.bundle(file) == told


@pytest.mark.parametrize("text", [None, "", "kind: Namespace\n"])
def test_a_file_without_the_definitions_is_refused_with_the_key_to_set(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "own.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(pulumi.RunError, match=r"own\.yaml(.|\n)*istio\.gatewayApi"):
        published.gateway_api(str(file))


@pytest.mark.parametrize("folder", [None, "/nowhere"])
def test_without_the_toolchains_definitions_the_way_to_them_is_told(
    monkeypatch: pytest.MonkeyPatch, folder: str | None
) -> None:
    monkeypatch.delenv("MESH_MANIFESTS", raising=False)
    if folder:
        monkeypatch.setenv("MESH_MANIFESTS", folder)
    with pytest.raises(pulumi.RunError, match=r"\./mesh install"):
        published.gateway_api("official")
