"""Connections from this machine into a sandbox's network, which this machine has no way into.

A process in the network of the sandbox connects and hands over the socket: a socket stays in the network where it was
made. One process serves all connections; it ends with whoever started it.

Source: unix(7), SCM_RIGHTS.
"""

import errno
import os
import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

from mesh_federation.native.sandbox import INTERPRETER, PACKAGES, Sandbox, environment
from mesh_federation.stack.problem import ProblemError

CONTROL = 0
"""File descriptor of the process, its standard input, at which requests arrive."""
LONGEST = 512
"""Bytes of a request."""


class Dialer:
    """Connects to addresses in the network of a sandbox."""

    def __init__(self, sandbox: Sandbox, packages: Path = PACKAGES) -> None:
        """Keep the sandbox; the process is started by the first connection.

        Args:
            sandbox: into which to connect.
            packages: the folder with this package from which the sandbox was started: it shows no other.
        """
        self._sandbox = sandbox
        self._packages = packages
        self._lock = threading.Lock()
        self._control: socket.socket | None = None

    def connect(self, address: str, port: int, seconds: float) -> socket.socket:
        """Return a connected socket.

        Args:
            address: IPv4 address.
            port: port number.
            seconds: time limit, for connecting and for each operation on the socket.

        Raises:
            OSError: the connection fails, or the sandbox does not run.
        """
        ours, theirs = socket.socketpair()
        with ours, theirs:
            request = f"{address} {port} {seconds}".encode()
            with self._lock:
                socket.send_fds(self._started(), [request], [theirs.fileno()])
            theirs.close()
            answer, descriptors, _, _ = socket.recv_fds(ours, LONGEST, 1)
        if not descriptors:
            number = int(answer or errno.ENETUNREACH)
            raise OSError(number, os.strerror(number))
        connected = socket.socket(fileno=descriptors[0])
        connected.settimeout(seconds)
        return connected

    def _started(self) -> socket.socket:
        """Return the control socket of the process, which is started unless it runs."""
        if self._control is None:
            try:
                entry = self._sandbox.entry("--user", "--mount", "--net")
            except ProblemError as error:
                raise OSError(errno.ENETDOWN, str(error)) from None
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                subprocess.Popen(
                    [*entry, INTERPRETER, "-s", "-m", "mesh_federation.native.dialer"], stdin=theirs.fileno(), cwd="/",
                    env={**environment(), "PYTHONPATH": str(self._packages)},
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                )  # fmt: skip
            self._control = ours
        return self._control


def serve(control: socket.socket) -> None:
    """Answer requests until nobody can send any."""
    while True:
        request, descriptors, _, _ = socket.recv_fds(control, LONGEST, 1)
        if not request:
            return
        address, port, seconds = request.decode().split()
        answers = socket.socket(fileno=descriptors[0])
        threading.Thread(target=_answer, args=(answers, address, int(port), float(seconds)), daemon=True).start()


def _answer(answers: socket.socket, address: str, port: int, seconds: float) -> None:
    """Send a connected socket, or the number of the error."""
    with answers, suppress(OSError):
        try:
            connected = socket.create_connection((address, port), timeout=seconds)
        except OSError as error:
            number = errno.ETIMEDOUT if isinstance(error, TimeoutError) else error.errno or errno.ENETUNREACH
            answers.send(str(number).encode())
            return
        with connected:
            socket.send_fds(answers, [b"0"], [connected.fileno()])


if __name__ == "__main__":
    serve(socket.socket(fileno=CONTROL))
