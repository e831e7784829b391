"""Committed stacks as they stand: each call that they are for is answered, by whom they say."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.checkout import eventually
from tests.traffic.conftest import Prepare
from tests.traffic.lab import PATIENCE, Lab
from tests.traffic.mutations import of
from tests.traffic.verified import goes_red_and_green, until_green

CALLS = 60
"""At equal shares the chance that one of two meshes gets none of them is 2^-59."""


Bring = Callable[[str], Lab]
Note = Callable[[str, object], None]


@pytest.fixture
def bring(prepare: Prepare, provider: str, record_property: Note) -> Iterator[Bring]:
    """What brings a committed stack up on the provider of this run.

    Verification must agree, and so must Istio's analysis; a second `up` changes nothing, and `down` leaves nothing.
    """
    with ExitStack() as running:

        def up(stack: str) -> Lab:
            made = running.enter_context(prepare(stack))
            lab = Lab(made, provider)
            running.callback(goes, lab, lab.nodes.on_machine())
            made.up()
            assert set(made.up().changes()) == {"unchanged"}
            told = until_green(lab)
            record_property(f"{stack}: mesh verify", dict(Counter(status for *_, status in told.statuses)))
            record_property(f"{stack}: istioctl analyze", "ran" if shutil.which("istioctl") else "NOT RUN: no istioctl")
            if shutil.which("istioctl"):
                assert [error for cluster in made.clusters() for error in lab.errors(cluster)] == []
            return lab

        yield up


def goes(lab: Lab, before: set[str]) -> None:
    """Take a stack down, and see that nothing of it is left."""
    lab.checkout.down()
    assert not lab.checkout.stack_exists()
    assert lab.nodes.on_machine() <= before


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


def test_the_default_stack_answers_the_call_that_it_declares(bring: Bring) -> None:
    embedded = bring("embedded")
    assert set(asked(embedded, "east", "httpbin")) == {identity("west", "httpbin")}
    told = embedded.checkout.mesh("call", "--stack=embedded")
    assert told.code == 0, told.text


@pytest.mark.long
@pytest.mark.parametrize("stack", ["as-local", "egress", "embedded", "gateway-api", "separate-roots", "three-meshes"])
def test_a_stack_is_verified_in_both_trust_scopes(bring: Bring, stack: str) -> None:
    """Not multi-primary, which is one mesh; the lab of test_trust_scope.py is the one that is left."""
    lab = bring(stack)
    declared = lab.checkout.declared().get("trust", {})
    assert isinstance(declared, dict)
    for scope in ("mesh", "link"):
        with lab.edited() as federation:
            federation["trust"] = {**declared, "scope": scope}
        lab.checkout.up()
        until_green(lab)


def test_one_mesh_calls_two_others_in_equal_shares_and_both_call_it(bring: Bring) -> None:
    three_meshes = bring("three-meshes")
    ratings = {identity("east", "ratings"), identity("west", "ratings")}
    eventually(lambda: set(asked(three_meshes, "central", "ratings")) == ratings, PATIENCE)
    shares = asked(three_meshes, "central", "ratings", 200)
    assert set(shares) == ratings and min(shares.values()) > 50, shares
    assert set(asked(three_meshes, "central", "details")) == {identity("west", "details")}
    for caller in ("east", "west"):
        assert set(asked(three_meshes, caller, "reviews")) == {identity("central", "reviews")}
    assert set(asked(three_meshes, "east", "details", 5)) == {"0"}, "east imports no details"
    told = three_meshes.checkout.mesh("call", "--stack=three-meshes")
    assert told.code == 0, told.text
    checks_notice(three_meshes)


def test_where_both_run_a_service_the_other_mesh_stands_in_only_for_pods_that_are_gone(bring: Bring) -> None:
    as_local = bring("as-local")
    checks_notice(as_local)
    eventually(lambda: asked(as_local, "east", "httpbin") == {identity("east", "httpbin"): CALLS}, PATIENCE)
    as_local.scaled("east", "httpbin", "httpbin", 0)
    eventually(lambda: asked(as_local, "east", "httpbin") == {identity("west", "httpbin"): CALLS}, PATIENCE)


def test_istiods_that_read_each_others_clusters_let_a_caller_reach_a_service_of_the_other_by_plain_dns(
    bring: Bring,
) -> None:
    one_mesh = bring("multi-primary")
    url, server = "http://httpbin.httpbin:8000/headers", "spiffe://federation-0.local/ns/httpbin/sa/httpbin"
    eventually(lambda: one_mesh.call("cluster-1", "sleep", url).status == 200, PATIENCE)
    replies = one_mesh.calls("cluster-1", "sleep", CALLS, url)
    assert {reply.status for reply in replies} == {200}
    assert {reply.identities["By"] for reply in replies} == {server}
    assert {reply.identities["URI"] for reply in replies} == {"spiffe://federation-0.local/ns/sleep/sa/sleep"}
    told = one_mesh.checkout.mesh("call", "--stack=multi-primary")
    assert told.code == 0, told.text
    checks_notice(one_mesh)
    with one_mesh.edited() as federation:
        federation["discovery"] = []
    one_mesh.checkout.up()
    eventually(lambda: one_mesh.call("cluster-1", "sleep", url).status != 200, PATIENCE)


def test_a_global_host_is_answered_by_pods_of_both_meshes_and_the_plain_name_by_the_own_alone(
    bring: Bring,
) -> None:
    gateway_api = bring("gateway-api")
    both = {identity("east", "httpbin"), identity("west", "httpbin")}
    eventually(lambda: set(servers(gateway_api, "east", "httpbin.mesh.global")) == both, PATIENCE)
    assert set(asked(gateway_api, "east", "httpbin")) == {identity("east", "httpbin")}
    assert gateway_api.certificate("west", "httpbin.mesh.global", 8000)
    assert gateway_api.certificate("west", "httpbin.httpbin.svc.cluster.local", 8000) is None
    assert gateway_api.changes("--refresh") == {}
