"""Faults under a federation that runs: what people are told, and what puts it right."""

import json
from collections.abc import Iterator
from functools import partial

import pytest

from mesh_federation.verify.troubleshooting import REPAIRS, STARTS
from tests.checkout import Result, eventually
from tests.traffic.containers import SQUATTER, as_containers
from tests.traffic.lab import PATIENCE, Lab

pytestmark = pytest.mark.long


@pytest.fixture
def whole(lab: Lab) -> Iterator[Lab]:
    """The lab, all pods ready; what a test that failed left broken is mended for the next one."""
    for cluster in ("east", "west"):
        eventually(partial(all_ready, lab, cluster), PATIENCE)
    yield lab
    if called(lab).code:
        lab.checkout.up("--refresh")


def called(lab: Lab) -> Result:
    """What people see who call across the meshes; it takes a minute to give up."""
    return lab.checkout.mesh("call", f"--stack={lab.checkout.stack}")


def assert_answered(lab: Lab) -> None:
    done = called(lab)
    assert done.code == 0, done.text


def assert_told(lab: Lab, *words: str) -> None:
    """Calls fail, and the complaint has these words."""
    done = called(lab)
    assert done.code == 1, done.text
    assert all(word in done.text for word in words), done.text


def pods_ready(lab: Lab, cluster: str, deployment: str) -> bool:
    """Say whether a Deployment of Istio's has all its pods."""
    path = "--output=jsonpath={.status.readyReplicas}/{.spec.replicas} {.status.unavailableReplicas}"
    have, _, missing = lab.ask(cluster, "get", f"deployment/{deployment}", "--namespace=istio-system", path).partition(
        " "
    )
    ready, _, wanted = have.partition("/")
    return ready == wanted and not missing


def all_ready(lab: Lab, cluster: str) -> bool:
    """Say whether a cluster got over the fault before: a refresh shows a pod that is not ready as a change to make."""
    items = json.loads(lab.ask(cluster, "get", "pods", "--all-namespaces", "--output=json"))["items"]
    told = [{each["type"]: each["status"] for each in item["status"].get("conditions", [])} for item in items]
    return all(conditions.get("Ready") == "True" for conditions in told)


def lose_pods(lab: Lab, cluster: str, deployment: str) -> None:
    """Kill a Deployment's pods without a word of warning."""
    of_it = [f"--selector=app={deployment}", "--namespace=istio-system"]
    lab.ask(cluster, "delete", "pods", *of_it, "--force", "--grace-period=0")


def test_calls_go_on_while_istiod_is_killed(whole: Lab) -> None:
    for cluster in ("east", "west"):
        lose_pods(whole, cluster, "istiod")
    assert [reply.status for reply in whole.calls("east", "sleep", 20)] == [200] * 20
    for cluster in ("east", "west"):
        eventually(partial(pods_ready, whole, cluster, "istiod"), PATIENCE)
    assert_answered(whole)


def test_an_istiod_that_somebody_removed_is_shown_alone_and_put_back(whole: Lab) -> None:
    whole.ask("east", "delete", "deployment/istiod", "--namespace=istio-system")
    assert whole.changes("--refresh") == {"east:istio-system/istiod": "create"}
    whole.checkout.up("--refresh")
    assert pods_ready(whole, "east", "istiod")
    assert_answered(whole)


def test_a_gateway_whose_pod_is_killed_comes_back_under_its_address(whole: Lab) -> None:
    before = whole.checkout.gateway_address("west")
    lose_pods(whole, "west", "istio-eastwestgateway")
    eventually(lambda: pods_ready(whole, "west", "istio-eastwestgateway"), PATIENCE)
    assert_answered(whole)
    assert whole.checkout.gateway_address("west") == before


def test_a_gateway_that_somebody_removed_is_told_by_a_call_and_put_back(whole: Lab) -> None:
    gateway = ["deployment/istio-eastwestgateway", "--namespace=istio-system", "--cascade=foreground"]
    whole.ask("west", "delete", *gateway, limit="0")  # its pods too: they serve while they leave
    assert_told(whole, "east cannot reach the gateway of west", REPAIRS)
    whole.checkout.up("--refresh")
    assert_answered(whole)


def test_a_node_whose_address_another_container_took_says_so_or_lives_with_a_new_one(whole: Lab) -> None:
    """Images of kind settle on another address by themselves; other images cannot."""
    nodes, gateway = as_containers(whole.nodes), whole.checkout.gateway_address("west")
    with nodes.address_taken(nodes.of("west")):
        done = whole.checkout.mesh("up", "--yes", f"--stack={whole.checkout.stack}")
        assert done.code == 0 or f"docker network disconnect {nodes.network} {SQUATTER}" in done.text, done.text
        assert "Traceback" not in done.text
    whole.checkout.up()
    assert_answered(whole)
    assert whole.checkout.gateway_address("west") == gateway


def test_a_node_that_came_up_under_another_address_gets_its_own_back(whole: Lab) -> None:
    nodes = as_containers(whole.nodes)
    made_with = nodes.address(nodes.of("west"))
    with nodes.address_taken(nodes.of("west")):
        pass
    assert nodes.address(nodes.of("west")) != made_with
    whole.checkout.up()
    assert_answered(whole)


def test_after_a_restart_of_what_nodes_run_in_one_up_has_every_node_at_work(whole: Lab) -> None:
    whole.nodes.restart_all()
    done = whole.checkout.up()
    assert set(done.changes()) == {"unchanged"}, done.text
    assert_answered(whole)


def test_a_cluster_that_somebody_removed_is_told_and_made_anew_under_the_same_gateway_address(whole: Lab) -> None:
    gateway = whole.gateway("west")
    whole.nodes.remove(whole.nodes.of("west"))
    assert_told(whole, "east cannot reach the gateway of west", STARTS)
    done = whole.checkout.up()
    assert "is gone: it is recreated" in done.stderr
    assert_answered(whole)
    assert whole.checkout.gateway_address("west") == gateway
    assert set(whole.checkout.up().changes()) == {"unchanged"}


def test_a_caller_whose_cluster_stopped_is_told_so_and_up_starts_it(whole: Lab) -> None:
    whole.nodes.stop(whole.nodes.of("east"))
    assert_told(whole, "cluster east does not answer", STARTS)
    assert "did not run: restarted" in whole.checkout.up().stderr
    assert_answered(whole)


def test_a_node_that_is_cut_off_is_told_by_a_call_and_reconnected(whole: Lab) -> None:
    nodes = as_containers(whole.nodes)
    nodes.cut_off(nodes.of("west"))
    assert_told(whole, "east cannot reach the gateway of west", "reconnects them")
    assert f"was cut off from Docker network {nodes.network}" in whole.checkout.up().stderr
    assert_answered(whole)


def test_a_firewall_between_nodes_is_told_by_a_call_and_needs_no_up_once_it_is_gone(whole: Lab) -> None:
    with whole.nodes.dropping(whole.nodes.of("west"), whole.node_address("east")):
        assert_told(whole, "east cannot reach the gateway of west", "look for a firewall between their nodes")
    assert_answered(whole)
