"""A gateway on this machine: asked by the right name it shows a service, which turns callers away or answers them."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mesh_federation.verify.certificates import Identity, Signer, issue, pem
from mesh_federation.verify.gateway_endpoint import ALPN, GatewayEndpoint


@dataclass
class Service:
    """What stands behind it.

    Attributes:
        identity: its certificate.
        trusts: who may have issued its callers' certificates.
        server_name: by which it is asked for.
        admits: identities that are answered with 200; others with 403.
        said: what it says to everybody instead, as it speaks no HTTP; nothing at all where that is empty.
    """

    identity: Identity
    trusts: Signer
    server_name: str
    admits: tuple[str, ...]
    said: bytes | None = None


@contextmanager
def gateway(service: Service, folder: Path) -> Iterator[GatewayEndpoint]:
    """Run it until the block ends."""
    context = _context(service, folder)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_serve, args=(listening, context, service), daemon=True)
        thread.start()
        yield GatewayEndpoint("west", "127.0.0.1", listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _context(service: Service, folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (folder / "chain").write_bytes(service.identity.chain)
    (folder / "key").write_bytes(service.identity.key)
    context.load_cert_chain(folder / "chain", folder / "key")
    context.load_verify_locations(cadata=pem(service.trusts.chain[-1]).decode())
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols([ALPN])

    def by_name(secured: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
        return None if name == service.server_name else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    context.sni_callback = by_name
    return context


def _serve(listening: socket.socket, context: ssl.SSLContext, service: Service) -> None:
    with suppress(OSError):
        while True:
            plain, _ = listening.accept()
            with plain, suppress(OSError), context.wrap_socket(plain, server_side=True) as secured:
                _answer(secured, service)


def _answer(secured: ssl.SSLSocket, service: Service) -> None:
    names = dict[str, str](secured.getpeercert()["subjectAltName"])  # type: ignore[index,arg-type]
    secured.recv(4096)
    if service.said is not None:
        secured.sendall(service.said)
        secured.recv(4096)  # until the caller leaves
        return
    admitted = names.get("URI") in service.admits
    status, body = ("200 OK", "hello") if admitted else ("403 Forbidden", "RBAC: access denied")
    secured.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())


def service(signer: Signer, uri: str, server_name: str, admits: tuple[str, ...]) -> Service:
    """Describe one whose callers have certificates of the same root."""
    return Service(issue(signer, uri), signer, server_name, admits)
