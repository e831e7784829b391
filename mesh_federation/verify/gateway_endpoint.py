"""What a cluster's gateway shows to somebody who stands outside all clusters, as this machine does.

A proxy asks a gateway for a service by TLS server name and ALPN; asked in the same way, the gateway passes the
connection on, and the service's own proxy shows its certificate before it asks for one. What is not offered is reset
before that. Source: Istio's SNI-DNAT (auto passthrough) and walk-through pitfalls 10 and 33.
"""

import http.client
import os
import socket
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cryptography import x509

from mesh_federation.plan import gateway_addresses
from mesh_federation.verify.certificates import Identity, pem
from mesh_federation.verify.verdict import Inconclusive

SECONDS = 5
"""For a connection, and for each answer on it."""
ALPN = "istio"
NO_HTTP = -1
"""Instead of a status: a policy ends a connection at once, and whoever lets it live has let the caller through."""


@dataclass(frozen=True)
class GatewayEndpoint:
    """A gateway as it is reached from outside.

    Attributes:
        cluster: whose.
        address: IP address or host name.
        port: of its auto-passthrough listener.
    """

    cluster: str
    address: str
    port: int

    def __str__(self) -> str:
        """Write it as people do."""
        return gateway_addresses.with_port(self.address, self.port)


@dataclass(frozen=True)
class Asked:
    """A service, as proxies ask a gateway for it.

    Attributes:
        host: its name.
        port: its port.
    """

    host: str
    port: int

    @property
    def server_name(self) -> str:
        """The name in TLS."""
        return f"outbound_.{self.port}_._.{self.host}"

    def __str__(self) -> str:
        """Write it as people do."""
        return f"{self.host}:{self.port}"


def connects(door: GatewayEndpoint) -> str:
    """Say why a gateway cannot be reached from this machine; empty where it can."""
    try:
        socket.create_connection((door.address, door.port), timeout=SECONDS).close()
    except OSError as error:
        return _reason(error)
    return ""


def ready(door: GatewayEndpoint) -> str:
    """Say why a gateway's status port does not call it ready; empty where it does."""
    connection = http.client.HTTPConnection(door.address, 15021, timeout=SECONDS)
    try:
        connection.request("GET", "/healthz/ready")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return _reason(error)
    finally:
        connection.close()
    return "" if status == 200 else f"it answers {status}"


def shown(door: GatewayEndpoint, asked: Asked) -> x509.Certificate | None:
    """Return the certificate that is shown to who asks for a service; None where there is none.

    Raises:
        Unseen: the gateway cannot be reached at all.
    """
    with _connected(door) as plain:
        try:
            with _context().wrap_socket(plain, server_hostname=asked.server_name) as secured:
                der = secured.getpeercert(binary_form=True)
        except OSError:
            return None
    return x509.load_der_x509_certificate(der) if der else None


def leads_to(door: GatewayEndpoint, asked: Asked, roots: Sequence[x509.Certificate]) -> str:
    """Say why the chain that a service shows does not lead to one of some roots, by OpenSSL; empty where it does.

    Raises:
        Unseen: the gateway cannot be reached at all.
    """
    context = _context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=pem(*roots).decode())
    with _connected(door) as plain:
        try:
            context.wrap_socket(plain, server_hostname=asked.server_name).close()
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        except OSError as error:
            return _reason(error)
    return ""


@dataclass(frozen=True)
class Answer:
    """What came of a request with a certificate of one's own.

    Attributes:
        status: of HTTP; 0 when the connection was ended instead; below 0 when it was let through, and no HTTP came.
        said: the answer's first line, or why the connection ended.
    """

    status: int
    said: str

    @property
    def is_refused(self) -> bool:
        """Say whether the service turned the caller away, by its policy or by not accepting the certificate."""
        return self.status in (0, 403)

    @property
    def is_answer(self) -> bool:
        """Say whether the service answered, with whatever it had to say."""
        return self.status > 0 and not self.is_refused

    @property
    def told(self) -> str:
        """What came, in a line."""
        return f"is answered with {self.status}" if self.status > 0 else f"gets through: {self.said}"


def request(door: GatewayEndpoint, asked: Asked, caller: Identity) -> Answer:
    """Call a service of HTTP through a gateway under an identity.

    Raises:
        Unseen: the gateway cannot be reached at all.
    """
    context = _context()
    with _as_files(caller) as (chain, key):
        context.load_cert_chain(chain, key)
    with _connected(door) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=asked.server_name) as secured:
                return _spoken(secured, asked)
        except TimeoutError as error:
            return Answer(NO_HTTP, _reason(error))
        except OSError as error:
            return Answer(0, _reason(error))
        except http.client.HTTPException:
            return Answer(NO_HTTP, "something answers that is no HTTP")


def _spoken(secured: ssl.SSLSocket, asked: Asked) -> Answer:
    connection = http.client.HTTPConnection(asked.host, asked.port)
    connection.sock = secured
    connection.request("GET", "/headers", headers={"Host": str(asked), "Connection": "close"})
    answer = connection.getresponse()
    first = answer.read(200).decode(errors="replace").strip().splitlines()
    return Answer(answer.status, first[0] if first else "")


def _context() -> ssl.SSLContext:
    """Return settings under which whatever certificate is shown can be read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([ALPN])
    return context


@contextmanager
def _connected(door: GatewayEndpoint) -> Iterator[socket.socket]:
    try:
        plain = socket.create_connection((door.address, door.port), timeout=SECONDS)
    except OSError as error:
        raise Inconclusive(
            f"the gateway of {door.cluster} cannot be reached at {door}: {_reason(error)}",
            "run it where the gateway's address is reachable, and see the check gateways.reachable",
        ) from None
    with plain:
        yield plain


@contextmanager
def _as_files(caller: Identity) -> Iterator[tuple[str, str]]:
    """Put a certificate and its key where OpenSSL takes them from: a folder of the owner's, gone right after."""
    with tempfile.TemporaryDirectory() as folder:
        names = os.path.join(folder, "chain"), os.path.join(folder, "key")
        for name, content in zip(names, (caller.chain, caller.key), strict=True):
            with os.fdopen(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
        yield names


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {SECONDS} s"
    if isinstance(error, (ssl.SSLEOFError, ConnectionResetError, BrokenPipeError)):
        return "the connection was ended"
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return str(reason or error or type(error).__name__).lower().replace("_", " ")
