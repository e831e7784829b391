"""The part of the kubelet's API that `kubectl logs`, `exec` and `port-forward` need, for the API server alone."""

import ssl
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from select import select
from time import time_ns
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

from mesh_federation.native.container import ContainerProcess
from mesh_federation.native.log_file import ContainerLog, LogOptions, stamp
from mesh_federation.native.pod_network import PodNetwork
from mesh_federation.native.streams import ExecRequest, serve_exec, serve_port_forward

EXEC_PROTOCOL, FORWARD_PROTOCOL = "v4.channel.k8s.io", "portforward.k8s.io"
Query = dict[str, list[str]]


class RunningPod(Protocol):
    """What the server asks of a pod."""

    @property
    def network(self) -> PodNetwork | None:
        """Return its network, if it has one."""

    def running(self, container: str) -> ContainerProcess | None:
        """Return the process of a container that runs."""

    def log(self, container: str, previous: bool) -> ContainerLog | None:
        """Return the output of a container, or of its run before that."""


FindPod = Callable[[str, str], RunningPod | None]
"""Returns a pod of this node by namespace and name."""


class KubeletServer(ThreadingHTTPServer):
    """Listens on the node's address; who connects must show a certificate of the cluster's authority."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext, find: FindPod) -> None:
        """Take where to listen, with which certificates, and how pods are found. Raises OSError."""
        super().__init__(address, _Handler)
        self.find = find
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a connection that breaks off is no fault of this program."""


class _NoAnswer(Exception):
    """A request that cannot be answered; the text is for the person who asked."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: KubeletServer
    connection: ssl.SSLSocket

    def do_GET(self) -> None:  # noqa: N802  named by the library
        """Answer a request; those that upgrade the connection take it over."""
        url = urlsplit(self.path)
        _, action, *names = url.path.split("/")
        query = parse_qs(url.query, keep_blank_values=True)
        try:
            if action == "healthz":
                self._reply(HTTPStatus.OK, b"ok")
            elif action == "containerLogs" and len(names) == 3:
                self._log(names, query)
            elif action == "exec" and len(names) in (3, 4):
                self._exec(names, query)
            elif action == "portForward" and len(names) in (2, 3):
                self._forward(names)
            elif action == "attach":
                raise _NoAnswer(
                    HTTPStatus.NOT_IMPLEMENTED, "containers of this node have no standard input: use `kubectl exec`"
                )
            else:
                raise _NoAnswer(HTTPStatus.NOT_FOUND, f"this node does not serve {url.path}")
        except _NoAnswer as problem:
            self._reply(problem.status, f"{problem}\n".encode())

    do_POST = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: command lines are in the paths."""

    def _log(self, names: list[str], query: Query) -> None:
        log = self._pod(names).log(names[2], previous="true" in query.get("previous", []))
        if log is None:
            raise _NoAnswer(HTTPStatus.BAD_REQUEST, f"container {names[2]} has written nothing that could be shown")
        options = _log_options(query)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with suppress(OSError):
            for text in log.read(options, self._is_there):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(text), text))
            self.wfile.write(b"0\r\n\r\n")

    def _is_there(self) -> bool:
        """Say whether the reader still waits: it sends nothing more, so what can be read is its end."""
        return not select([self.connection], [], [], 0)[0]

    def _exec(self, names: list[str], query: Query) -> None:
        process = self._pod(names).running(names[-1])
        if process is None:
            raise _NoAnswer(HTTPStatus.BAD_REQUEST, f"container {names[-1]} does not run")
        stdin, stdout, stderr, terminal = (query.get(name) == ["1"] for name in ("input", "output", "error", "tty"))
        request = ExecRequest(tuple(query.get("command", [])), stdin, stdout, stderr, terminal)
        self._upgrade(EXEC_PROTOCOL)
        with suppress(OSError, ValueError):
            serve_exec(self.connection, process, request)

    def _forward(self, names: list[str]) -> None:
        network = self._pod(names).network
        if network is None:
            raise _NoAnswer(HTTPStatus.BAD_REQUEST, f"pod {names[1]} has no network yet")
        self._upgrade(FORWARD_PROTOCOL)
        with suppress(OSError, ValueError):
            serve_port_forward(self.connection, network)

    def _pod(self, names: list[str]) -> RunningPod:
        pod = self.server.find(names[0], names[1])
        if pod is None:
            raise _NoAnswer(HTTPStatus.NOT_FOUND, f"pod {names[0]}/{names[1]} is not on this node")
        return pod

    def _upgrade(self, protocol: str) -> None:
        offered = ",".join(self.headers.get_all("X-Stream-Protocol-Version") or [])
        if self.headers.get("Upgrade", "").upper() != "SPDY/3.1" or protocol not in offered:
            raise _NoAnswer(HTTPStatus.BAD_REQUEST, f"only {protocol} over SPDY/3.1 is spoken here")
        self.send_response(HTTPStatus.SWITCHING_PROTOCOLS)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", "SPDY/3.1")
        self.send_header("X-Stream-Protocol-Version", protocol)
        self.end_headers()
        self.close_connection = True

    def _reply(self, status: HTTPStatus, text: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def _log_options(query: Query) -> LogOptions:
    def number(name: str) -> int | None:
        return int(query[name][0]) if query.get(name, [""])[0].isdigit() else None

    since = query.get("sinceTime", [""])[0]
    seconds = number("sinceSeconds")
    if seconds is not None:
        since = max(since, stamp(time_ns() - seconds * 10**9))
    return LogOptions(
        follow=query.get("follow") == ["true"],
        timestamps=query.get("timestamps") == ["true"],
        since=since,
        tail=number("tailLines"),
        limit=number("limitBytes"),
    )
