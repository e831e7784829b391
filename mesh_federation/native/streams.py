"""Exec and port-forward: streams of a SPDY session, joined to programs in containers and to ports of pods."""

import fcntl
import json
import os
import selectors
import socket
import ssl
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from mesh_federation.native.container import CHUNK, ContainerProcess, StartError
from mesh_federation.native.pod_network import PodNetwork
from mesh_federation.native.spdy import SpdySession, StreamData, StreamOpened, StreamReset

OPEN_SECONDS = 30.0
"""For the other side to open its streams."""
CANNOT_START = 126
LINGER_SECONDS = 2.0
"""For the other side to read the end before the connection is closed."""


@dataclass(frozen=True)
class ExecRequest:
    """What is asked for: a command line, and which streams it is joined to."""

    command: tuple[str, ...]
    stdin: bool
    stdout: bool
    stderr: bool
    terminal: bool

    @property
    def streams(self) -> set[str]:
        """Return the streams that the other side opens."""
        wanted = {
            "error": True, "stdin": self.stdin, "stdout": self.stdout,
            "stderr": self.stderr and not self.terminal, "resize": self.terminal,
        }  # fmt: skip
        return {name for name, is_wanted in wanted.items() if is_wanted}


class _Closed(Exception):
    """The other side has closed the connection."""


class _Loop:
    """Waits for the connection and for files at the same time, in one thread: TLS connections are not for two."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self.session = SpdySession(connection)
        self._connection = connection
        self._selector = selectors.DefaultSelector()
        self._selector.register(connection, selectors.EVENT_READ)
        self._readers: dict[int, Callable[[], object]] = {}
        self._outlets: dict[int, _Outlet] = {}
        self.early: list[StreamOpened | StreamData | StreamReset] = []

    def close(self) -> None:
        self._selector.close()

    def on_readable(self, descriptor: int, act: Callable[[], object]) -> None:
        self._readers[descriptor] = act
        self._watch(descriptor)

    def forget(self, descriptor: int) -> None:
        self._readers.pop(descriptor, None)
        self._watch(descriptor)

    def outlet(self, descriptor: int) -> "_Outlet":
        self._outlets[descriptor] = outlet = _Outlet(descriptor, lambda: self._watch(descriptor))
        return outlet

    def turn(self, timeout: float | None = None) -> list[StreamOpened | StreamData | StreamReset]:
        """Wait for something, act on files, and return what the other side has said. Raises _Closed."""
        messages: list[StreamOpened | StreamData | StreamReset] = []
        for key, events in self._selector.select(timeout):
            if key.fileobj is self._connection:
                messages += self._read()
                continue
            if events & selectors.EVENT_WRITE:
                self._outlets[key.fd].flush()
            if events & selectors.EVENT_READ and key.fd in self._readers:
                self._readers[key.fd]()
        return messages

    def _read(self) -> list[StreamOpened | StreamData | StreamReset]:
        data = self._connection.recv(CHUNK)
        if not data:
            raise _Closed
        while self._connection.pending():
            data += self._connection.recv(CHUNK)
        return list(self.session.received(data))

    def _watch(self, descriptor: int) -> None:
        outlet = self._outlets.get(descriptor)
        events = selectors.EVENT_READ if descriptor in self._readers else 0
        events |= selectors.EVENT_WRITE if outlet and outlet.pending else 0
        known = descriptor in self._selector.get_map()
        if events and known:
            self._selector.modify(descriptor, events)
        elif events:
            self._selector.register(descriptor, events)
        elif known:
            self._selector.unregister(descriptor)


@dataclass
class _Outlet:
    """A file that data is written to as fast as its reader takes it."""

    descriptor: int
    changed: Callable[[], None]
    pending: bytes = b""
    ending: Callable[[], None] | None = None

    def write(self, data: bytes) -> None:
        self.pending += data
        self.flush()

    def end(self, close: Callable[[], None]) -> None:
        """Close the file when everything is written."""
        self.ending = close
        self.flush()

    def flush(self) -> None:
        try:
            if self.pending:
                self.pending = self.pending[os.write(self.descriptor, self.pending) :]
        except BlockingIOError:
            pass
        except OSError:  # nobody reads it any more
            self.pending = b""
        self.changed()
        if self.ending and not self.pending:
            close, self.ending = self.ending, None
            close()


def serve_exec(connection: ssl.SSLSocket, process: ContainerProcess, request: ExecRequest) -> None:
    """Run a program in a container over a connection, to its end or that of the connection.

    The calling thread moves into the container's namespaces: give it no other work.
    """
    loop = _Loop(connection)
    try:
        streams = _open_streams(loop, request.streams)
        try:
            status = _Execution(loop, process, request, streams).run()
        except (StartError, OSError) as error:
            if "stderr" in streams:
                loop.session.send(streams["stderr"], f"the command cannot be started: {error}\n".encode())
            status = _failure(f"the command cannot be started: {error}", CANNOT_START)
        loop.session.send(streams["error"], json.dumps(status).encode(), ended=True)
        _linger(loop)
    except _Closed:
        pass
    finally:
        loop.close()


def _open_streams(loop: _Loop, names: set[str]) -> dict[str, int]:
    """Wait until the other side has opened all streams. Raises _Closed."""
    streams: dict[str, int] = {}
    deadline = time.monotonic() + OPEN_SECONDS
    while names - streams.keys():
        if time.monotonic() > deadline:
            raise _Closed
        for message in loop.turn(OPEN_SECONDS):
            if isinstance(message, StreamOpened):
                streams[message.headers.get("streamtype", "")] = message.stream
            else:
                loop.early.append(message)
    return streams


class _Execution:
    """One program and its streams."""

    def __init__(self, loop: _Loop, process: ContainerProcess, request: ExecRequest, streams: dict[str, int]) -> None:
        self._loop, self._container, self._request, self._streams = loop, process, request, streams
        self._ended = False

    def run(self) -> dict[str, object]:
        """Return the status that the other side is told. Raises StartError, OSError, _Closed."""
        if self._request.terminal:
            master, slave = os.openpty()
            theirs, outputs, stdin = (slave, slave, slave), {"stdout": master}, master
        else:
            theirs, outputs, stdin = self._pipes()
        try:
            program = self._container.begin(self._request.command, *theirs, terminal=self._request.terminal)
        except BaseException:
            for descriptor in {*outputs.values(), stdin}:
                os.close(descriptor)
            raise
        finally:
            for descriptor in set(theirs):
                os.close(descriptor)
        try:
            return self._joined(program, outputs, stdin)
        finally:
            if program.poll() is None:
                program.kill()
                program.wait()

    def _pipes(self) -> tuple[tuple[int, int, int], dict[str, int], int]:
        """Return the program's three files, and the other ends of its outputs and of its input."""
        stdin, to_stdin = os.pipe()
        from_stdout, stdout = os.pipe()
        from_stderr, stderr = os.pipe()
        return (stdin, stdout, stderr), {"stdout": from_stdout, "stderr": from_stderr}, to_stdin

    def _joined(self, program: subprocess.Popen[bytes], outputs: dict[str, int], stdin: int) -> dict[str, object]:
        """Copy until the program ends."""
        loop = self._loop
        os.set_blocking(stdin, False)
        outlet = loop.outlet(stdin)
        for name, descriptor in outputs.items():
            os.set_blocking(descriptor, False)
            loop.on_readable(descriptor, partial(self._copy, name, descriptor))
        ended = os.pidfd_open(program.pid)
        loop.on_readable(ended, self._end)
        if not self._request.stdin and not self._request.terminal:
            outlet.end(lambda: os.close(stdin))
        messages = loop.early
        try:
            while not self._ended:
                for message in messages:
                    self._take(message, outlet)
                messages = loop.turn()
            for name, descriptor in outputs.items():
                while self._copy(name, descriptor):
                    pass
                if name in self._streams:
                    loop.session.send(self._streams[name], b"", ended=True)
        finally:
            for descriptor in {ended, *outputs.values()}:
                loop.forget(descriptor)
                os.close(descriptor)
        code = program.wait()
        return (
            _failure(f"command terminated with non-zero exit code {code}", code)
            if code
            else {"status": "Success", "metadata": {}}
        )

    def _end(self) -> None:
        self._ended = True

    def _copy(self, name: str, descriptor: int) -> bool:
        """Copy output that is there; say whether there may be more."""
        try:
            data = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # the terminal has no program any more
            data = b""
        if not data:
            self._loop.forget(descriptor)
            return False
        if name in self._streams:
            self._loop.session.send(self._streams[name], data)
        return True

    def _take(self, message: StreamOpened | StreamData | StreamReset, outlet: _Outlet) -> None:
        if not isinstance(message, StreamData):
            return
        if message.stream == self._streams.get("stdin"):
            outlet.write(message.data)
            if message.ended and not self._request.terminal:
                outlet.end(lambda: os.close(outlet.descriptor))
        elif message.stream == self._streams.get("resize"):
            with suppress(ValueError):
                size = json.loads(message.data)
                fcntl.ioctl(
                    outlet.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", size["Height"], size["Width"], 0, 0)
                )


def _failure(message: str, code: int) -> dict[str, object]:
    """Return the status of a program that failed, as clients read its exit status from it."""
    shown = code if code >= 0 else 128 - code
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": message,
        "details": {"causes": [{"reason": "ExitCode", "message": str(shown)}]},
    }


def _linger(loop: _Loop) -> None:
    """Wait until the other side has closed the connection, so that it has read everything."""
    deadline = time.monotonic() + LINGER_SECONDS
    with suppress(OSError, ValueError):
        while (left := deadline - time.monotonic()) > 0:
            loop.turn(left)


@dataclass
class _Forwarding:
    """One connection to a port of a pod."""

    data: int
    error: int
    socket: socket.socket
    outlet: _Outlet


def serve_port_forward(connection: ssl.SSLSocket, network: PodNetwork) -> None:
    """Connect streams to ports of a pod, until the other side closes the connection.

    The calling thread moves into the pod's namespaces: give it no other work.
    """
    network.enter()
    loop = _Loop(connection)
    ended = os.dup(network.ended)
    loop.on_readable(ended, _close)
    errors: dict[str, int] = {}
    open_ones: dict[int, _Forwarding] = {}
    try:
        while True:
            for message in loop.turn():
                if isinstance(message, StreamOpened):
                    _opened(message, loop, errors, open_ones)
                elif message.stream in open_ones:
                    _passed_on(message, open_ones[message.stream])
    except _Closed:
        pass
    finally:
        loop.close()
        os.close(ended)
        for forwarding in open_ones.values():
            forwarding.socket.close()


def _close() -> None:
    raise _Closed


def _opened(message: StreamOpened, loop: _Loop, errors: dict[str, int], open_ones: dict[int, _Forwarding]) -> None:
    """Remember a stream for errors; connect one for data."""
    request, port = message.headers.get("requestid", ""), message.headers.get("port", "")
    if message.headers.get("streamtype") == "error":
        errors[request] = message.stream
        return
    error = errors.pop(request, 0)
    try:
        target = socket.create_connection(("127.0.0.1", int(port)))
    except (OSError, ValueError) as failure:
        loop.session.send(error, f"port {port} of the pod: {failure}".encode(), ended=True)
        loop.session.send(message.stream, b"", ended=True)
        return
    target.setblocking(False)
    forwarding = _Forwarding(message.stream, error, target, loop.outlet(target.fileno()))
    open_ones[message.stream] = forwarding
    loop.on_readable(target.fileno(), lambda: _answered(forwarding, loop))


def _passed_on(message: StreamData | StreamReset, forwarding: _Forwarding) -> None:
    """Send on what the other side says."""
    if isinstance(message, StreamData):
        forwarding.outlet.write(message.data)
    if isinstance(message, StreamReset) or message.ended:

        def end() -> None:
            with suppress(OSError):
                forwarding.socket.shutdown(socket.SHUT_WR)

        forwarding.outlet.end(end)


def _answered(forwarding: _Forwarding, loop: _Loop) -> None:
    """Send on what the pod says."""
    try:
        data = forwarding.socket.recv(CHUNK)
    except BlockingIOError:
        return
    except OSError:
        data = b""
    if data:
        loop.session.send(forwarding.data, data)
        return
    loop.forget(forwarding.socket.fileno())
    loop.session.send(forwarding.data, b"", ended=True)
    loop.session.send(forwarding.error, b"", ended=True)
