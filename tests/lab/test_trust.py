"""Another trust model on clusters that run: none is replaced, and what must start anew does, and nothing else."""

from functools import partial

import pytest

from tests.checkout import eventually
from tests.lab.lab import PATIENCE, Lab

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


def test_a_switch_of_the_trust_model_restarts_what_it_concerns_and_nothing_else(
    lab: Lab, standing: dict[str, str]
) -> None:
    for model in ("separate", "common"):
        before = {cluster: lab.pods(cluster) for cluster in standing}
        with lab.edited() as federation:
            federation["trust"] = {"model": model}
        lab.checkout.up()
        assert {cluster: lab.checkout.real_name(cluster) for cluster in standing} == standing
        for cluster, pods in before.items():
            after = settled(lab, cluster, len(pods))
            lasting = {name: uid for name, uid in pods.items() if after.get(name) == uid}
            assert {deployment(name) for name in lasting} & CONCERNED == set()
            assert {name for name in pods if deployment(name) not in CONCERNED} == set(lasting)
        eventually(partial(lab.settled, "east", "sleep", 200), PATIENCE)
