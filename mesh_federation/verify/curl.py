"""HTTP calls from a container of a caller's pod, through the pod's proxy."""

import re
from dataclasses import dataclass

from mesh_federation.plan.imports import ImportPlan
from mesh_federation.stack.config import Port, Protocol
from mesh_federation.verify.proxy import Proxy
from mesh_federation.verify.verdict import NotApplicable
from mesh_federation.verify.xfcc import identities

END, GAP = "\x1e", "\x1f"

_HTTP = (Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC)
_NO_CURL = re.compile(r"executable file not found|no such file or directory|not found in \$PATH", re.IGNORECASE)


@dataclass(frozen=True)
class CurlResponse:
    """The result of one call.

    Attributes:
        status: HTTP status; 0 if there was no response.
        resolved: address that the host name resolved to; empty if it did not resolve.
        error: error message of curl.
        body: body of the response.
    """

    status: int
    resolved: str
    error: str
    body: str

    @property
    def server(self) -> str:
        """Identity of the server, if the service echoes its request headers."""
        return identities(self.body).get("By", "")

    @property
    def caller(self) -> str:
        """Identity of the caller as the server's proxy saw it."""
        return identities(self.body).get("URI", "")

    @property
    def is_from_service(self) -> bool:
        """Whether the response came from a service, whatever its status, and not from a proxy on the way."""
        return self.status not in (0, 403, 502, 503, 504)

    @property
    def failure(self) -> str:
        """What went wrong, in one line."""
        first = self.body.strip().splitlines()[:1]
        return f"{self.status} {' '.join(first)}"[:160] if self.status else self.error or "no answer"


def http_ports(link: ImportPlan) -> list[Port]:
    """Return the ports of an import that speak HTTP."""
    return [port for port in link.ports if port.protocol in _HTTP]


def call(proxy: Proxy, url: str, count: int) -> list[CurlResponse]:
    """Call a URL several times over kept connections.

    Raises:
        NotApplicable: the pod has no curl.
        Inconclusive: the pod cannot run it.
    """
    written = f"{GAP}%{{http_code}}{GAP}%{{remote_ip}}{GAP}%{{errormsg}}{END}"
    curl = ["curl", "--silent", "--globoff", "--max-time", "5", "--write-out", written]
    done = proxy.kubectl.execute(proxy.pod, proxy.pod.own_containers[0], *curl, *[url] * count)
    responses = [_response(each) for each in done.stdout.split(END) if each]
    if not responses:
        if _NO_CURL.search(done.stderr):
            raise NotApplicable(f"{proxy.pod.title} has no curl; the sample `sleep` has")
        raise proxy.kubectl.inconclusive_in(proxy.pod, "cannot run a program in it", done.stderr)
    return responses


def _response(text: str) -> CurlResponse:
    body, status, resolved, error = text.rsplit(GAP, 3)
    return CurlResponse(int(status), resolved, error, body)
