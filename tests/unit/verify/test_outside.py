"""What a gateway shows to somebody outside, over real TLS: certificates are read, followed, and lent."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mesh_federation.verify import gateway_endpoint
from mesh_federation.verify.certificates import identities, issue, stranger
from mesh_federation.verify.gateway_endpoint import Asked, GatewayEndpoint, connects, leads_to, ready, request, shown
from mesh_federation.verify.verdict import Inconclusive
from tests.authorities import authority
from tests.unit.verify.gateway import gateway, service
from tests.unit.verify.stage import intermediate, root

SERVER = "spiffe://west.local/ns/httpbin/sa/httpbin"
CALLER = "spiffe://east.local/ns/sleep/sa/sleep"
HTTPBIN = Asked("httpbin.httpbin.svc.cluster.local", 8000)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[GatewayEndpoint]:
    with gateway(service(intermediate("west"), SERVER, HTTPBIN.server_name, (CALLER,)), tmp_path) as made:
        yield made


def test_a_service_that_is_offered_shows_its_identity(door: GatewayEndpoint) -> None:
    certificate = shown(door, HTTPBIN)
    assert certificate is not None
    assert identities(certificate) == [SERVER]


@pytest.mark.parametrize("other", [Asked(HTTPBIN.host, 8001), Asked("other.httpbin.svc.cluster.local", 8000)])
def test_what_is_not_offered_shows_nothing(door: GatewayEndpoint, other: Asked) -> None:
    assert shown(door, other) is None


def test_a_chain_is_followed_to_the_root_that_it_must_lead_to(door: GatewayEndpoint) -> None:
    assert leads_to(door, HTTPBIN, root().chain) == ""
    assert "self-signed certificate in certificate chain" in leads_to(door, HTTPBIN, authority("another root CA").chain)


def test_a_lent_identity_is_answered_where_it_is_admitted_and_refused_where_not(door: GatewayEndpoint) -> None:
    signer = intermediate("east")
    assert request(door, HTTPBIN, issue(signer, CALLER)).status == 200
    refused = request(door, HTTPBIN, issue(signer, "spiffe://east.local/ns/sleep/sa/other"))
    assert (refused.status, refused.said, refused.is_refused) == (403, "RBAC: access denied", True)


def test_a_certificate_of_an_unknown_root_ends_the_connection(door: GatewayEndpoint) -> None:
    answer = request(door, HTTPBIN, issue(stranger(), CALLER))
    assert (answer.status, answer.is_refused) == (0, True)
    assert "unknown ca" in answer.said or answer.said == "the connection was ended"


@pytest.mark.parametrize("said", [b"-ERR unknown command\r\n", b""], ids=["another-protocol", "silence"])
def test_who_neither_ends_the_connection_nor_speaks_http_has_let_the_caller_through(
    said: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_endpoint, "SECONDS", 0.3)
    spoken = replace(service(intermediate("west"), SERVER, HTTPBIN.server_name, ()), said=said)
    with gateway(spoken, tmp_path) as made:
        answer = request(made, HTTPBIN, issue(intermediate("east"), CALLER))
    assert (answer.status, answer.is_refused, answer.is_answer) == (gateway_endpoint.NO_HTTP, False, False)
    assert answer.told.startswith("gets through: ")


def test_a_gateway_that_cannot_be_reached_is_no_refusal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        free = listening.getsockname()[1]
    nowhere = GatewayEndpoint("west", "127.0.0.1", free)
    assert connects(nowhere) == "connection refused"
    assert ready(nowhere) != ""
    for look in (
        lambda: shown(nowhere, HTTPBIN),
        lambda: leads_to(nowhere, HTTPBIN, root().chain),
        lambda: request(nowhere, HTTPBIN, issue(stranger(), CALLER)),
    ):
        with pytest.raises(Inconclusive, match="the gateway of west cannot be reached"):
            look()


def test_a_key_never_shows_when_an_identity_is_printed() -> None:
    lent = issue(intermediate("east"), CALLER)
    assert repr(lent) == f"Identity({CALLER})"
    assert "PRIVATE" not in repr(intermediate("east"))
