"""Probes of containers: how one is carried out, and how many answers in a row count."""

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from mesh_federation.native.container import StartError
from mesh_federation.native.pod_spec import Handler, HandlerKind, ProbeSpec

AGENT_NAME = "kube-probe/native"
FIRST_PAUSE = 0.1
"""Seconds before a container that is not ready is asked again."""
GROWTH = 1.2
"""Of that pause from one time to the next, up to the period: readiness is seen late by a fifth of the wait at most."""


class ProbeKind(StrEnum):
    """What a probe decides: whether the container has started, gets traffic, or is to be restarted."""

    STARTUP = "Startup"
    READINESS = "Readiness"
    LIVENESS = "Liveness"


class ProbeFailure(Exception):
    """An answer that says no, or none at all; the text is for the pod's events."""


@dataclass(frozen=True)
class ProbeTarget:
    """What is asked.

    Attributes:
        address: of the pod.
        ports: of the container, by name.
        execute: runs a command in the container, and returns its exit status and output.
    """

    address: str
    ports: Mapping[str, int]
    execute: Callable[[tuple[str, ...], float | None], tuple[int, str]]

    def port(self, text: str) -> int:
        """Return a port by number or name. Raises ProbeFailure."""
        if text.isdigit():
            return int(text)
        if text not in self.ports:
            raise ProbeFailure(f"the container has no port named {text}")
        return self.ports[text]


def act(handler: Handler, target: ProbeTarget, timeout: float | None) -> None:
    """Carry out the action of a probe or a hook.

    Args:
        handler: the action.
        target: the container.
        timeout: in seconds; None for as long as it takes.

    Raises:
        ProbeFailure: it did not succeed.
    """
    try:
        if handler.kind is HandlerKind.EXEC:
            code, output = target.execute(handler.command, timeout)
            if code:
                raise ProbeFailure(output.strip() or f"command {' '.join(handler.command)} exited with {code}")
        elif handler.kind is HandlerKind.TCP:
            port = target.port(handler.port)
            socket.create_connection((handler.host or target.address, port), timeout).close()
        elif handler.kind is HandlerKind.HTTP:
            _get(handler, target, timeout)
    except (OSError, StartError, http.client.HTTPException) as error:
        raise ProbeFailure(str(error)) from None


def _get(handler: Handler, target: ProbeTarget, timeout: float | None) -> None:
    host, port = handler.host or target.address, target.port(handler.port)
    if handler.scheme == "HTTPS":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # kubelets do not verify either
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=timeout, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        headers = {"User-Agent": AGENT_NAME, "Accept": "*/*", "Connection": "close", **dict(handler.headers)}
        connection.request("GET", f"/{handler.path.removeprefix('/')}", headers=headers)
        status = connection.getresponse().status
    except OSError as error:
        url = f"{handler.scheme.lower()}://{host}:{port}{handler.path}"
        raise ProbeFailure(f'Get "{url}": {error}') from None
    finally:
        connection.close()
    if not http.client.OK <= status < http.client.BAD_REQUEST:
        raise ProbeFailure(f"HTTP probe failed with statuscode: {status}")


class Threshold:
    """Counts answers in a row, and says when they decide something."""

    def __init__(self, spec: ProbeSpec) -> None:
        """Take how many count."""
        self._spec, self._last, self._count = spec, False, 0

    def decided(self, success: bool) -> bool | None:
        """Count an answer; return what is decided by it, None if it needs more of its kind."""
        self._count = self._count + 1 if success is self._last else 1
        self._last = success
        return success if self._count >= (self._spec.successes if success else self._spec.failures) else None


class Prober:
    """Asks a container again and again, in a thread of its own, until it is stopped."""

    def __init__(
        self, kind: ProbeKind, spec: ProbeSpec, target: ProbeTarget,
        decided: Callable[[bool], None], failed: Callable[[str], None],
    ) -> None:  # fmt: skip
        """Take what is asked, and whom to tell.

        Args:
            kind: of the probe.
            spec: of the probe.
            target: the container.
            decided: called with what enough answers in a row have decided.
            failed: called with the text of each failure that counts.
        """
        self.kind, self._spec, self._target = kind, spec, target
        self._decided, self._failed = decided, failed
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._ask, daemon=True).start()

    def stop(self) -> None:
        """End; an answer that is under way no longer counts."""
        self._stopped.set()

    def _ask(self) -> None:
        """Ask once a period, and while the answer is no, also in between: those failures do not count.

        Source: https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/ (a container that
        is not ready may be asked at other times than its period, to become ready faster).
        """
        threshold, period, pause = Threshold(self._spec), float(self._spec.period), FIRST_PAUSE
        self._stopped.wait(self._spec.initial_delay)
        until_counted = 0.0
        result: bool | None = None
        while not self._stopped.is_set():
            counts = until_counted <= 0
            until_counted = period if counts else until_counted
            failure = self._failure()
            if self._stopped.is_set():
                return
            if failure and counts:
                self._failed(failure)
            if counts or not failure:
                answer = threshold.decided(not failure)
                if answer is not None and (answer is not result or self.kind is ProbeKind.LIVENESS):
                    result = answer
                    self._decided(answer)
            eager = not result and self.kind is not ProbeKind.LIVENESS
            wait = min(pause, until_counted) if eager else until_counted
            pause = min(pause * GROWTH, period) if eager else FIRST_PAUSE
            until_counted -= wait
            self._stopped.wait(wait)

    def _failure(self) -> str:
        """Ask once; return why the answer is no, empty if it is yes."""
        try:
            act(self._spec.handler, self._target, self._spec.timeout)
        except ProbeFailure as failure:
            return str(failure) or "no reason given"
        return ""
