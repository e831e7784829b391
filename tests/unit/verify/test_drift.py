"""What the engine would change is told by cluster, and asked once."""

import pytest

from mesh_federation.engine.step import Step
from mesh_federation.verify import drift
from mesh_federation.verify.context import Context
from mesh_federation.verify.drift import owner
from mesh_federation.verify.runner import CheckResult, run_one
from mesh_federation.verify.verdict import ClusterUnreachable, Inconclusive
from tests.unit.verify.fake_clusters import context, fake


def ended(whole: Context, *changes: Step) -> dict[str, CheckResult]:
    """Run all checks of drift, by the cluster that they are about."""
    asked: list[int] = []

    def ask() -> list[Step]:
        asked.append(1)
        return list(changes)

    for cluster in whole.clusters.values():
        fake(cluster).when("get", "--raw=/readyz", out="ok")
    results = {"+".join(check.about): run_one(check) for check in drift.checks(whole, ask)}
    assert asked == [1]
    return results


def test_a_changed_object_is_drift_of_its_cluster_alone() -> None:
    results = ended(context(), Step("update", "west:httpbin/httpbin", ("spec.ports",)))
    statuses = {about: result.verdict.status.value for about, result in results.items()}
    assert statuses == {
        "clusters.east": "passed", "clusters.west": "failed", "clusters.east+clusters.west": "passed",
    }  # fmt: skip
    assert results["clusters.west"].verdict.message == "the engine would update west:httpbin/httpbin (spec.ports)"


def test_many_changes_are_counted_after_the_first() -> None:
    found = ended(context(), *(Step("create", f"east:ns/{n}") for n in range(25)))["clusters.east"].verdict
    assert found.message.endswith("create east:ns/9 and 15 more")
    assert len(found.evidence) == 25


@pytest.mark.parametrize(
    ("resource", "cluster"),
    [
        ("east:a/b", "east"),
        ("east-create", "east"),
        ("east-2:a/b", "east-2"),
        ("east-2-create", "east-2"),
        ("root", None),
    ],
)
def test_resources_are_told_apart_where_one_clusters_name_begins_anothers(resource: str, cluster: str | None) -> None:
    assert owner(resource, ["east", "east-2", "west"]) == cluster


def test_the_engine_is_not_asked_while_a_cluster_does_not_answer() -> None:
    whole = context()
    for cluster in whole.clusters.values():
        fake(cluster).when("get", "--raw=/readyz", error="connection refused")

    def ask() -> list[Step]:
        raise AssertionError("it would wait for minutes")

    for check in drift.checks(whole, ask):
        verdict = run_one(check).verdict
        assert (verdict.status, verdict.message) == (
            "could-not-run", "no preview was made: east does not answer: connection refused",
        )  # fmt: skip


def test_what_the_engine_cannot_tell_is_not_asked_again() -> None:
    whole = context()
    for cluster in whole.clusters.values():
        fake(cluster).when("get", "--raw=/readyz", out="ok")
    asked: list[int] = []

    def ask() -> list[Step]:
        asked.append(1)
        raise Inconclusive("the engine cannot tell: x", "y")

    found = [run_one(check).verdict.message for check in drift.checks(whole, ask)]
    assert (set(found), asked) == ({"the engine cannot tell: x"}, [1])
    assert not issubclass(Inconclusive, ClusterUnreachable)
