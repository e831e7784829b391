"""Where pods are: Istio reads it from their nodes, and kind labels none."""

import pytest

from mesh_federation.plan import locality
from tests.unit.plan.model import cluster, planned, tree


@pytest.mark.parametrize(
    ("declared", "labels"),
    [
        ("eu", {"topology.kubernetes.io/region": "eu"}),
        ("eu/a", {"topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "a"}),
        (
            "eu/a/1",
            {
                "topology.kubernetes.io/region": "eu",
                "topology.kubernetes.io/zone": "a",
                "topology.istio.io/subzone": "1",
            },
        ),
    ],
)
def test_a_node_carries_its_locality(declared: str, labels: dict[str, str]) -> None:
    assert locality.node("n", declared)["metadata"] == {"name": "n", "labels": labels}


def nodes(provisioner: str, count: int) -> tuple[str, ...]:
    declared = cluster(10, provisioner=provisioner, nodes=count)
    return planned(tree(clusters={"east": declared, "west": cluster(30)}), "east").provision.nodes


def test_nodes_are_known_by_name_before_they_exist() -> None:
    assert nodes("kwok", 2) == ("node-000000", "node-000001")
    first, *workers = nodes("kind", 3)
    assert first.endswith("-control-plane")
    assert workers == [first.replace("-control-plane", "-worker"), first.replace("-control-plane", "-worker2")]


def test_nodes_of_other_people_are_not_labelled() -> None:
    declared = cluster(10, provisioner="existing", kubeconfig="k")
    assert planned(tree(clusters={"east": declared, "west": cluster(30)}), "east").provision.nodes == ()
