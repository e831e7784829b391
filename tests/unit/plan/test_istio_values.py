"""Helm values of Istio's charts."""

import json
from typing import Any

import pytest

from mesh_federation.stack.tree import merged
from tests.unit.plan.model import Tree, cluster, planned, three, tree


def istiod(declared: Tree | None = None, name: str = "east") -> dict[str, Any]:
    return dict(planned(declared, name).values["istiod"])


WHOLE_MESH = {"trust": {"scope": "mesh"}}


def gateway(declared: Tree | None = None, name: str = "east") -> dict[str, Any]:
    return dict(planned(declared, name).values["istio-eastwestgateway"])


@pytest.mark.parametrize("name", ["east", "west"])
def test_a_mesh_accepts_the_trust_domains_of_those_it_calls_and_serves(name: str) -> None:
    peer = {"east": "west.local", "west": "east.local"}[name]
    assert istiod(tree(**WHOLE_MESH), name)["meshConfig"]["caCertificates"] == [{"trustDomains": [peer]}]


def test_with_trust_for_each_link_the_mesh_configuration_names_no_other_cluster() -> None:
    for name in ("east", "north", "west"):
        assert "caCertificates" not in istiod(three(), name)["meshConfig"]


def test_clusters_without_a_link_accept_none_of_each_other() -> None:
    assert "caCertificates" not in istiod(tree(exports=[], imports=[], **WHOLE_MESH))["meshConfig"]
    accepted = istiod({**three(), **WHOLE_MESH}, "west")["meshConfig"]["caCertificates"]
    assert accepted == [{"trustDomains": ["east.local"]}], "west and north have no link"


def test_several_peers_are_sorted() -> None:
    accepted = istiod({**three(), **WHOLE_MESH})["meshConfig"]["caCertificates"]
    assert accepted == [{"trustDomains": ["north.local", "west.local"]}]


@pytest.mark.parametrize("trust", ["common", "separate"])
def test_trust_domain_aliases_are_never_generated(trust: str) -> None:
    for declared in (tree(trust={"model": trust}), {**three(), "trust": {"model": trust}}):
        for name in declared["clusters"]:
            plan = planned(declared, name)
            values = [plan.values["istio-base"], plan.values["istiod"], plan.values["istio-eastwestgateway"]]
            assert "alias" not in json.dumps(values).lower()


def test_istiod_says_which_cluster_mesh_and_network_it_is() -> None:
    values = istiod(tree(clusters={"east": cluster(10, meshID="m", network="n"), "west": cluster(30)}))
    assert values["global"]["meshID"] == "m"
    assert values["global"]["network"] == "n"
    assert values["global"]["multiCluster"] == {"clusterName": "east"}
    assert values["meshConfig"]["trustDomain"] == "east.local"


@pytest.mark.parametrize(("version", "allocates"), [("1.24.3", True), ("1.25.0", False), ("1.31.0", False)])
def test_proxies_resolve_remote_hosts_in_every_release(version: str, allocates: bool) -> None:
    from mesh_federation.plan.istio_values import istiod_values
    from mesh_federation.stack.config import Federation

    model = Federation.model_validate({"istio": {"version": version}, "clusters": {"east": {}}})
    values: Any = istiod_values(model, model.clusters["east"])
    metadata = values["meshConfig"]["defaultConfig"]["proxyMetadata"]
    assert metadata["ISTIO_META_DNS_CAPTURE"] == "true"
    assert ("ISTIO_META_DNS_AUTO_ALLOCATE" in metadata) is allocates


def test_webhooks_are_left_out_only_where_no_istiod_runs() -> None:
    assert istiod()["global"]["operatorManageWebhooks"] is True
    kinds = {"east": cluster(10, provisioner="kind"), "west": cluster(30, provisioner="kind")}
    assert istiod(tree(clusters=kinds))["global"]["operatorManageWebhooks"] is False


def test_a_gateway_opens_the_status_and_the_tls_port_and_nothing_else() -> None:
    assert [port["port"] for port in gateway()["service"]["ports"]] == [15021, 15443]


def test_a_gateway_serves_its_own_network() -> None:
    values = gateway(name="west")
    assert values["labels"] == {
        "app": "istio-eastwestgateway",
        "istio": "eastwestgateway",
        "topology.istio.io/network": "west-network",
    }
    assert values["env"]["ISTIO_META_REQUESTED_NETWORK_VIEW"] == "west-network"


def test_a_gateway_that_ends_waits_for_its_connections() -> None:
    assert gateway()["env"]["EXIT_ON_ZERO_ACTIVE_CONNECTIONS"] == "true"
    assert gateway()["terminationGracePeriodSeconds"] == 60


def test_a_gateways_image_is_not_pulled_again_on_each_start() -> None:
    assert gateway()["imagePullPolicy"] == "IfNotPresent"


def test_a_gateway_asks_for_the_address_that_importers_are_told() -> None:
    plan = planned()
    service: Any = plan.values["istio-eastwestgateway"]["service"]
    assert plan.addresses == (service["annotations"]["metallb.universe.tf/loadBalancerIPs"],)


def test_values_of_the_user_win_and_leave_the_others_alone() -> None:
    own = {"meshConfig": {"accessLogFile": ""}, "pilot": {"replicaCount": 2}}
    values = istiod(tree(istio={"values": own, "gatewayValues": {"service": {"externalTrafficPolicy": "Local"}}}))
    assert values["meshConfig"]["accessLogFile"] == ""
    assert values["meshConfig"]["trustDomain"] == "east.local"
    assert values["pilot"] == {"replicaCount": 2}
    other = gateway(tree(istio={"gatewayValues": {"service": {"externalTrafficPolicy": "Local"}}}))
    assert other["service"]["externalTrafficPolicy"] == "Local"
    assert len(other["service"]["ports"]) == 2


def test_how_many_pods_a_gateway_has_is_declared_unless_an_autoscaler_says_so() -> None:
    assert gateway()["replicaCount"] == 1
    assert gateway(tree(istio={"gatewayValues": {"replicaCount": 3}}))["replicaCount"] == 3
    assert "replicaCount" not in gateway(tree(istio={"gatewayValues": {"autoscaling": {"enabled": True}}}))


def test_laying_values_over_others_changes_neither() -> None:
    below: dict[str, object] = {"a": {"b": 1}, "list": [1, 2]}
    above: dict[str, object] = {"a": {"c": 2}, "list": [3]}
    assert merged(below, above) == {"a": {"b": 1, "c": 2}, "list": [3]}
    assert (below, above) == ({"a": {"b": 1}, "list": [1, 2]}, {"a": {"c": 2}, "list": [3]})


def test_settings_of_a_cluster_are_laid_over_those_of_the_federation_and_reach_no_other_cluster() -> None:
    """Values are merged key by key; a cluster's release, images and charts replace the federation's."""
    own = {
        "version": "1.30.2",
        "hub": "mirror.example/istio",
        "charts": "/charts/{version}",
        "values": {"meshConfig": {"accessLogEncoding": "JSON"}},
        "gatewayValues": {"service": {"annotations": {"cloud": "one"}}},
    }
    common = {
        "hub": "common.example/istio",
        "tag": "1.31.0-debug",
        "values": {"meshConfig": {"accessLogFormat": "f", "accessLogEncoding": "TEXT"}},
        "gatewayValues": {"service": {"externalTrafficPolicy": "Local"}},
    }
    declared = tree(istio=common, clusters={"east": cluster(10, istio=own), "west": cluster(30)})
    east, west = planned(declared, "east"), planned(declared, "west")
    assert (east.istio_version, east.istio_charts) == ("1.30.2", "/charts/{version}")
    assert (west.istio_version, west.istio_charts) == ("1.31.0", "official")
    for plan, hub, encoding in ((east, own["hub"], "JSON"), (west, common["hub"], "TEXT")):
        values: dict[str, Any] = dict(plan.values["istiod"])
        assert (values["global"]["hub"], values["global"]["tag"]) == (hub, "1.31.0-debug")
        assert values["meshConfig"]["accessLogFormat"] == "f"
        assert values["meshConfig"]["accessLogEncoding"] == encoding
    services = [dict(plan.values["istio-eastwestgateway"])["service"] for plan in (east, west)]
    assert [service["externalTrafficPolicy"] for service in services] == ["Local", "Local"]  # type: ignore[index]
    assert "cloud" in services[0]["annotations"] and "cloud" not in services[1]["annotations"]  # type: ignore[index]


def test_the_revision_of_a_cluster_is_that_of_everything_in_it() -> None:
    declared = tree(clusters={"east": cluster(10), "west": cluster(30, istio={"revision": "canary"})})
    east, west = planned(declared, "east"), planned(declared, "west")
    assert (east.revision, west.revision) == ("", "canary")
    labels = [each.body["metadata"]["labels"] for each in (*east.namespaces, *west.namespaces)]  # type: ignore[index]
    assert labels == [{"istio-injection": "enabled"}, {"istio.io/rev": "canary"}]
    assert dict(west.values["istio-eastwestgateway"])["revision"] == "canary"
    assert dict(west.values["istio-base"])["defaultRevision"] in ("", "canary")


def test_no_validator_is_registered_where_none_answers() -> None:
    off = {"values": {"global": {"configValidation": False}}}
    on = planned(tree(clusters={"east": cluster(10, provisioner="kind"), "west": cluster(30)}), "east")
    assert on.values["istio-base"] == {"defaultRevision": "default"}
    declared = tree(clusters={"east": cluster(10, provisioner="kind"), "west": cluster(30)}, istio=off)
    assert planned(declared, "east").values["istio-base"] == {"defaultRevision": ""}
    assert planned(declared, "west").values["istio-base"] == {"defaultRevision": ""}, "simulated nodes run no istiod"


def images(**istio: object) -> dict[str, object]:
    values: Any = planned(tree(istio=istio), "east").values["istiod"]["global"]
    return {key: values[key] for key in ("hub", "tag") if key in values}


def test_images_are_those_of_the_release_not_of_istios_own_tests() -> None:
    assert images(version="1.31.0") == {"hub": "docker.io/istio", "tag": "1.31.0"}


def test_images_of_a_mirror_are_taken_from_there() -> None:
    assert images(hub="mirror.example/istio") == {"hub": "mirror.example/istio", "tag": "1.31.0"}


def test_charts_of_ones_own_say_where_their_images_are() -> None:
    assert images(charts="/charts") == {}
    assert images(charts="/charts", tag="custom") == {"tag": "custom"}
