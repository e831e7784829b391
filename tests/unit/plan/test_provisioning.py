"""Which changes make another cluster, and which do not."""

import json
from ipaddress import IPv4Address
from typing import Any

import pytest

from mesh_federation.clusters.container_provider import CONFIG_LABEL, ContainerProvider
from mesh_federation.clusters.settings import LabNetwork
from mesh_federation.loader import parse
from mesh_federation.plan.federation import plan
from mesh_federation.plan.provisioning import GENERATION_DIGITS, Provision, kept, provision
from mesh_federation.stack.config import Federation
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
    assert all(made(provider).provider.ours for provider in MAKERS)
    assert not made("existing", kubeconfig="/k").provider.ours


@pytest.mark.parametrize("change", [{"kubeconfig": "/other"}, {"context": "b"}, {"adopted": ["Namespace shop"]}])
def test_an_existing_cluster_is_the_same_however_it_is_reached(change: Tree) -> None:
    before = made("existing", kubeconfig="/k", context="a")
    after = made("existing", **{"kubeconfig": "/k", "context": "a", **change})
    assert (after.name, after.generation) == (before.name, before.generation)


def test_an_existing_cluster_is_no_cluster_of_ours_of_the_same_name() -> None:
    assert made("existing", kubeconfig="/k").generation != made("kwok").generation


def test_an_existing_cluster_keeps_the_real_name_that_the_state_has() -> None:
    """Another one would be another cluster."""
    before = kept(made("existing", kubeconfig="/k"), "east-0a1b2c")
    assert (before.name, before.generation) == ("east-0a1b2c", "0a1b2c")


def config(made: Provision) -> dict[str, Any]:
    """What the program is given that makes a cluster of containers."""
    assert isinstance(made.provider, ContainerProvider)
    return made.provider.labelled(made.settings)


def test_kind_gets_the_declared_subnets_and_as_many_nodes() -> None:
    document = config(made("kind", nodes=3, image="example.com/node:v1"))
    assert document["networking"] == {"podSubnet": "10.10.0.0/16", "serviceSubnet": "10.255.10.0/24"}
    assert [node["role"] for node in document["nodes"]] == ["control-plane", "worker", "worker"]
    assert {node["image"] for node in document["nodes"]} == {"example.com/node:v1"}


def k3s_arguments(made: Provision) -> list[str]:
    options = config(made)["options"]["k3s"]["extraArgs"]
    assert {filter for each in options for filter in each["nodeFilters"]} == {"server:*"}
    return [each["arg"] for each in options]


def test_k3d_is_told_everything_that_follows_from_the_stack_file() -> None:
    given: dict[str, Any] = {"nodes": 3, "image": "example.com/k3s:v1", "ports": [{"container": 80, "host": 8080}]}
    east = made("k3d", **given)
    hashed = config(east)["options"]["k3s"].pop("nodeLabels")[0]["label"].partition("=")[2]
    document = config(east)
    document["options"]["k3s"]["nodeLabels"][0]["label"] = "HASH"
    assert len(hashed) == 40 and east.generation == hashed[:GENERATION_DIGITS]
    assert document == {
        "apiVersion": "k3d.io/v1alpha5",
        "kind": "Simple",
        "servers": 1,
        "agents": 2,
        "image": "example.com/k3s:v1",
        "network": "mesh-federation",
        "kubeAPI": {"hostIP": "127.0.0.1"},
        "ports": [{"port": "127.0.0.1:8080:80/tcp", "nodeFilters": ["server:0:direct"]}],
        "options": {
            "k3d": {"wait": True},
            "k3s": {
                "extraArgs": [
                    {"arg": "--cluster-cidr=10.10.0.0/16", "nodeFilters": ["server:*"]},
                    {"arg": "--service-cidr=10.255.10.0/24", "nodeFilters": ["server:*"]},
                    {"arg": "--disable=traefik", "nodeFilters": ["server:*"]},
                ],
                "nodeLabels": [{"label": "HASH", "nodeFilters": ["server:*", "agent:*"]}],
            },
            "kubeconfig": {"updateDefaultKubeconfig": False, "switchCurrentContext": False},
        },
    }


@pytest.mark.parametrize("provisioner", ["kind", "k3d"])
def test_the_job_is_given_the_ports_beside_the_configuration(provisioner: str) -> None:
    spec = made(provisioner, ports=[{"container": 80, "host": 8080}, {"container": 443, "host": 8443}]).settings.spec
    assert [port.host for port in spec.ports] == [8080, 8443]


@pytest.mark.parametrize(
    ("balancer", "disabled"), [("", False), ("servicelb", False), ("metallb", True), ("none", True)], ids=str
)
def test_k3s_brings_its_load_balancer_only_where_no_other_does_its_work(balancer: str, disabled: bool) -> None:
    given = {"loadBalancer": balancer} if balancer else {}
    assert ("--disable=servicelb" in k3s_arguments(made("k3d", **given))) == disabled


@pytest.mark.parametrize("nodes", [1, 3])
def test_pods_may_run_on_every_node_of_a_k3d_cluster(nodes: int) -> None:
    assert not any("taint" in argument for argument in k3s_arguments(made("k3d", nodes=nodes)))


def test_nodes_are_known_by_the_names_that_their_program_gives_them() -> None:
    kind, k3d = made("kind", nodes=3), made("k3d", nodes=3)
    assert kind.nodes == tuple(f"{kind.name}-{role}" for role in ("control-plane", "worker", "worker2"))
    assert k3d.nodes == tuple(f"k3d-{k3d.name}-{role}" for role in ("server-0", "agent-0", "agent-1"))


def test_the_gateway_of_a_k3d_cluster_has_the_addresses_that_its_nodes_get() -> None:
    """k3s publishes the addresses of all nodes, which Docker hands out (pitfall 49): no preview knows them."""
    east = planned(tree(clusters={"east": cluster(10, provisioner="k3d"), "west": cluster(30)}))
    assert (east.pool, east.addresses) == (None, ())
    service: Any = east.values["istio-eastwestgateway"]["service"]
    assert "annotations" not in service


def test_the_gateway_of_a_k3d_cluster_with_metallb_has_an_address_that_a_preview_knows() -> None:
    given = cluster(10, provisioner="k3d", loadBalancer="metallb")
    east = planned(tree(clusters={"east": given, "west": cluster(30)}))
    assert east.balanced_by_metallb and east.pool
    [address] = east.addresses
    assert IPv4Address(address) in east.pool
    service: Any = east.values["istio-eastwestgateway"]["service"]
    assert service["annotations"] == {"metallb.universe.tf/loadBalancerIPs": address}


@pytest.mark.parametrize("provisioner", ["kind", "k3d"])
def test_nodes_of_docker_clusters_stay_below_the_pools(provisioner: str) -> None:
    network = made(provisioner).settings.network
    assert (network, network.node_range) == (LabNetwork("mesh-federation", "172.30.0.0/16"), "172.30.0.0/17")


def test_a_replaced_cluster_moves_to_another_gateway_address_in_its_pool() -> None:
    before = planned(tree(clusters={"east": cluster(10), "west": cluster(30)}))
    after = planned(tree(clusters={"east": cluster(10, nodes=2), "west": cluster(30)}))
    assert before.pool == after.pool
    assert before.addresses != after.addresses


def test_a_declared_gateway_address_wins() -> None:
    fixed = {"addresses": ["172.30.200.9"]}
    east = planned(tree(clusters={"east": cluster(10, gateway=fixed), "west": cluster(30)}))
    assert east.addresses == ("172.30.200.9",)
    service: Any = east.values["istio-eastwestgateway"]["service"]
    assert service["annotations"] == {"metallb.universe.tf/loadBalancerIPs": "172.30.200.9"}


def test_the_address_of_an_existing_clusters_gateway_is_not_ours_to_choose() -> None:
    mixed = {"east": cluster(10, provisioner="existing", kubeconfig="/k"), "west": cluster(30)}
    east = planned(tree(clusters=mixed))
    assert (east.pool, east.addresses) == (None, ())
    service: Any = east.values["istio-eastwestgateway"]["service"]
    assert "annotations" not in service


def test_a_cluster_without_an_image_of_its_own_takes_that_of_images() -> None:
    clusters = {"east": cluster(10, provisioner="kind"), "west": cluster(30, provisioner="kind", image="own:1")}
    both = plan(parse(tree(clusters=clusters, images={"node": "mirror.example/node:1"})), "test").clusters
    images = {name: [node["image"] for node in config(both[name].provision)["nodes"]] for name in both}
    assert images == {"east": ["mirror.example/node:1"], "west": ["own:1"]}


def hashes(made: Provision) -> set[str]:
    """Hashes that the nodes carry."""
    document = config(made)
    if made.provider.name == "kind":
        return {node["labels"][CONFIG_LABEL] for node in document["nodes"]}
    return {each["label"].removeprefix(f"{CONFIG_LABEL}=") for each in document["options"]["k3s"]["nodeLabels"]}


@pytest.mark.parametrize("provisioner", ["kind", "k3d"])
def test_every_node_of_a_docker_cluster_says_which_config_it_was_made_from(provisioner: str) -> None:
    one = made(provisioner, nodes=3)
    assert len(hashes(one)) == 1
    assert hashes(one) == hashes(made(provisioner, nodes=3, readyWithinSeconds=60))
    assert hashes(one) != hashes(made(provisioner, nodes=3, podSubnet="10.20.0.0/16"))


def test_all_nodes_of_a_kind_cluster_carry_the_same_hash() -> None:
    nodes = config(made("kind", nodes=3))["nodes"]
    assert len({node["labels"]["mesh-federation/config"] for node in nodes}) == 1


@pytest.mark.parametrize("provisioner", ["kind", "k3d"])
def test_how_long_a_cluster_may_take_makes_no_other_cluster(provisioner: str) -> None:
    assert made(provisioner).generation == made(provisioner, readyWithinSeconds=900).generation
    assert made(provisioner, readyWithinSeconds=900).settings.spec.ready_within_seconds == 900


def test_published_ports_are_on_the_first_node_and_on_this_machine_only() -> None:
    first, second = config(made("kind", nodes=2, ports=[{"container": 80, "host": 8080}]))["nodes"]
    [port] = first["extraPortMappings"]
    assert port == {"containerPort": 80, "hostPort": 8080, "listenAddress": "127.0.0.1", "protocol": "TCP"}
    assert "extraPortMappings" not in second
