"""Trust for a link: which proxies accept which trust domains, under whose authority, and nothing else."""

from typing import Any

import pytest

from mesh_federation.loader import parse
from mesh_federation.plan.federation import plan
from mesh_federation.plan.objects import Body
from mesh_federation.plan.trust_binding import Binding, anchors_value
from tests.unit.plan.model import GRPC, HTTP, Tree, cluster, export, link, planned, three, tree

SEPARATE = {"trust": {"model": "separate"}}
CLUSTERS = ("east", "west", "north")


def bound(declared: Tree, name: str) -> dict[str, Binding]:
    """The bindings of a cluster, by namespace and name."""
    return {f"{each.namespace}/{each.name}": each for each in planned(declared, name).bindings}


def patches(body: Body) -> list[Any]:
    spec: Any = body["spec"]
    found: list[Any] = spec["configPatches"]
    return found


def context(patch: dict[str, Any]) -> dict[str, Any]:
    typed = patch["patch"]["value"]["transport_socket"]["typed_config"]
    found: dict[str, Any] = typed["common_tls_context"]["combined_validation_context"]["default_validation_context"]
    return found


def accepted(patch: dict[str, Any]) -> dict[str, str]:
    """Trust domains of a patch, with their anchors."""
    domains = context(patch)["custom_validator_config"]["typed_config"]["trust_domains"]
    return {each["name"]: each["trust_bundle"]["inline_string"] for each in domains}


def made(binding: Binding) -> list[Any]:
    values = {anchors_value(name): f"PEM of {name}" for name in CLUSTERS}
    return patches(binding.object.filled(values))


def test_an_exported_workload_accepts_its_own_trust_domain_and_those_of_its_consumers() -> None:
    declared = {**three(), **SEPARATE}
    assert set(bound(declared, "west")) == {"httpbin/export-httpbin-httpbin"}
    binding = bound(declared, "west")["httpbin/export-httpbin-httpbin"]
    [patch] = made(binding)
    assert accepted(patch) == {"west.local": "PEM of west", "east.local": "PEM of east"}, "north is no consumer"
    assert binding.selects("httpbin", {"app": "httpbin", "version": "v1"})
    assert not binding.selects("httpbin", {"app": "other"})
    assert not binding.selects("other", {"app": "httpbin"})


def test_an_exported_workload_accepts_the_named_accounts_of_another_cluster_alone() -> None:
    [patch] = made(bound({**tree(), **SEPARATE}, "west")["httpbin/export-httpbin-httpbin"])
    assert context(patch)["match_subject_alt_names"] == [
        {"prefix": "spiffe://west.local/"},
        {"exact": "spiffe://east.local/ns/sleep/sa/sleep"},
    ]
    [whole] = made(
        bound(tree(exports=[export(to=[{"cluster": "east"}])], **SEPARATE), "west")["httpbin/export-httpbin-httpbin"]
    )
    assert {"prefix": "spiffe://east.local/"} in context(whole)["match_subject_alt_names"]


def test_only_the_exported_ports_of_the_pods_accept_others() -> None:
    ports = [{**HTTP, "targetPort": 8080}, GRPC]
    found = made(bound(tree(exports=[export(ports=ports)], **SEPARATE), "west")["httpbin/export-httpbin-httpbin"])
    chains = [patch["match"]["listener"]["filterChain"] for patch in found]
    assert chains == [
        {"transportProtocol": "tls", "destinationPort": 8080},
        {"transportProtocol": "tls", "destinationPort": 9000},
    ]
    assert {patch["match"]["listener"]["name"] for patch in found} == {"virtualInbound"}
    assert {patch["match"]["context"] for patch in found} == {"SIDECAR_INBOUND"}


def test_exports_of_the_same_pods_share_one_filter_because_the_last_of_several_would_win() -> None:
    clusters = {name: cluster(10 * place) for place, name in enumerate(CLUSTERS, 1)}
    other = export(service="httpbin/admin", ports=[GRPC], selector={"app": "httpbin"}, to=[{"cluster": "north"}])
    declared = tree(clusters=clusters, exports=[export(), other], **SEPARATE)
    [binding] = bound(declared, "west").values()
    domains = {
        patch["match"]["listener"]["filterChain"]["destinationPort"]: set(accepted(patch)) for patch in made(binding)
    }
    assert domains == {8000: {"west.local", "east.local"}, 9000: {"west.local", "north.local"}}


def test_callers_accept_an_exporter_for_its_host_alone() -> None:
    declared = {**three(), **SEPARATE}
    assert set(bound(declared, "east")) == {"sleep/import-httpbin-httpbin"}
    [patch] = made(bound(declared, "east")["sleep/import-httpbin-httpbin"])
    assert accepted(patch) == {"north.local": "PEM of north", "west.local": "PEM of west"}
    assert patch["applyTo"] == "CLUSTER"
    assert patch["match"] == {
        "context": "SIDECAR_OUTBOUND", "cluster": {"service": "httpbin.httpbin.svc.cluster.local"},
    }  # fmt: skip


def test_a_filter_of_callers_does_not_widen_what_the_import_pins() -> None:
    [patch] = made(bound({**tree(), **SEPARATE}, "east")["sleep/import-httpbin-httpbin"])
    assert "match_subject_alt_names" not in context(patch)


@pytest.mark.parametrize("mode", ["local", "global"])
def test_callers_accept_their_own_cluster_too_where_its_pods_answer(mode: str) -> None:
    sample = {"cluster": "east", "sample": "httpbin"}
    ports = [{**HTTP, "targetPort": 8080}]
    declared = tree(exports=[export(ports=ports)], imports=[link(**{"as": mode})], workloads=[sample], **SEPARATE)
    [binding] = bound(declared, "east").values()
    [patch] = made(binding)
    assert accepted(patch) == {"east.local": "PEM of east", "west.local": "PEM of west"}
    host = {"local": "httpbin.httpbin.svc.cluster.local", "global": "httpbin.mesh.global"}[mode]
    assert patch["match"]["cluster"] == {"service": host}


@pytest.mark.parametrize("via", ["direct", "egress"])
def test_the_callers_of_a_whole_cluster_are_in_all_namespaces(via: str) -> None:
    """A filter of Istio's namespace holds for all namespaces; it names the host, so no other call changes."""
    declared = tree(exports=[export(to=[{"cluster": "east"}])], imports=[link(via=via)], **SEPARATE)
    [binding] = bound(declared, "east").values()
    assert binding.namespace == "istio-system"
    assert binding.selects("anywhere", {})


def test_under_a_common_root_workloads_without_a_link_accept_their_own_cluster_alone() -> None:
    for name in ("east", "west"):
        [patch] = made(bound(tree(), name)["istio-system/own-trust-domain"])
        assert accepted(patch) == {f"{name}.local": f"PEM of {name}"}
        assert patch["match"]["listener"]["filterChain"] == {"transportProtocol": "tls"}
    assert "istio-system/own-trust-domain" not in bound({**tree(), **SEPARATE}, "west")


def test_an_exported_workload_is_never_bound_by_the_filter_of_the_mesh_alone() -> None:
    """It would refuse the callers of the export until its own filter is there, or after that is gone."""
    west = bound(tree(), "west")
    assert west["istio-system/own-trust-domain"].after == (west["httpbin/export-httpbin-httpbin"].object.name,)
    assert west["istio-system/own-trust-domain"].object.after == west["istio-system/own-trust-domain"].after
    assert bound(tree(), "east")["istio-system/own-trust-domain"].after == ()


def test_a_mesh_wide_scope_has_no_filters() -> None:
    for name in ("east", "west"):
        assert planned(tree(trust={"scope": "mesh"}), name).bindings == ()


def test_without_its_export_a_workload_trusts_nobody_else() -> None:
    assert bound(tree(exports=[], imports=[], **SEPARATE), "west") == {}


def test_a_revoked_cluster_vouches_for_nothing_at_others_and_goes_on_by_itself() -> None:
    revoked = {"trust": {"model": "separate", "revoked": [{"cluster": "east"}]}}
    [patch] = made(bound(tree(**revoked), "west")["httpbin/export-httpbin-httpbin"])
    assert accepted(patch) == {"west.local": "PEM of west"}
    assert context(patch)["match_subject_alt_names"] == [{"prefix": "spiffe://west.local/"}]
    [caller] = made(bound(tree(**revoked), "east")["sleep/import-httpbin-httpbin"])
    assert accepted(caller) == {"west.local": "PEM of west"}, "it is others who do not trust east"
    exporter = {"trust": {"model": "separate", "revoked": [{"cluster": "west"}]}}
    [caller] = made(bound(tree(**exporter), "east")["sleep/import-httpbin-httpbin"])
    assert accepted(caller) == {"east.local": "PEM of east"}, "a validator without a trust domain is refused by Envoy"


def test_filters_are_in_the_list_of_all_objects() -> None:
    found = plan(parse(tree()), "test").clusters["west"]
    assert {each.object.name for each in found.bindings} <= {each.name for each in found.objects}
    assert len(found.bindings) == 2
