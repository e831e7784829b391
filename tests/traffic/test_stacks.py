"""Committed stacks as they stand: each call that they are for is answered, by whom they say."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.checkout import eventually
from tests.traffic.conftest import Prepare
from tests.traffic.lab import PATIENCE, Lab, brought_up
from tests.traffic.mutations import of
from tests.traffic.verified import goes_red_and_green, until_green

CALLS = 60
"""At equal shares the chance that one of two meshes gets none of them is 2^-59."""


LONG = {"egress", "separate-roots"}
"""Stacks that no other test here brings up."""
WITH_SCOPES = ["as-local", "egress", "embedded", "gateway-api", "separate-roots", "three-meshes"]
"""Not multi-primary, which is one mesh; the lab of test_trust_scope.py is the one that is left."""

Note = Callable[[str, object], None]


def on(*stacks: str) -> pytest.MarkDecorator:
    """Run a test on committed stacks; all tests of a stack run one after the other, on one bring-up."""
    return pytest.mark.parametrize(
        "running", [pytest.param(each, marks=[pytest.mark.long] if each in LONG else []) for each in stacks],
        indirect=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest, prepare: Prepare, provider: str) -> Iterator[Lab]:
    """A committed stack that is up on the provider of this run."""
    with prepare(request.param) as made, brought_up(made, provider) as lab:
        yield lab


@pytest.fixture
def stack(running: Lab) -> Iterator[Lab]:
    """The stack; a test that changes what it declares leaves it as committed."""
    declared = running.checkout.declared()
    yield running
    if running.checkout.declared() != declared:
        running.checkout.declare(declared)
        running.checkout.up()


def checks_notice(lab: Lab) -> None:
    """Break what checks of this stack guard, one after the other."""
    for mutation in of(lab.checkout.stack):
        goes_red_and_green(lab, mutation)


def asked(lab: Lab, cluster: str, namespace: str, count: int = CALLS) -> Counter[str]:
    """Call a namespace's httpbin, and count who answered; what was no answer by its status."""
    return servers(lab, cluster, f"httpbin.{namespace}.svc.cluster.local", count)


def servers(lab: Lab, cluster: str, host: str, count: int = CALLS) -> Counter[str]:
    replies = lab.calls(cluster, "sleep", count, f"http://{host}:8000/headers")
    return Counter(reply.identities["By"] if reply.status == 200 else str(reply.status) for reply in replies)


def identity(cluster: str, namespace: str) -> str:
    return f"spiffe://{cluster}.local/ns/{namespace}/sa/httpbin"


@on(*WITH_SCOPES, "multi-primary")
def test_a_stack_is_verified_and_a_second_up_changes_nothing(stack: Lab, record_property: Note) -> None:
    """Istio's analysis must agree."""
    assert set(stack.checkout.up().changes()) == {"unchanged"}
    name = stack.checkout.stack
    told = until_green(stack)
    record_property(f"{name}: mesh verify", dict(Counter(status for *_, status in told.statuses)))
    record_property(f"{name}: istioctl analyze", "ran" if shutil.which("istioctl") else "NOT RUN: no istioctl")
    if shutil.which("istioctl"):
        assert [error for cluster in stack.checkout.clusters() for error in stack.errors(cluster)] == []


@pytest.mark.long
@on(*WITH_SCOPES)
def test_a_stack_is_verified_in_both_trust_scopes(stack: Lab) -> None:
    declared = stack.checkout.declared().get("trust", {})
    assert isinstance(declared, dict)
    for scope in ("mesh", "link"):
        with stack.edited() as federation:
            federation["trust"] = {**declared, "scope": scope}
        stack.checkout.up()
        until_green(stack)


@on("embedded")
def test_the_default_stack_answers_the_call_that_it_declares(stack: Lab) -> None:
    assert set(asked(stack, "east", "httpbin")) == {identity("west", "httpbin")}
    told = stack.checkout.mesh("call", "--stack=embedded")
    assert told.code == 0, told.text


@on("embedded")
def test_an_imported_service_is_answered_under_the_short_names_of_a_service_too(stack: Lab) -> None:
    """Callers write what the search domains of their pods complete; HTTP carries it as they wrote it."""
    names = ("httpbin.httpbin", "httpbin.httpbin.svc", "httpbin.httpbin.svc.cluster.local.", "HTTPBIN.httpbin")
    seen = {name: stack.call("east", "sleep", f"http://{name}:8000/headers").status for name in names}
    assert seen == dict.fromkeys(names, 200)


@on("three-meshes")
def test_one_mesh_calls_two_others_in_equal_shares_and_both_call_it(stack: Lab) -> None:
    ratings = {identity("east", "ratings"), identity("west", "ratings")}
    eventually(lambda: set(asked(stack, "central", "ratings")) == ratings, PATIENCE)
    shares = asked(stack, "central", "ratings", 200)
    assert set(shares) == ratings and min(shares.values()) > 50, shares
    assert set(asked(stack, "central", "details")) == {identity("west", "details")}
    for caller in ("east", "west"):
        assert set(asked(stack, caller, "reviews")) == {identity("central", "reviews")}
    assert set(asked(stack, "east", "details", 5)) == {"0"}, "east imports no details"
    told = stack.checkout.mesh("call", "--stack=three-meshes")
    assert told.code == 0, told.text
    checks_notice(stack)


@on("as-local")
def test_where_both_run_a_service_the_other_mesh_stands_in_only_for_pods_that_are_gone(stack: Lab) -> None:
    checks_notice(stack)
    eventually(lambda: asked(stack, "east", "httpbin") == {identity("east", "httpbin"): CALLS}, PATIENCE)
    stack.scaled("east", "httpbin", "httpbin", 0)
    eventually(lambda: asked(stack, "east", "httpbin") == {identity("west", "httpbin"): CALLS}, PATIENCE)
    stack.scaled("east", "httpbin", "httpbin", 1)
    eventually(lambda: asked(stack, "east", "httpbin") == {identity("east", "httpbin"): CALLS}, PATIENCE)


@on("multi-primary")
def test_istiods_that_read_each_others_clusters_let_a_caller_reach_a_service_of_the_other_by_plain_dns(
    stack: Lab,
) -> None:
    url, server = "http://httpbin.httpbin:8000/headers", "spiffe://federation-0.local/ns/httpbin/sa/httpbin"
    eventually(lambda: stack.call("cluster-1", "sleep", url).status == 200, PATIENCE)
    replies = stack.calls("cluster-1", "sleep", CALLS, url)
    assert {reply.status for reply in replies} == {200}
    assert {reply.identities["By"] for reply in replies} == {server}
    assert {reply.identities["URI"] for reply in replies} == {"spiffe://federation-0.local/ns/sleep/sa/sleep"}
    told = stack.checkout.mesh("call", "--stack=multi-primary")
    assert told.code == 0, told.text
    checks_notice(stack)
    with stack.edited() as federation:
        federation["discovery"] = []
    stack.checkout.up()
    eventually(lambda: stack.call("cluster-1", "sleep", url).status != 200, PATIENCE)


@on("gateway-api")
def test_a_global_host_is_answered_by_pods_of_both_meshes_and_the_plain_name_by_the_own_alone(stack: Lab) -> None:
    both = {identity("east", "httpbin"), identity("west", "httpbin")}
    eventually(lambda: set(servers(stack, "east", "httpbin.mesh.global")) == both, PATIENCE)
    assert set(asked(stack, "east", "httpbin")) == {identity("east", "httpbin")}
    assert stack.certificate("west", "httpbin.mesh.global", 8000)
    assert stack.certificate("west", "httpbin.httpbin.svc.cluster.local", 8000) is None
    assert stack.changes("--refresh") == {}
