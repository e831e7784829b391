"""Istio in a namespace of another name: everything of the mesh is there, and nothing is where Istio usually is."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mesh_federation import loader
from mesh_federation.plan.federation import Plan, plan
from mesh_federation.plan.relocation import InstalledIstio, refuse_moves
from mesh_federation.resources.relocation import installed
from mesh_federation.stack.config import ISTIO_NAMESPACE
from mesh_federation.stack.problem import InvalidModel
from mesh_federation.stack.stack_file import KEY

CHECKOUT = Path(loader.__file__).parents[1]
STACKS = sorted(file.stem.removeprefix("Pulumi.") for file in CHECKOUT.glob("Pulumi.*.yaml"))
PLACE = "mesh-control"


def tree(stack: str) -> Any:  # noqa: ANN401 - a tree
    document = yaml.safe_load((CHECKOUT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))
    return document["config"][KEY]


def moved(stack: str) -> Plan:
    return plan(loader.parse({**tree(stack), "istio": {"namespace": PLACE}}), stack)


def everything(planned: Plan) -> str:
    """Whatever the plan makes, as text."""
    parts = [
        part
        for each in planned.clusters.values()
        for part in (each.bodies, each.values, [str(release.reference) for release in each.releases])
    ]
    return json.dumps(parts, sort_keys=True)


@pytest.mark.parametrize("stack", STACKS)
def test_no_object_and_no_value_of_any_stack_is_left_in_the_usual_namespace(stack: str) -> None:
    usual = everything(plan(loader.parse(tree(stack)), stack))
    assert ISTIO_NAMESPACE in usual
    assert ISTIO_NAMESPACE not in everything(moved(stack))


@pytest.mark.parametrize("stack", STACKS)
def test_the_same_objects_are_made_there(stack: str) -> None:
    def names(planned: Plan) -> list[str]:
        return [each.name for cluster in planned.clusters.values() for each in cluster.objects]

    usual = names(plan(loader.parse(tree(stack)), stack))
    assert names(moved(stack)) == [each.replace(ISTIO_NAMESPACE, PLACE) for each in usual]


def test_the_charts_are_told_only_where_it_is_another_namespace() -> None:
    for cluster in moved("east-west").clusters.values():
        values: Any = cluster.values
        assert values["istiod"]["global"]["istioNamespace"] == values["istio-base"]["global"]["istioNamespace"] == PLACE
    usual: Any = plan(loader.parse(tree("east-west")), "east-west").clusters["east"].values
    assert "istioNamespace" not in usual["istiod"]["global"] and "global" not in usual["istio-base"]


def test_a_cluster_has_its_own_namespace_or_that_of_the_federation() -> None:
    given = {**tree("east-west"), "istio": {"namespace": PLACE}}
    given["clusters"]["west"]["istio"] = {"namespace": "mesh-west"}
    clusters = loader.parse(given).clusters
    assert [clusters[name].istio_namespace for name in ("east", "west")] == [PLACE, "mesh-west"]
    assert [clusters[name].root_namespace for name in ("east", "west")] == [PLACE, "mesh-west"]


def test_the_namespace_of_the_federation_is_not_that_of_an_istio_of_others() -> None:
    given = {**tree("east-west"), "istio": {"namespace": PLACE}}
    given["clusters"]["west"] = {"provisioner": "existing", "kubeconfig": "west", "istio": {"install": False}}
    assert loader.typed(given).clusters["west"].istio_namespace == ISTIO_NAMESPACE


def outputs(planned: Plan, **output: str) -> dict[str, dict[str, object]]:
    return {name: {"name": each.provision.name, **output} for name, each in planned.clusters.items()}


def recorded(planned: Plan, **output: str) -> dict[str, InstalledIstio]:
    return installed(outputs(planned, **output), planned.clusters)


def test_an_istio_that_runs_does_not_move() -> None:
    usual, other = plan(loader.parse(tree("east-west")), "east-west"), moved("east-west")
    refuse_moves(usual.clusters, recorded(usual))
    refuse_moves(other.clusters, recorded(other, istioNamespace=PLACE))
    refuse_moves(other.clusters, {})
    refuse_moves(other.clusters, installed(outputs(other), []))  # of others until now
    for planned, before in ((other, recorded(other)), (usual, recorded(usual, istioNamespace=PLACE))):
        with pytest.raises(InvalidModel) as refused:
            refuse_moves(planned.clusters, before)
        assert [(each.where, each.rule) for each in refused.value.problems] == [
            (f"clusters.{name}.istio.namespace", "istio-moves") for name in ("east", "west")
        ]


def test_a_cluster_that_is_replaced_may_have_it_elsewhere() -> None:
    other = moved("east-west")
    refuse_moves(
        other.clusters, {name: InstalledIstio(f"{name}-of-before", ISTIO_NAMESPACE) for name in other.clusters}
    )
