"""`mesh observe --rbac`: what an owner is asked to allow, printed without a cluster."""

from pathlib import Path

import pytest
import yaml

from tests.unit.cli.conftest import Desk, Mesh
from tests.unit.plan.test_observed import STACK

WHOM = "Group:mesh-team"


@pytest.fixture
def theirs(desk: Desk, mesh: Mesh) -> Path:
    """A stack of two clusters whose Istio belongs to others, observed."""
    for name in ("Pulumi.dev.yaml", "observed.dev.yaml"):
        desk.workspace.checkout.joinpath(name).write_text((STACK.parent / name).read_text(encoding="utf-8"))
    return desk.workspace.checkout


def test_the_rights_are_yaml_that_kubectl_applies(theirs: Path, mesh: Mesh) -> None:
    done = mesh("observe", "--rbac", WHOM, "--cluster", "west", "--stack", "dev")
    assert done.status == 0, done.err
    printed = list(yaml.safe_load_all(done.out))
    assert [each["kind"] for each in printed[:2]] == ["ClusterRole", "ClusterRoleBinding"]
    assert {each["metadata"].get("namespace") for each in printed} == {None, "httpbin", "istio-system"}
    assert "the owner of west" in done.err


def test_before_a_mesh_was_observed_they_are_those_that_observing_takes(theirs: Path, mesh: Mesh) -> None:
    (theirs / "observed.dev.yaml").unlink()
    done = mesh("observe", "--rbac", WHOM, "--cluster", "west", "--stack", "dev")
    assert done.status == 0, done.err
    assert "create" not in done.out and "for `mesh observe` alone" in done.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--rbac", WHOM], "write --cluster with one of: east, west"),
        (["--rbac", WHOM, "--cluster", "north"], "north is not among the clusters with an Istio of others"),
        (["--rbac", "mesh-team", "--cluster", "west"], "write User:NAME, Group:NAME or ServiceAccount:NAMESPACE/NAME"),
        (["--rbac", "ServiceAccount:linker", "--cluster", "west"], "names nobody who could have rights"),
        (["--rbac", "User:", "--cluster", "west"], "names nobody who could have rights"),
    ],
)
def test_it_must_be_clear_whose_rights_they_are_and_where(
    theirs: Path, mesh: Mesh, words: list[str], told: str
) -> None:
    done = mesh("observe", *words, "--stack", "dev")
    assert done.status == 1 and told in done.err and not done.out
