"""Walk-through 001 on real clusters: instances of another mesh beside a service's own pods."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from uuid import uuid4

import pytest

from tests.checkout import eventually
from tests.owners import most_at_once, watching
from tests.traffic.client import calling
from tests.traffic.lab import PATIENCE, URL, Lab, Reply

pytestmark = pytest.mark.long

EAST, WEST = "spiffe://east.local/ns/httpbin/sa/httpbin", "spiffe://west.local/ns/httpbin/sa/httpbin"
HOST = "httpbin.httpbin.svc.cluster.local"
LOCAL_PODS = 2
CALLS = 60
"""At equal shares the chance that one of three endpoints gets none of them is (2/3)^60, less than 1 in 10^10."""

ANSWERED, NOT_CONNECTED = "rq_success", "cx_connect_fail"
NO_CONNECTION = "upstream connect error or disconnect/reset before headers"
"""How a proxy begins to say that a connection failed, in its own answer 503."""

Note = Callable[[str, object], None]


@pytest.fixture(scope="module")
def joined(brought_up: Lab) -> Iterator[Lab]:
    """The lab with pods of httpbin in east too, and west's instance beside them."""
    committed = brought_up.checkout.declared()
    as_local(brought_up)
    yield brought_up
    brought_up.restore(committed)


@pytest.fixture
def local(joined: Lab) -> Iterator[Lab]:
    """The same; a test that changes what it declares finds it, and leaves it, as it was."""
    declared = joined.checkout.declared()
    yield joined
    if joined.checkout.declared() != declared:
        joined.restore(declared)


def as_local(lab: Lab) -> None:
    with lab.edited() as federation:
        workloads = federation["workloads"]
        assert isinstance(workloads, list)
        link(federation)["as"] = "local"
        workloads.append({"cluster": "east", "sample": "httpbin", "replicas": LOCAL_PODS})
    lab.checkout.up()


def link(federation: dict[str, object]) -> dict[str, object]:
    """The one import that the stack declares."""
    imports = federation["imports"]
    assert isinstance(imports, list)
    [only] = imports
    assert isinstance(only, dict)
    return only


def change(lab: Lab, **settings: object) -> None:
    """Give the import further settings, and apply them."""
    with lab.edited() as federation:
        link(federation).update(settings)
    lab.checkout.up()


def servers(replies: list[Reply]) -> Counter[str]:
    """Count the answers by the server's identity; what was no answer, by its status."""
    return Counter(reply.identities["By"] if reply.status == 200 else str(reply.status) for reply in replies)


def asked(lab: Lab, count: int = CALLS) -> Counter[str]:
    return servers(lab.calls("east", "sleep", count))


def answered_by(lab: Lab, servers: set[str]) -> bool:
    """Say whether these and no others answer."""
    return set(asked(lab)) == servers


def by_endpoint(lab: Lab, counter: str) -> dict[str, int]:
    """One of Envoy's counters for each endpoint of httpbin, as the caller's proxy has it."""
    pod = ["exec", "--namespace=sleep", "deployment/sleep", "-c", "istio-proxy", "--"]
    told = json.loads(lab.ask("east", *pod, "pilot-agent", "request", "GET", "clusters?format=json"))
    [httpbin] = [each for each in told["cluster_statuses"] if each["name"].startswith("outbound|8000||httpbin.")]
    hosts = httpbin.get("host_statuses", [])
    return {host["address"]["socket_address"]["address"]: value(host["stats"], counter) for host in hosts}


def value(stats: list[dict[str, str]], counter: str) -> int:
    """Envoy leaves out a value of 0."""
    return next(int(stat.get("value", 0)) for stat in stats if stat["name"] == counter)


def answers_by_pod(lab: Lab, cluster: str, count: int) -> Counter[str]:
    """Call from east, and count which pods of a cluster answered: httpbin logs every call that it answers."""
    mark = uuid4().hex
    replies = lab.calls("east", "sleep", count, f"{URL}/anything/{mark}")
    assert [reply.status for reply in replies] == [200] * count, [each for each in replies if each.status != 200]
    logs = ["logs", "--namespace=httpbin", "--selector=app=httpbin", "-c", "httpbin", "--prefix", "--tail=-1"]
    return Counter(line.split()[0] for line in lab.ask(cluster, *logs).splitlines() if mark in line)


@contextmanager
def scaled(lab: Lab, cluster: str, replicas: int) -> Iterator[None]:
    """Scale httpbin by hand, and back."""
    declared = lab.ask(
        cluster, "get", "deployment/httpbin", "--namespace=httpbin", "--output=jsonpath={.spec.replicas}"
    )
    lab.scaled(cluster, "httpbin", "httpbin", replicas)
    try:
        yield
    finally:
        lab.scaled(cluster, "httpbin", "httpbin", int(declared))


def seconds_until(happens: Callable[[], bool]) -> float:
    begun = time.monotonic()
    eventually(happens, PATIENCE)
    return round(time.monotonic() - begun, 1)


def test_callers_have_the_local_pods_and_one_remote_endpoint_and_all_of_them_answer(local: Lab) -> None:
    eventually(lambda: len(by_endpoint(local, ANSWERED)) == LOCAL_PODS + 1, PATIENCE)
    before = by_endpoint(local, ANSWERED)
    assert local.gateway("west") in before
    assert {reply.status for reply in local.calls("east", "sleep", CALLS)} == {200}
    after = by_endpoint(local, ANSWERED)
    assert set(after) == set(before)
    assert all(after[address] > before[address] for address in after), (before, after)


def test_local_and_remote_instances_answer_under_their_own_identities(local: Lab) -> None:
    assert set(asked(local)) == {EAST, WEST}


def test_a_remote_instance_whose_identity_is_not_pinned_serves_nobody_until_up_repairs_it(local: Lab) -> None:
    rule = ["destinationrules.networking.istio.io", "import-httpbin-httpbin", "--namespace=sleep"]
    path = "--output=jsonpath={.spec.trafficPolicy.tls.subjectAltNames}"
    assert json.loads(local.ask("east", "get", *rule, path)) == [EAST, WEST]
    pin = {"spec": {"trafficPolicy": {"tls": {"subjectAltNames": [EAST]}}}}
    try:
        local.ask("east", "patch", *rule, "--type=merge", f"--patch={json.dumps(pin)}")
        eventually(lambda: WEST not in asked(local), PATIENCE)
        gateway = local.gateway("west")
        refused = by_endpoint(local, NOT_CONNECTED)[gateway]
        assert WEST not in asked(local)
        assert by_endpoint(local, NOT_CONNECTED)[gateway] > refused
    finally:
        local.checkout.up("--refresh")
    eventually(lambda: set(asked(local)) == {EAST, WEST}, PATIENCE)


def test_a_caller_that_the_export_does_not_name_is_served_by_the_local_pods_alone(local: Lab) -> None:
    """West's pods refuse this caller before policies, at TLS: only without any pod here is it sent there."""
    assert servers(local.calls("east", "stranger", CALLS)) == {EAST: CALLS}
    with scaled(local, "east", 0):
        eventually(lambda: set(servers(local.calls("east", "stranger", 3))) == {"503"}, PATIENCE)
        [reply] = local.calls("east", "stranger", 1)
        assert reply.body.startswith(NO_CONNECTION)
    eventually(lambda: servers(local.calls("east", "stranger", CALLS)) == {EAST: CALLS}, PATIENCE)


def test_with_failover_remote_instances_stand_in_only_while_no_local_pod_is_there(
    local: Lab, record_property: Note
) -> None:
    change(local, failover={"to": "west"})
    eventually(lambda: asked(local) == {EAST: CALLS}, PATIENCE)
    assert asked(local) == {EAST: CALLS}
    with scaled(local, "east", 0):
        record_property(
            "seconds until the remote instance answers", seconds_until(lambda: asked(local, 5) == {WEST: 5})
        )
    record_property("seconds until the local pods answer again", seconds_until(lambda: asked(local, 5) == {EAST: 5}))
    assert asked(local) == {EAST: CALLS}


def test_a_weight_is_the_share_of_calls_that_leave_the_cluster(local: Lab, record_property: Note) -> None:
    """At 30 percent of 600 calls the standard deviation is 1.9 percent at most: 20 to 40 is more than five of them."""
    change(local, weight=30)
    eventually(lambda: asked(local)[WEST] > 0, PATIENCE)
    count = 600
    found = asked(local, count)
    record_property("percent of calls that west answered", round(100 * found[WEST] / count, 1))
    assert set(found) == {EAST, WEST}
    assert 20 < 100 * found[WEST] / count < 40


def test_a_request_a_connection_spreads_calls_over_the_pods_behind_a_gateway(local: Lab, record_property: Note) -> None:
    """Without it callers keep one connection, and with it one pod: what that comes to is noted, not required."""
    # A client beside it, as scaling takes about the 5 s after which httpbin closes idle connections: pitfall 57.
    with calling(local, f"{URL}/headers"), scaled(local, "west", 3):
        record_property("calls by pod of west, connections kept", sorted(answers_by_pod(local, "west", 120).values()))
        change(local, connectionPool={"maxRequestsPerConnection": 1})
        eventually(lambda: len(answers_by_pod(local, "west", CALLS)) > 1, PATIENCE)
        found = answers_by_pod(local, "west", 120)
        record_property("calls by pod of west, a request a connection", sorted(found.values()))
        assert len(found) == 3


def test_remote_instances_are_found_by_their_network_as_well_as_by_an_address(local: Lab) -> None:
    change(local, api="gateway")
    entry = ["get", "workloadentries.networking.istio.io", "--namespace=httpbin", "import-httpbin-httpbin-west"]
    assert local.ask("east", *entry, "--output=jsonpath={.spec.address}") == ""
    eventually(partial(answered_by, local, {EAST, WEST}), PATIENCE)
    assert {reply.status for reply in local.calls("east", "sleep", CALLS)} == {200}


def test_an_import_changes_between_local_and_remote_in_one_up_and_its_host_never_has_two_owners(
    local: Lab, record_property: Note
) -> None:
    joined = local.checkout.declared()
    with local.edited() as federation:
        link(federation)["as"] = "remote"
        workloads = federation["workloads"]
        assert isinstance(workloads, list)
        federation["workloads"] = [each for each in workloads if "replicas" not in each]
    remote = local.checkout.declared()
    for mode, declared, servers in (("remote", remote, {WEST}), ("local", joined, {EAST, WEST})):
        local.checkout.declare(declared)
        with watching(local.checkout, "east", HOST) as owned, calling(local, f"{URL}/headers") as client:
            local.checkout.up()
        record_property(f"calls while the import becomes {mode}, by status", dict(client.statuses))
        assert most_at_once(owned) == 1
        eventually(partial(answered_by, local, servers), PATIENCE)
        assert {reply.status for reply in local.calls("east", "sleep", CALLS)} == {200}
