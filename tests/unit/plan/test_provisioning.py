"""Which changes make another cluster, and which do not."""

import json
from typing import Any

import pytest

from model.config import Federation
from model.plan import plan
from model.provisioning import GENERATION_DIGITS, Provision, provision
from model.stackfile import parse
from tests.unit.plan.model import Tree, cluster, export, planned, tree

MAKERS = ("kwok", "kind", "k3d")


def made(provisioner: str = "kwok", stack: str = "test", **given: object) -> Provision:
    declared = {"east": cluster(10, provisioner=provisioner) | given}
    model = Federation.model_validate_json(json.dumps({"clusters": declared}), strict=True)
    return provision(model, model.clusters["east"], stack)


@pytest.mark.parametrize("provisioner", MAKERS)
@pytest.mark.parametrize("change", [{"podSubnet": "10.20.0.0/16"}, {"serviceSubnet": "10.255.20.0/24"}, {"nodes": 3}])
def test_what_cannot_be_changed_in_place_makes_another_cluster(provisioner: str, change: Tree) -> None:
    assert made(provisioner).generation != made(provisioner, **change).generation


@pytest.mark.parametrize("provisioner", ["kind", "k3d"])
def test_another_node_image_makes_another_cluster(provisioner: str) -> None:
    assert made(provisioner).generation != made(provisioner, image="example.com/node:v1").generation


def test_another_kubernetes_release_makes_another_simulated_cluster() -> None:
    assert made("kwok").generation != made("kwok", kubernetesVersion="1.33.0").generation


@pytest.mark.parametrize("provisioner", ["kwok", "kind"])
@pytest.mark.parametrize(
    "change",
    [
        {"trust": {"model": "separate", "organization": "Other"}},
        {"istio": {"values": {"pilot": {"replicaCount": 2}}, "revision": "canary"}},
        {"exports": [], "imports": []},
        {"exports": [export(), export(service="other/other")]},
        {"workloads": [{"cluster": "east", "sample": "sleep"}]},
    ],
    ids=["trust", "istio", "no-links", "more-exports", "workloads"],
)
def test_trust_istio_and_links_make_no_other_cluster(provisioner: str, change: Tree) -> None:
    both = {name: cluster(place, provisioner=provisioner) for name, place in (("east", 10), ("west", 30))}
    before = plan(parse(tree(clusters=both)), "test")
    after = plan(parse(tree(clusters=both, **change)), "test")
    for name in both:
        assert before.clusters[name].provision == after.clusters[name].provision


@pytest.mark.parametrize("change", [{"meshID": "m"}, {"trustDomain": "d.local"}, {"network": "n"}, {"locality": "r/z"}])
def test_the_mesh_of_a_cluster_is_no_part_of_its_identity(change: Tree) -> None:
    assert made().generation == made(**change).generation


def test_clusters_of_two_stacks_never_share_a_name() -> None:
    assert made(stack="one").name != made(stack="two").name


def test_clusters_of_one_stack_have_generations_of_their_own() -> None:
    same = {name: cluster(10) for name in ("east", "west")}
    same["west"]["podSubnet"] = "10.30.0.0/16"
    both = plan(parse(tree(clusters={**same, "west": cluster(30)})), "test").clusters
    assert both["east"].provision.generation != both["west"].provision.generation


@pytest.mark.parametrize("provisioner", MAKERS)
def test_the_real_name_is_the_logical_one_with_the_generation(provisioner: str) -> None:
    one = made(provisioner)
    assert one.name == f"east-{one.generation}"
    assert len(one.generation) == GENERATION_DIGITS
    assert int(one.generation, 16) >= 0


def test_only_clusters_that_the_program_makes_are_its_own() -> None:
    assert made("kwok").ours and made("kind").ours and made("k3d").ours
    assert not made("existing", kubeconfig="/k").ours


def test_another_context_is_another_existing_cluster() -> None:
    assert (
        made("existing", kubeconfig="/k", context="a").generation
        != made("existing", kubeconfig="/k", context="b").generation
    )


def config(made: Provision) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(made.config)
    return document


def test_kind_gets_the_declared_subnets_and_as_many_nodes() -> None:
    document = config(made("kind", nodes=3, image="example.com/node:v1"))
    assert document["networking"] == {"podSubnet": "10.10.0.0/16", "serviceSubnet": "10.255.10.0/24"}
    assert [node["role"] for node in document["nodes"]] == ["control-plane", "worker", "worker"]
    assert {node["image"] for node in document["nodes"]} == {"example.com/node:v1"}


def test_k3d_leaves_ingress_to_istio_and_counts_the_server_as_a_node() -> None:
    document = config(made("k3d", nodes=3))
    arguments = [each["arg"] for each in document["options"]["k3s"]["extraArgs"]]
    assert arguments == ["--cluster-cidr=10.10.0.0/16", "--service-cidr=10.255.10.0/24", "--disable=traefik"]
    assert (document["servers"], document["agents"]) == (1, 2)


def test_nodes_of_docker_clusters_stay_below_the_pools() -> None:
    environment = made("kind").environment
    assert environment == {
        "LAB_NETWORK": "mesh-federation",
        "LAB_SUBNET": "172.30.0.0/16",
        "LAB_NODE_RANGE": "172.30.0.0/17",
        "READY_WITHIN": "300",
    }


def test_a_replaced_cluster_moves_to_another_gateway_address_in_its_pool() -> None:
    before = planned(tree(clusters={"east": cluster(10), "west": cluster(30)}))
    after = planned(tree(clusters={"east": cluster(10, nodes=2), "west": cluster(30)}))
    assert before.pool == after.pool
    assert before.addresses != after.addresses


def test_a_declared_gateway_address_wins() -> None:
    fixed = {"addresses": ["172.30.200.9"]}
    east = planned(tree(clusters={"east": cluster(10, gateway=fixed), "west": cluster(30)}))
    assert east.addresses == ("172.30.200.9",)
    service: Any = east.gateway_values["service"]
    assert service["annotations"] == {"metallb.universe.tf/loadBalancerIPs": "172.30.200.9"}


def test_the_address_of_an_existing_clusters_gateway_is_not_ours_to_choose() -> None:
    mixed = {"east": cluster(10, provisioner="existing", kubeconfig="/k"), "west": cluster(30)}
    east = planned(tree(clusters=mixed))
    assert (east.pool, east.addresses) == (None, ())
    service: Any = east.gateway_values["service"]
    assert "annotations" not in service


def test_a_cluster_without_an_image_of_its_own_takes_that_of_images() -> None:
    clusters = {"east": cluster(10, provisioner="kind"), "west": cluster(30, provisioner="kind", image="own:1")}
    both = plan(parse(tree(clusters=clusters, images={"node": "mirror.example/node:1"})), "test").clusters
    images = {name: [node["image"] for node in json.loads(both[name].provision.config)["nodes"]] for name in both}
    assert images == {"east": ["mirror.example/node:1"], "west": ["own:1"]}


def test_every_node_of_a_kind_cluster_says_which_config_it_was_made_from() -> None:
    def labels(given: Tree) -> set[str]:
        nodes = json.loads(made("kind", **{"nodes": 3, **given}).config)["nodes"]
        return {node["labels"]["mesh-federation/config"] for node in nodes}

    assert len(labels({})) == 1
    assert labels({}) == labels({"readyWithinSeconds": 60})
    assert labels({}) != labels({"podSubnet": "10.20.0.0/16"})


def test_how_long_a_cluster_may_take_makes_no_other_cluster() -> None:
    assert made("kind").generation == made("kind", readyWithinSeconds=900).generation
    assert made("kind", readyWithinSeconds=900).environment["READY_WITHIN"] == "900"


def test_published_ports_are_on_the_first_node_and_on_this_machine_only() -> None:
    first, second = json.loads(made("kind", nodes=2, ports=[{"container": 80, "host": 8080}]).config)["nodes"]
    [port] = first["extraPortMappings"]
    assert port == {"containerPort": 80, "hostPort": 8080, "listenAddress": "127.0.0.1", "protocol": "TCP"}
    assert "extraPortMappings" not in second
