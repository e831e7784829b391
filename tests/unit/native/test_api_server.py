"""When a node counts as started: its API server must say that it is ready, over TLS and to a client of the cluster."""

import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mesh_federation.native import api_server
from mesh_federation.native.node_settings import NodeSettings
from mesh_federation.verify.certificates import key_pem, pem

NOT_YET = 3
"""Answers before the one that says ready."""


class StartingApiServer(BaseHTTPRequestHandler):
    """Says 500 at first, as an API server whose hooks have not all come to their end."""

    paths: list[str]

    def do_GET(self) -> None:  # noqa: N802
        """Answer."""
        self.paths.append(self.path)
        self.send_response(500 if len(self.paths) <= NOT_YET else 200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def settings(tmp_path: Path) -> NodeSettings:
    """A node with certificates."""
    node = NodeSettings("east-1", str(tmp_path), "", "", "10.0.0.0/24", "", "", "", "", "")
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kwok")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now.replace(year=2099))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    node.pki.mkdir(parents=True)
    for file, content in (("ca.crt", pem(certificate)), ("admin.crt", pem(certificate)), ("admin.key", key_pem(key))):
        (node.pki / file).write_bytes(content)
    return node


@pytest.fixture
def paths(settings: NodeSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a starting API server is asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings.pki / "admin.crt", settings.pki / "admin.key")
    context.load_verify_locations(settings.pki / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    asked: list[str] = []
    handler = type("Handler", (StartingApiServer,), {"paths": asked})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(api_server, "API_PORT", server.server_port)
        monkeypatch.setattr(api_server, "PAUSE", 0)
        yield asked
        server.shutdown()


def test_an_api_server_is_waited_for_until_it_says_that_it_is_ready(settings: NodeSettings, paths: list[str]) -> None:
    api_server.wait_until_ready(settings)
    assert paths == [api_server.READY] * (NOT_YET + 1)


def test_an_api_server_that_never_answers_is_left_to_whoever_needs_it(
    settings: NodeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_server, "API_PORT", 1)
    monkeypatch.setattr(api_server, "SECONDS", 0.2)
    api_server.wait_until_ready(settings)
