"""Other roots on clusters that run: nobody loses a call, no cluster is replaced, nothing starts anew without need."""

from collections.abc import Callable
from functools import partial

import pytest

from tests.checkout import eventually
from tests.rotation import PHASES, declare, rotating
from tests.traffic.client import lasting
from tests.traffic.lab import PATIENCE, URL, Lab
from tests.traffic.verified import green

pytestmark = pytest.mark.long

Note = Callable[[str, object], None]

CONCERNED = {"istiod", "istio-eastwestgateway", "sleep", "httpbin"}
"""Deployments whose pods hold certificates of the mesh."""


def deployment(pod: str) -> str:
    """Name of the Deployment of a pod, namespace/name."""
    return pod.partition("/")[2].rsplit("-", 2)[0]


def settled(lab: Lab, cluster: str, count: int) -> dict[str, str]:
    """Pods of a cluster once those that were replaced are gone."""
    eventually(lambda: len(lab.pods(cluster)) == count)
    return lab.pods(cluster)


@pytest.fixture
def standing(lab: Lab) -> dict[str, str]:
    """Real names of the clusters."""
    return {cluster: lab.checkout.real_name(cluster) for cluster in ("east", "west")}


def test_a_caller_that_does_not_stop_loses_no_call_while_roots_change_there_and_back(
    lab: Lab, standing: dict[str, str], record_property: Note
) -> None:
    for root in ("r2", ""):
        for phase in rotating(lab.checkout, root=root):
            before = {cluster: lab.pods(cluster) for cluster in standing}
            with lasting(lab, f"{URL}/headers") as client:
                lab.checkout.up()
                eventually(partial(lab.settled, "east", "sleep", 200), PATIENCE)
            record_property(f"calls while root {root or 'of before'} is in phase {phase}", dict(client.statuses))
            assert client.failed == [], lab.refused_by_proxy("east", "sleep")
            for cluster, pods in before.items():
                after = settled(lab, cluster, len(pods))
                lasted = {deployment(name) for name, uid in pods.items() if after.get(name) == uid}
                assert lasted & CONCERNED == (CONCERNED & set(map(deployment, pods)) if phase == "done" else set())
                assert set(map(deployment, pods)) - CONCERNED <= lasted
            eventually(partial(green, lab, "--only=trust"), PATIENCE)
    assert {cluster: lab.checkout.real_name(cluster) for cluster in standing} == standing


def test_clusters_do_not_move_on_while_a_workload_would_be_cut_off(lab: Lab) -> None:
    """A workload that is not the stack's keeps its roots until its owner starts it anew."""
    phases = rotating(lab.checkout, root="r3")
    assert next(phases) == PHASES[0]
    own = ["--namespace=sleep", "deployment/own"]
    lab.ask(
        "east",
        "create",
        "deployment",
        "own",
        "--namespace=sleep",
        f"--image={lab.image('sleep')}",
        "--",
        "sleep",
        "infinity",
    )
    lab.ask("east", "rollout", "status", *own, "--timeout=120s", limit="0")
    try:
        lab.checkout.up()
        assert next(phases) == PHASES[1]
        refused = lab.checkout.mesh("up", "--yes", f"--stack={lab.checkout.stack}")
        assert refused.code != 0
        assert "sleep/own-" in refused.text and "does not trust root" in refused.text, refused.text
        assert lab.call("east", "sleep").status == 200
        lab.ask("east", "rollout", "restart", *own)
        lab.ask("east", "rollout", "status", *own, "--timeout=120s", limit="0")
        lab.checkout.up()
    finally:
        lab.ask("east", "delete", "deployment", "own", "--namespace=sleep")
        declare(lab.checkout, {"rotation": {"phase": "add", "root": "r3"}})
        lab.checkout.up()
