"""Which Service gets which address of a pool."""

from collections.abc import Mapping
from ipaddress import IPv4Network

import pytest

from mesh_federation.native import load_balancer
from mesh_federation.native.api_object import ApiObject
from mesh_federation.native.load_balancer import REQUESTED, PoolBalancer

POOL = IPv4Network("172.30.128.0/30")
FIRST, SECOND = "172.30.128.1", "172.30.128.2"


class FakeNode:
    """A node that notes for which addresses it answers, and an API server that notes what it is told."""

    def __init__(self) -> None:
        self.addresses: set[str] = set()
        self.told: dict[str, object] = {}

    def patch(self, path: str, body: Mapping[str, object]) -> None:
        self.told[path.split("/")[-2]] = body["status"]["loadBalancer"]["ingress"]  # type: ignore[index]


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    made = FakeNode()
    monkeypatch.setattr(load_balancer.network, "accept", made.addresses.add)
    monkeypatch.setattr(load_balancer.network, "release", made.addresses.remove)
    return made
