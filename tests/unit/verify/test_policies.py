"""ALLOW policies of others on exported pods: whom they let through."""

import pytest

from mesh_federation.jobs.ownership_check import OWNER
from mesh_federation.verify import policies
from mesh_federation.verify.verdict import Status, Verdict
from tests.unit.verify.fake_clusters import context, fake

SLEEP = "east.local/ns/sleep/sa/sleep"
"""Whom west's export of httpbin admits."""


def policy(*sources: object, namespace: str = "httpbin", action: str = "ALLOW", **more: object) -> object:
    rules = [{"from": [{"source": source} for source in sources]}] if sources else [{}]
    labels = {OWNER: "dev"} if more.pop("ours", False) else {}
    metadata = {"name": "theirs", "namespace": namespace, "labels": labels}
    return {"metadata": metadata, "spec": {"action": action, "rules": rules, **more}}


def judged(*found: object) -> Verdict:
    whole = context()
    cluster = whole.clusters["west"]
    fake(cluster).lists("authorizationpolicies.security.istio.io", *found)
    [export] = cluster.plan.exports
    return policies.policies(cluster, export)


@pytest.mark.parametrize(
    "source",
    [
        {"principals": [SLEEP]},
        {"principals": ["east.local/*"]},
        {"principals": ["*/ns/sleep/sa/sleep"]},
        {"principals": ["*"]},
        {"namespaces": ["sleep"]},
        {"ipBlocks": ["10.0.0.0/8"]},
    ],
)
def test_a_policy_that_allows_the_admitted_caller_or_may_is_no_problem(source: object) -> None:
    assert judged(policy({"principals": ["nobody"]}, source)).status is Status.PASSED


@pytest.mark.parametrize(
    "source",
    [
        {"principals": ["west.local/ns/sleep/sa/sleep"]},
        {"principals": ["west.local/*"]},
        {"namespaces": ["shop"]},
        {"principals": [SLEEP], "namespaces": ["shop"]},
    ],
)
def test_a_policy_that_allows_others_alone_refuses_the_admitted_caller(source: object) -> None:
    verdict = judged(policy(source))
    assert verdict.status is Status.FAILED
    assert "httpbin/theirs" in verdict.message and SLEEP in verdict.message
    assert "the owner of the policy" in verdict.hint


def test_a_rule_without_sources_allows_everybody() -> None:
    assert judged(policy()).status is Status.PASSED


@pytest.mark.parametrize(
    "found",
    [
        policy({"principals": ["nobody"]}, ours=True),
        policy({"principals": ["nobody"]}, action="DENY"),
        policy({"principals": ["nobody"]}, namespace="shop"),
        policy({"principals": ["nobody"]}, selector={"matchLabels": {"app": "other"}}),
    ],
)
def test_only_allow_policies_of_others_on_the_exported_pods_count(found: object) -> None:
    assert judged(found).message == "no ALLOW policy selects its pods"


def test_a_policy_of_the_root_namespace_is_on_all_pods() -> None:
    assert judged(policy({"principals": ["nobody"]}, namespace="istio-system")).status is Status.FAILED
