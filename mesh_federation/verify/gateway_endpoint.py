"""A cluster's gateway as this machine, which is outside all clusters, reaches it.

Proxies request a service from a gateway by TLS server name and ALPN. For the same request the gateway forwards this
machine's connection, and the service's proxy presents its certificate before it requires one. The gateway resets
connections to services that it does not serve. Source: Istio's SNI-DNAT (auto passthrough) and pitfalls 10 and 33.
"""

import http.client
import os
import socket
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from cryptography import x509

from mesh_federation.clusters.provider import Connect, connect_directly
from mesh_federation.plan import gateway_addresses
from mesh_federation.plan.istio_api import server_name
from mesh_federation.verify.certificates import Identity, pem
from mesh_federation.verify.verdict import Inconclusive

SECONDS = 5
"""Time limit for a connection, and for each response."""
ALPN = "istio"
NO_HTTP = -1
"""Status of a connection that stays open without HTTP: a policy that refuses the caller would have closed it."""


@dataclass(frozen=True)
class GatewayEndpoint:
    """One address of a gateway.

    Attributes:
        cluster: the cluster's logical name.
        address: IP address or host name.
        port: port of its auto-passthrough listener.
        connect: how this machine connects to it.
    """

    cluster: str
    address: str
    port: int
    connect: Connect = field(default=connect_directly, compare=False)

    def __str__(self) -> str:
        """Return address and port as text."""
        return gateway_addresses.with_port(self.address, self.port)


@dataclass(frozen=True)
class ServiceAddress:
    """A service as proxies request it from a gateway.

    Attributes:
        host: host name.
        port: port number.
    """

    host: str
    port: int

    @property
    def server_name(self) -> str:
        """The TLS server name (SNI)."""
        return server_name(self.host, self.port)

    def __str__(self) -> str:
        """Return address and port as text."""
        return f"{self.host}:{self.port}"


def connection_error(endpoint: GatewayEndpoint) -> str:
    """Return why this machine cannot connect to a gateway; empty if it can."""
    try:
        endpoint.connect(endpoint.address, endpoint.port, SECONDS).close()
    except OSError as error:
        return _reason(error)
    return ""


def readiness_error(endpoint: GatewayEndpoint) -> str:
    """Return why a gateway's status port does not report it ready; empty if it does."""
    connection = http.client.HTTPConnection(endpoint.address, 15021, timeout=SECONDS)
    try:
        connection.sock = endpoint.connect(endpoint.address, 15021, SECONDS)
        connection.request("GET", "/healthz/ready")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return _reason(error)
    finally:
        connection.close()
    return "" if status == 200 else f"its status is {status}"


def presented_certificate(endpoint: GatewayEndpoint, service: ServiceAddress) -> x509.Certificate | None:
    """Return the certificate that a service presents at a gateway; None if the gateway does not serve it.

    Raises:
        Inconclusive: the gateway cannot be reached at all.
    """
    with _connected(endpoint) as plain:
        try:
            with _context().wrap_socket(plain, server_hostname=service.server_name) as secured:
                der = secured.getpeercert(binary_form=True)
        except OSError:
            return None
    return x509.load_der_x509_certificate(der) if der else None


def chain_error(endpoint: GatewayEndpoint, service: ServiceAddress, roots: Sequence[x509.Certificate]) -> str:
    """Return why OpenSSL does not accept a service's certificate chain under some roots; empty if it does.

    Raises:
        Inconclusive: the gateway cannot be reached at all.
    """
    context = _context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=pem(*roots).decode())
    with _connected(endpoint) as plain:
        try:
            context.wrap_socket(plain, server_hostname=service.server_name).close()
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        except OSError as error:
            return _reason(error)
    return ""


@dataclass(frozen=True)
class GatewayResponse:
    """The result of a request with a client certificate.

    Attributes:
        status: HTTP status; 0 if the connection was closed; NO_HTTP if it stayed open without an HTTP response.
        detail: the first line of the body, or why the connection was closed.
    """

    status: int
    detail: str

    @property
    def is_refused(self) -> bool:
        """Whether the service refused the caller, by its policy or by rejecting the certificate."""
        return self.status in (0, 403)

    @property
    def is_admitted(self) -> bool:
        """Whether the service responded to the caller, with any status but 403."""
        return self.status > 0 and not self.is_refused

    @property
    def description(self) -> str:
        """The result in one line, after the caller's name."""
        return f"gets status {self.status}" if self.status > 0 else f"gets through: {self.detail}"


def request(endpoint: GatewayEndpoint, service: ServiceAddress, caller: Identity) -> GatewayResponse:
    """Send an HTTP request to a service through a gateway, under an identity.

    Raises:
        Inconclusive: the gateway cannot be reached at all.
    """
    context = _context()
    with _as_files(caller) as (chain, key):
        context.load_cert_chain(chain, key)
    with _connected(endpoint) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=service.server_name) as secured:
                return _exchange(secured, service)
        except TimeoutError as error:
            return GatewayResponse(NO_HTTP, _reason(error))
        except OSError as error:
            return GatewayResponse(0, _reason(error))
        except http.client.HTTPException:
            return GatewayResponse(NO_HTTP, "the response is not HTTP")


def _exchange(secured: ssl.SSLSocket, service: ServiceAddress) -> GatewayResponse:
    connection = http.client.HTTPConnection(service.host, service.port)
    connection.sock = secured
    connection.request("GET", "/headers", headers={"Host": str(service), "Connection": "close"})
    response = connection.getresponse()
    first = response.read(200).decode(errors="replace").strip().splitlines()
    return GatewayResponse(response.status, first[0] if first else "")


def _context() -> ssl.SSLContext:
    """Return TLS settings that accept every certificate, so that it can be examined."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([ALPN])
    return context


@contextmanager
def _connected(endpoint: GatewayEndpoint) -> Iterator[socket.socket]:
    try:
        plain = endpoint.connect(endpoint.address, endpoint.port, SECONDS)
    except OSError as error:
        raise Inconclusive(
            f"the gateway of {endpoint.cluster} cannot be reached at {endpoint}: {_reason(error)}",
            "run mesh verify where the gateway's address is reachable, and see the check gateways.reachable",
        ) from None
    with plain:
        yield plain


@contextmanager
def _as_files(caller: Identity) -> Iterator[tuple[str, str]]:
    """Write a certificate and its key to files of mode 0600 for OpenSSL, and delete them afterwards."""
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
        return "the connection was closed"
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return str(reason or error or type(error).__name__).lower().replace("_", " ")
