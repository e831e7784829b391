"""What a gateway shows to somebody outside, over real TLS: certificates are read, followed, and lent."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mesh_federation.verify import gateway_endpoint
from mesh_federation.verify.certificates import identities, issue, stranger
from mesh_federation.verify.gateway_endpoint import (
    GatewayEndpoint,
    ServiceAddress,
    chain_error,
    connection_error,
    presented_certificate,
    readiness_error,
    request,
)
from mesh_federation.verify.verdict import Inconclusive
from tests.authorities import authority
from tests.unit.verify.fake_clusters import intermediate, root
from tests.unit.verify.gateway import gateway, service

SERVER = "spiffe://west.local/ns/httpbin/sa/httpbin"
CALLER = "spiffe://east.local/ns/sleep/sa/sleep"
HTTPBIN = ServiceAddress("httpbin.httpbin.svc.cluster.local", 8000)


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[GatewayEndpoint]:
    with gateway(service(intermediate("west"), SERVER, HTTPBIN.server_name, (CALLER,)), tmp_path) as made:
        yield made


def test_a_service_that_is_offered_shows_its_identity(endpoint: GatewayEndpoint) -> None:
    certificate = presented_certificate(endpoint, HTTPBIN)
    assert certificate is not None
    assert identities(certificate) == [SERVER]


@pytest.mark.parametrize(
    "other", [ServiceAddress(HTTPBIN.host, 8001), ServiceAddress("other.httpbin.svc.cluster.local", 8000)]
)
def test_what_is_not_offered_shows_nothing(endpoint: GatewayEndpoint, other: ServiceAddress) -> None:
    assert presented_certificate(endpoint, other) is None


def test_a_chain_is_followed_to_the_root_that_it_must_lead_to(endpoint: GatewayEndpoint) -> None:
    assert chain_error(endpoint, HTTPBIN, root().chain) == ""
    assert "self-signed certificate in certificate chain" in chain_error(
        endpoint, HTTPBIN, authority("another root CA").chain
    )


def test_a_lent_identity_is_answered_where_it_is_admitted_and_refused_where_not(endpoint: GatewayEndpoint) -> None:
    signer = intermediate("east")
    assert request(endpoint, HTTPBIN, issue(signer, CALLER)).status == 200
    refused = request(endpoint, HTTPBIN, issue(signer, "spiffe://east.local/ns/sleep/sa/other"))
    assert (refused.status, refused.detail, refused.is_refused) == (403, "RBAC: access denied", True)


def test_a_certificate_of_an_unknown_root_ends_the_connection(endpoint: GatewayEndpoint) -> None:
    answer = request(endpoint, HTTPBIN, issue(stranger(), CALLER))
    assert (answer.status, answer.is_refused) == (0, True)
    assert "unknown ca" in answer.detail or answer.detail == "the connection was closed"


@pytest.mark.parametrize("said", [b"-ERR unknown command\r\n", b""], ids=["another-protocol", "silence"])
def test_who_neither_ends_the_connection_nor_speaks_http_has_let_the_caller_through(
    said: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_endpoint, "SECONDS", 0.3)
    spoken = replace(service(intermediate("west"), SERVER, HTTPBIN.server_name, ()), said=said)
    with gateway(spoken, tmp_path) as made:
        answer = request(made, HTTPBIN, issue(intermediate("east"), CALLER))
    assert (answer.status, answer.is_refused, answer.is_admitted) == (gateway_endpoint.NO_HTTP, False, False)
    assert answer.description.startswith("gets through: ")


def test_a_gateway_that_cannot_be_reached_is_no_refusal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        free = listening.getsockname()[1]
    nowhere = GatewayEndpoint("west", "127.0.0.1", free)
    assert connection_error(nowhere) == "connection refused"
    assert readiness_error(nowhere) != ""
    for look in (
        lambda: presented_certificate(nowhere, HTTPBIN),
        lambda: chain_error(nowhere, HTTPBIN, root().chain),
        lambda: request(nowhere, HTTPBIN, issue(stranger(), CALLER)),
    ):
        with pytest.raises(Inconclusive, match="the gateway of west cannot be reached"):
            look()


def test_a_key_never_shows_when_an_identity_is_printed() -> None:
    lent = issue(intermediate("east"), CALLER)
    assert repr(lent) == f"Identity({CALLER})"
    assert "PRIVATE" not in repr(intermediate("east"))
