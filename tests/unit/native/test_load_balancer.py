"""Which Service gets which address of a pool."""

from collections.abc import Mapping
from ipaddress import IPv4Network

import pytest

from mesh_federation.native import network
from mesh_federation.native.api_client import ApiClient, ApiError, Listing, ObjectChange
from mesh_federation.native.api_object import ApiObject
from mesh_federation.native.load_balancer import REQUESTED, ServiceLoadBalancer

POOL = IPv4Network("172.30.128.0/30")
FIRST, SECOND = "172.30.128.1", "172.30.128.2"


class FakeNode(ApiClient):
    """A node that notes for which addresses it answers, and an API server that notes what it is told."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.addresses: set[str] = set()
        self.told: dict[str, list[object]] = {}

    def patch(self, path: str, body: Mapping[str, object], kind: str = "") -> ApiObject:
        """Note the addresses of a Service."""
        ingress = ApiObject(body).child("status").child("loadBalancer").children("ingress")
        self.told[path.split("/")[-2]] = [each.text("ip") for each in ingress]
        return ApiObject({})


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    made = FakeNode()
    monkeypatch.setattr(network, "accept", made.addresses.add)
    monkeypatch.setattr(network, "release", made.addresses.remove)
    return made


@pytest.fixture
def balancer(node: FakeNode) -> ServiceLoadBalancer:
    return ServiceLoadBalancer(node, POOL)


def service(name: str, asks: str = "", has: str = "", kind: str = "LoadBalancer", of: str = "") -> ApiObject:
    metadata = {"name": name, "namespace": "n", "uid": name, "annotations": {REQUESTED: asks} if asks else {}}
    spec = {"type": kind, **({"loadBalancerClass": of} if of else {})}
    return ApiObject({
        "metadata": metadata, "spec": spec, "status": {"loadBalancer": {"ingress": [{"ip": has}] if has else []}}
    })  # fmt: skip


def came(*services: ApiObject) -> Listing:
    return Listing(services)


def gone(item: ApiObject) -> ObjectChange:
    return ObjectChange(item, deleted=True)


def test_a_service_gets_the_address_that_it_asks_for(node: FakeNode, balancer: ServiceLoadBalancer) -> None:
    balancer.act(came(service("a", asks=SECOND)))
    assert (node.told, node.addresses) == ({"a": [SECOND]}, {SECOND})


def test_a_service_that_asks_for_none_gets_the_first_free_one(node: FakeNode, balancer: ServiceLoadBalancer) -> None:
    balancer.act(came(service("a", asks=FIRST), service("b")))
    assert node.told == {"a": [FIRST], "b": [SECOND]}


@pytest.mark.parametrize("asks", ["172.30.129.1", "10.0.0.1", "no address"])
def test_nobody_gets_an_address_outside_of_the_pool(node: FakeNode, balancer: ServiceLoadBalancer, asks: str) -> None:
    balancer.act(came(service("a", asks=asks)))
    assert (node.told, node.addresses) == ({}, set())


def test_an_address_is_not_given_twice(node: FakeNode, balancer: ServiceLoadBalancer) -> None:
    balancer.act(came(service("a", asks=FIRST), service("b", asks=FIRST)))
    assert node.told == {"a": [FIRST]}


def test_an_address_that_becomes_free_goes_to_who_waits_for_it(node: FakeNode, balancer: ServiceLoadBalancer) -> None:
    first = service("a", asks=FIRST)
    balancer.act(came(first, service("b", asks=FIRST)))
    balancer.act(gone(first))
    assert node.told == {"a": [FIRST], "b": [FIRST]} and node.addresses == {FIRST}


def test_who_waits_and_is_deleted_gets_nothing(node: FakeNode, balancer: ServiceLoadBalancer) -> None:
    first, second = service("a", asks=FIRST), service("b", asks=FIRST)
    balancer.act(came(first, second))
    balancer.act(gone(second))
    balancer.act(gone(first))
    assert node.told == {"a": [FIRST]} and node.addresses == set()


def test_after_a_restart_everybody_keeps_the_address_that_it_has(node: FakeNode, balancer: ServiceLoadBalancer) -> None:
    balancer.act(came(service("new"), service("old", has=FIRST)))
    assert node.told == {"new": [SECOND]} and node.addresses == {FIRST, SECOND}


@pytest.mark.parametrize("other", [service("a", kind="ClusterIP"), service("a", of="another/balancer")])
def test_a_service_that_is_no_longer_of_its_kind_loses_its_address(
    node: FakeNode, balancer: ServiceLoadBalancer, other: ApiObject
) -> None:
    balancer.act(came(service("a")))
    balancer.act(ObjectChange(other, deleted=False))
    assert node.addresses == set()


def test_services_that_are_gone_when_the_list_comes_anew_lose_theirs(
    node: FakeNode, balancer: ServiceLoadBalancer
) -> None:
    balancer.act(came(service("a"), service("b")))
    balancer.act(came(service("b", has=SECOND)))
    assert node.addresses == {SECOND}


@pytest.mark.parametrize("error", [ConnectionRefusedError("no"), ApiError(404, "patch", "gone")])
def test_an_api_server_that_does_not_answer_ends_no_load_balancer(
    node: FakeNode, balancer: ServiceLoadBalancer, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(FakeNode, "patch", fail)
        balancer.act(came(service("a")))
    balancer.act(came(service("a")))
    assert node.told == {"a": [FIRST]}
