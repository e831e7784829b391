"""What is drawn: a call's way through the gateways, and clusters that share a network together."""

import copy

import pytest

from mesh_federation.diagrams.drawing import Drawing, NodeKind
from mesh_federation.diagrams.topology import drawing
from tests.unit.components.federations import committed, not_ours
from tests.unit.diagrams.federations import FLEET, STACKS, drawn, of


def ways(shown: Drawing, start: str) -> list[list[str]]:
    """All ways from a node, as the kinds of the nodes that they pass."""
    kinds = {node.id: node.kind.value for node in shown.nodes}
    after = [way for edge in shown.edges if edge.tail == start for way in ways(shown, edge.head)]
    return [[kinds[start], *way] for way in after] or [[kinds[start]]]


def start(shown: Drawing, kind: NodeKind) -> str:
    return next(node.id for node in shown.nodes if node.kind is kind)


@pytest.mark.parametrize("name", [*STACKS, FLEET])
def test_every_edge_joins_two_nodes_and_no_two_nodes_have_one_id(name: str) -> None:
    shown = drawing(drawn(name))
    ids = [node.id for node in shown.nodes]
    assert len(set(ids)) == len(ids)
    assert {end for edge in shown.edges for end in (edge.tail, edge.head)} <= set(ids)


def test_a_call_passes_the_gateway_of_the_cluster_that_exports() -> None:
    shown = drawing(drawn("simulated"))
    assert ways(shown, start(shown, NodeKind.REMOTE)) == [["import as remote", "east-west gateway", "export"]]


def test_a_call_by_egress_passes_its_own_gateway_first() -> None:
    shown = drawing(drawn("egress"))
    way = ["egress gateway", "east-west gateway", "export"]
    assert ways(shown, start(shown, NodeKind.GLOBAL)) == [["import as global", *way]]


def test_discovery_reads_the_api_server_and_calls_by_the_gateway() -> None:
    shown = drawing(drawn("multi-primary"))
    found = ways(shown, start(shown, NodeKind.DISCOVERY))
    assert found == [["endpoint discovery", "API server"], ["endpoint discovery", "east-west gateway"]]


def test_clusters_of_one_network_are_drawn_together_and_others_alone() -> None:
    tree = copy.deepcopy(committed("multi-primary"))
    for name, cluster in tree["clusters"].items():
        cluster |= {"provisioner": "existing", "kubeconfig": name, "network": "flat"}
    shown = drawing(of(tree))
    assert [(network.title.partition(":")[0], len(network.panels)) for network in shown.networks] == [
        ("network flat", 2)
    ]
    assert ways(shown, start(shown, NodeKind.DISCOVERY)) == [["endpoint discovery", "API server"]]
    assert [network.title for network in drawing(drawn("simulated")).networks] == ["", ""]


def test_an_address_that_only_a_run_can_tell_is_said_to_be_so() -> None:
    gateways = [node for node in drawing(of(not_ours())).nodes if node.kind is NodeKind.GATEWAY]
    assert all("address known after up" in node.details for node in gateways)
    [east, west] = [node for node in drawing(drawn("simulated")).nodes if node.kind is NodeKind.GATEWAY]
    assert [len(gateway.details[0].split(".")) for gateway in (east, west)] == [4, 4]


def test_what_differs_from_the_default_is_written_on_an_import() -> None:
    [link] = [node for node in drawing(drawn("as-local")).nodes if node.kind is NodeKind.LOCAL]
    assert "failover to west" in link.details
    [link] = [node for node in drawing(drawn("egress")).nodes if node.kind is NodeKind.GLOBAL]
    assert {"from west via egress", "by the Kubernetes Gateway API"} <= set(link.details)
    weights = [detail for node in drawing(drawn("three-meshes")).nodes for detail in node.details if "weight" in detail]
    assert weights == ["weight 50 %", "weight 50 %"]


def test_who_may_call_is_written_on_an_export() -> None:
    hub = next(node for node in drawing(drawn(FLEET)).nodes if node.id == "hub/export/platform/api")
    callers = " ".join(hub.details).partition("may call: ")[2]
    assert callers.startswith("shop/web of spoke-01, spoke-02") and callers.endswith("spoke-11")
    assert any("every workload of spoke-06" in line for node in drawing(drawn(FLEET)).nodes for line in node.details)


@pytest.mark.parametrize("stack", STACKS)
def test_the_order_of_the_stack_file_does_not_matter(stack: str) -> None:
    tree = copy.deepcopy(committed(stack))
    for key in ("exports", "imports", "discovery"):
        tree[key] = list(reversed(tree.get(key, [])))
    tree["clusters"] = dict(reversed(tree["clusters"].items()))
    assert drawing(of(tree, stack)) == drawing(drawn(stack))
