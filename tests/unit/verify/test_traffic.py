"""Who answered, under which identity, and how often: judged from what callers and servers saw."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_federation.stack.config import NamespacedName
from mesh_federation.verify import imports, traffic
from mesh_federation.verify.curl import END, GAP
from mesh_federation.verify.traffic import FEW, MANY, bound
from mesh_federation.verify.verdict import Inconclusive, NotApplicable, Verdict
from tests.unit.verify.fake_clusters import context, fake, pod, staged
from tests.unit.verify.test_imports import of

SLEEP = NamespacedName("sleep", "sleep")
CALLER = "spiffe://east.local/ns/sleep/sa/sleep"
WEST, EAST = "spiffe://west.local/ns/httpbin/sa/httpbin", "spiffe://east.local/ns/httpbin/sa/httpbin"


def reply(server: str = WEST, caller: str = CALLER, status: int = 200, error: str = "", body: str = "") -> str:
    """What curl prints of one call."""
    seen = json.dumps({"headers": {"X-Forwarded-Client-Cert": [f'By={server};Hash=1;Subject="";URI={caller}']}})
    return GAP.join([body or seen, str(status), "240.240.0.1", error]) + END


def answers(stdout: str, stack: str = "east-west") -> Verdict:
    whole = context(stack)
    cluster, link = of(whole, "east", "||httpbin.httpbin.svc.cluster.local")
    fake(cluster).lists("pods", pod("sleep", "sleep"))
    fake(cluster).when("exec", "clusters?format=json", out={"cluster_statuses": []})
    fake(cluster).when("exec", "curl", out=stdout)
    return traffic.answers(cluster, link, SLEEP)


def test_calls_that_the_declared_server_answered_under_the_callers_identity_pass() -> None:
    verdict = answers(reply() * FEW)
    assert verdict.status == "passed"
    assert verdict.evidence["caller"] == CALLER
    assert f"{FEW} by {WEST}" in verdict.evidence["port 8000"]


@pytest.mark.parametrize(
    ("odd", "found", "hint"),
    [
        (reply(status=403, body="RBAC: access denied"), "403 RBAC: access denied", "add it under `to`"),
        (reply(status=503, body="no healthy upstream"), "503 no healthy upstream", "./mesh up"),
        (reply(status=0, error="Could not resolve host: httpbin", body=" "), "Could not", "does not know the host"),
        (reply(server=EAST), f"answered by {EAST}", ""),
        (reply(caller="spiffe://east.local/x"), "the server saw spiffe://east.local/x, not", ""),
    ],
)  # fmt: skip
def test_one_odd_answer_among_many_is_told(odd: str, found: str, hint: str) -> None:
    verdict = answers(reply() * (FEW - 1) + odd)
    assert (verdict.status, found in verdict.message) == ("failed", True), verdict.message
    assert hint in verdict.hint


def test_a_service_that_does_not_tell_who_called_is_answered_all_the_same() -> None:
    verdict = answers(reply(body="<html>", status=404) * FEW)
    assert (verdict.status, verdict.evidence["caller"]) == ("passed", "unknown: the service does not echo headers")


def test_a_caller_without_curl_is_not_applicable() -> None:
    whole = context()
    cluster, link = of(whole, "east", "||httpbin.httpbin.svc.cluster.local")
    fake(cluster).lists("pods", pod("sleep", "sleep"))
    fake(cluster).when("exec", "clusters?format=json", out={"cluster_statuses": []})
    fake(cluster).when("exec", "curl", error='exec: "curl": executable file not found in $PATH')
    with pytest.raises(NotApplicable, match="sleep/sleep-0 has no curl"):
        traffic.answers(cluster, link, SLEEP)
    fake(cluster).when("exec", "curl", error="error: unable to upgrade connection: pod does not exist")
    with pytest.raises(Inconclusive, match="sleep/sleep-0: cannot run a program in it"):
        traffic.answers(cluster, link, SLEEP)


def test_an_import_whose_sources_admit_no_account_in_common_is_called_by_nobody() -> None:
    declared = context("three-meshes").federation
    [east] = [each for each in declared.exports if each.cluster == "east"]
    other = east.to[0].model_copy(update={"service_accounts": (NamespacedName("sleep", "other"),)})
    exports = [east.model_copy(update={"to": (other,)}), *(each for each in declared.exports if each is not east)]
    whole = staged(declared.model_copy(update={"exports": exports}), "three-meshes")
    cluster, link = of(whole, "central", "||httpbin.ratings.svc.cluster.local")
    assert whole.callers(link) == []
    assert not [each for each in traffic.checks(whole) if link.host in each.description]
    fake(cluster).lists("pods", pod("sleep", "sleep"))
    with pytest.raises(NotApplicable, match="runs as an account that all its sources admit"):
        imports.endpoints(whole, cluster, link)


def shares(first: int) -> Verdict:
    whole = context("three-meshes")
    cluster, link = of(whole, "central", "||httpbin.ratings.svc.cluster.local")
    fake(cluster).lists("pods", pod("sleep", "sleep"))
    servers = [f"spiffe://{cluster}.local/ns/ratings/sa/httpbin" for cluster in ("east", "west")]
    fake(cluster).when("exec", "curl", out=reply(servers[0]) * first + reply(servers[1]) * (MANY - first))
    return traffic.shares(cluster, link, SLEEP)


@pytest.mark.parametrize(
    ("first", "status"), [(100, "passed"), (85, "passed"), (115, "passed"), (60, "failed"), (200, "failed")]
)
def test_a_share_may_be_off_by_so_much_and_no_more(first: int, status: str) -> None:
    assert shares(first).status == status


@given(st.integers(1, 99))
def test_the_bound_of_a_share_is_that_of_chance(share: int) -> None:
    assert 0 < bound(share) < 0.15
    assert bound(share) == pytest.approx(bound(100 - share))
