"""What an update with a refresh would change is told by cluster; the engine is asked once, or not at all."""

from dataclasses import replace

import pytest

from mesh_federation.engine.snapshot import RecordedObject
from mesh_federation.engine.step import Step
from mesh_federation.plan.objects import Body
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


def service(port: object = 80) -> dict[str, object]:
    """A Service as it is declared."""
    metadata = {"name": "httpbin", "namespace": "httpbin"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": port}]}}


def recording(*declared: Body) -> Context:
    """A federation whose state has objects in west."""
    whole = context()
    west = replace(whole.clusters["west"], recorded=[RecordedObject("west:httpbin/httpbin", each) for each in declared])
    return replace(whole, clusters={**whole.clusters, "west": west})


def of_west(whole: Context) -> CheckResult:
    """Run the check of west, where the state has all that the stack file declares."""
    [check] = [each for each in drift.checks(whole, None) if each.about == ("clusters.west",)]
    return run_one(check)


def test_an_object_that_is_as_the_state_has_it_is_no_drift() -> None:
    whole = recording(service())
    fake(whole.clusters["west"]).when("get", "--filename=-", out=service())
    assert of_west(whole).verdict.message == "the engine would change nothing"


def test_an_object_with_another_value_is_named_with_its_field_but_not_its_value() -> None:
    whole = recording(service())
    fake(whole.clusters["west"]).when("get", "--filename=-", out=service(81))
    verdict = of_west(whole).verdict
    assert verdict.message == "the engine would update west:httpbin/httpbin (spec.ports[0].port)"
    assert "81" not in str(verdict)


def test_an_object_that_somebody_deleted_would_be_created() -> None:
    whole = recording(service())
    fake(whole.clusters["west"]).when("get", "--filename=-")
    assert of_west(whole).verdict.message == "the engine would create west:httpbin/httpbin"


def test_what_stack_file_and_cluster_both_change_is_told_once_as_the_stack_file_has_it() -> None:
    whole = recording(service())
    fake(whole.clusters["west"]).when("get", "--filename=-", out=service(81))
    verdict = ended(whole, Step("delete", "west:httpbin/httpbin"))["clusters.west"].verdict
    assert verdict.message == "the engine would delete west:httpbin/httpbin"


def test_objects_that_may_not_be_read_are_neither_drift_nor_its_absence() -> None:
    whole = recording(service())
    fake(whole.clusters["west"]).when("get", "--filename=-", error='services "httpbin" is forbidden')
    verdict = of_west(whole).verdict
    assert (verdict.status, verdict.hint) == (
        "could-not-run", "use credentials for west that allow it, or leave the check out",
    )  # fmt: skip


def test_a_cluster_is_compared_while_another_does_not_answer() -> None:
    whole = recording(service())
    fake(whole.clusters["west"]).when("get", "--filename=-", error="connection refused")
    results = {"+".join(check.about): run_one(check).verdict.status for check in drift.checks(whole, None)}
    assert results == {
        "clusters.east": "passed", "clusters.west": "could-not-run", "clusters.east+clusters.west": "passed",
    }  # fmt: skip
