"""MetalLB's objects: the pool that the plan has chosen, and its manifest as this program applies it."""

from ipaddress import IPv4Network

import pytest

from mesh_federation.plan import metallb
from mesh_federation.plan.objects import Body
from tests.unit.plan.model import cluster, planned, tree

DEPLOYMENT: Body = {
    "kind": "Deployment",
    "spec": {"containers": [{"name": "controller", "image": "quay.io/metallb/controller:v1", "args": ["image"]}]},
}


def test_a_pool_holds_exactly_the_clusters_slice_and_no_address_that_breaks_old_clients() -> None:
    body = metallb.pool(IPv4Network("172.30.128.0/22"))
    assert body["spec"] == {"addresses": ["172.30.128.0/22"], "avoidBuggyIPs": True}


def test_the_advertisement_is_of_that_pool_alone() -> None:
    pool = metallb.pool(IPv4Network("172.30.128.0/22"))["metadata"]
    assert isinstance(pool, dict)
    assert metallb.advertisement()["spec"] == {"ipAddressPools": [pool["name"]]}


def test_the_probe_is_no_pool_that_anybody_has() -> None:
    probe, pool = metallb.probe(), metallb.pool(IPv4Network("172.30.128.0/22"))
    assert probe["metadata"] != pool["metadata"]
    assert probe["spec"] == {"addresses": ["192.0.2.1/32"]}


@pytest.mark.parametrize(
    ("hub", "image"),
    [
        (None, "quay.io/metallb/controller:v1"),
        ("mirror.example/metallb", "mirror.example/metallb/controller:v1"),
        ("mirror.example/metallb/", "mirror.example/metallb/controller:v1"),
    ],
)
def test_images_come_from_the_declared_mirror(hub: str | None, image: str) -> None:
    spec = metallb.normalized(DEPLOYMENT, hub)["spec"]
    assert spec == {"containers": [{"name": "controller", "image": image, "args": ["image"]}]}


def test_certificates_that_the_controller_writes_are_left_to_it() -> None:
    """The manifest holds a placeholder, and whoever applies it again takes the webhook's trust away."""
    body = {"webhooks": [{"name": "w", "clientConfig": {"caBundle": "placeholder", "service": {"name": "s"}}}]}
    assert metallb.normalized(body, None) == {"webhooks": [{"name": "w", "clientConfig": {"service": {"name": "s"}}}]}


def test_pods_are_asked_for_their_readiness_at_once_and_for_their_life_as_the_manifest_says() -> None:
    slow = {"httpGet": {"path": "/metrics"}, "initialDelaySeconds": 10, "periodSeconds": 10, "failureThreshold": 3}
    body = {"spec": {"containers": [{"name": "c", "livenessProbe": slow, "readinessProbe": slow}]}}
    early = {**slow, "initialDelaySeconds": 1, "periodSeconds": 1}
    assert metallb.probed_early(body) == {
        "spec": {"containers": [{"name": "c", "livenessProbe": slow, "readinessProbe": early}]}
    }


def test_only_clusters_that_ask_for_metallb_get_it() -> None:
    clusters = {"east": cluster(10, provisioner="kind"), "west": cluster(30, provisioner="kind", loadBalancer="none")}
    assert planned(tree(clusters=clusters), "east").balanced_by_metallb
    assert not planned(tree(clusters=clusters), "west").balanced_by_metallb
