"""Calls from a container of a caller's own pod, through the pod's proxy."""

import re
from dataclasses import dataclass

from mesh_federation.plan.routing import ImportPlan
from mesh_federation.stack.config import Port, Protocol
from mesh_federation.verify.proxy import Proxy
from mesh_federation.verify.verdict import NotApplicable
from mesh_federation.verify.xfcc import identities

END, GAP = "\x1e", "\x1f"

_HTTP = (Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC)
_NO_CURL = re.compile(r"executable file not found|no such file or directory|not found in \$PATH", re.IGNORECASE)


@dataclass(frozen=True)
class Reply:
    """What came of one call.

    Attributes:
        status: of HTTP; 0 when there was none.
        resolved: address that the name stood for; empty when nobody knew it.
        error: of curl.
        body: of the answer.
    """

    status: int
    resolved: str
    error: str
    body: str

    @property
    def server(self) -> str:
        """Identity of who answered, as far as the service tells."""
        return identities(self.body).get("By", "")

    @property
    def caller(self) -> str:
        """Identity of who called, as the server's proxy saw it."""
        return identities(self.body).get("URI", "")

    @property
    def is_answer(self) -> bool:
        """Say whether a service answered, with whatever it had to say, and no proxy on the way."""
        return self.status not in (0, 403, 502, 503, 504)

    @property
    def told(self) -> str:
        """What went wrong, in a line."""
        first = self.body.strip().splitlines()[:1]
        return f"{self.status} {' '.join(first)}"[:160] if self.status else self.error or "no answer"


def http_ports(link: ImportPlan) -> list[Port]:
    """Return the ports of an import that can be called."""
    return [port for port in link.ports if port.protocol in _HTTP]


def call(proxy: Proxy, url: str, count: int) -> list[Reply]:
    """Call a number of times; connections to the proxy are kept.

    Raises:
        NotApplicable: the pod has nothing to call with.
        Unseen: it cannot be asked.
    """
    told = f"{GAP}%{{http_code}}{GAP}%{{remote_ip}}{GAP}%{{errormsg}}{END}"
    curl = ["curl", "--silent", "--globoff", "--max-time", "5", "--write-out", told]
    done = proxy.cluster.run_in(proxy.pod, proxy.pod.own_containers[0], *curl, *[url] * count)
    replies = [_reply(each) for each in done.out.split(END) if each]
    if not replies:
        if _NO_CURL.search(done.error):
            raise NotApplicable(f"{proxy.pod.title} has no curl to call with; a sample `sleep` has")
        raise proxy.cluster.within(proxy.pod, "nothing can be run in it", done.error)
    return replies


def _reply(text: str) -> Reply:
    body, status, resolved, error = text.rsplit(GAP, 3)
    return Reply(int(status), resolved, error, body)
