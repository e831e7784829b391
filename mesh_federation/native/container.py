"""Processes of containers: the first one of each, and others that are started in it."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mesh_federation.native.launcher import ContainerEntry, ContainerLaunch
from mesh_federation.native.log_file import ContainerLog
from mesh_federation.native.namespaces import NamespaceKind, enter, unshare
from mesh_federation.native.pod_network import PodNetwork, in_own_thread

PACKAGES = str(Path(__file__).resolve().parents[2])
"""Where the launcher finds this package."""
CHUNK = 64 * 1024
FOREVER = 10.0**6
LONGEST_OUTPUT = 10 * 1024
"""Of a probe or a hook; the rest is dropped, as a kubelet does."""


class StartError(Exception):
    """A program that could not be started in a container; the text says why."""


@dataclass(frozen=True)
class ContainerExit:
    """How a program ended: its exit status, and the signal that ended it, 0 for none."""

    code: int
    signal: int


class ContainerProcess:
    """The first process of a container, and with it the container."""

    def __init__(self, launch: ContainerLaunch, network: PodNetwork, log: ContainerLog) -> None:
        """Take what is to be started, in which namespaces, and where its output goes."""
        self._launch, self._network, self.log = launch, network, log
        self._process: subprocess.Popen[bytes] | None = None
        self._started, self._ended = threading.Event(), threading.Event()
        self._failure = ""

    def start(self, ended: Callable[[ContainerExit], None]) -> None:
        """Start the container.

        Args:
            ended: called once, in another thread, when the container has ended.

        Raises:
            StartError: its first program did not start.
        """
        threading.Thread(target=self._run, args=(ended,), daemon=True).start()
        self._started.wait()
        if self._failure:
            raise StartError(self._failure)

    @property
    def pid(self) -> int:
        """Return the process's number."""
        return self._process.pid if self._process else 0

    def stop(self, grace: float) -> None:
        """End the container: ask, and after `grace` seconds force it."""
        if grace > 0:
            self._signal(signal.SIGTERM)
            self._ended.wait(grace)
        self._signal(signal.SIGKILL)

    def wait(self, seconds: float) -> None:
        """Wait for the container's end, for so many seconds at most."""
        self._ended.wait(seconds)

    def has_ended(self) -> bool:
        """Say whether the container has ended."""
        return self._ended.is_set()

    def begin(
        self, command: tuple[str, ...], stdin: int, stdout: int, stderr: int, terminal: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start a program in the container, as its user and with its environment.

        The calling thread moves into the container's namespaces, and stays there: give it no other work.

        Args:
            command: its command line.
            stdin: file descriptor.
            stdout: file descriptor.
            stderr: file descriptor.
            terminal: whether standard input is the program's terminal.

        Raises:
            StartError: the program did not start.
            OSError: the container has ended.
        """
        folder = f"/proc/{self.pid}/ns"
        mounts = os.open(f"{folder}/mnt", os.O_RDONLY)
        try:
            self._network.enter()
            enter(Path(f"{folder}/pid"), NamespaceKind.PID)
            entry = ContainerEntry(mounts, terminal, replace(self._launch.program, command=command))
            process, failure = _spawn("enter", entry, (stdin, stdout, stderr), mounts)
        finally:
            os.close(mounts)
        if failure:
            process.wait()
            raise StartError(failure)
        return process

    def execute(self, command: tuple[str, ...], timeout: float | None) -> tuple[int, str]:
        """Run a program in the container to its end.

        Returns:
            Its exit status, and what it printed.

        Raises:
            StartError: it did not start.
            TimeoutError: it did not end in time, and was killed.
            OSError: the container has ended.
        """
        return in_own_thread(lambda: self._execute(command, timeout))

    def _execute(self, command: tuple[str, ...], timeout: float | None) -> tuple[int, str]:
        reader, writer = os.pipe()
        null = os.open("/dev/null", os.O_RDWR)
        try:
            process = self.begin(command, null, writer, writer)
        finally:
            os.close(writer)
            os.close(null)
        output, deadline = b"", time.monotonic() + (timeout or FOREVER)
        with open(reader, "rb", buffering=0) as pipe:
            while True:  # no timer: a thread that is in another namespace of processes cannot start one
                if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    raise TimeoutError(f"command timed out: {' '.join(command)} timed out after {timeout:g}s")
                chunk = pipe.read(CHUNK)
                if not chunk:
                    break
                output = (output + chunk)[:LONGEST_OUTPUT]
        code = process.wait()
        return code if code >= 0 else 128 - code, output.decode(errors="replace")

    def _run(self, ended: Callable[[ContainerExit], None]) -> None:
        """Start the process, copy its output and wait for its end, in one thread: the process dies with it."""
        try:
            output, writer = os.pipe()
            null = os.open("/dev/null", os.O_RDONLY)
            try:
                self._network.enter()
                unshare(NamespaceKind.PID)
                self._process, self._failure = _spawn("launch", self._launch, (null, writer, writer))
            finally:
                os.close(writer)
                os.close(null)
        except OSError as error:
            self._failure = str(error)
            self._started.set()
            return
        self._started.set()
        with open(output, "rb", buffering=0) as pipe:
            while chunk := pipe.read(CHUNK):
                self.log.write(chunk)
        code = self._process.wait()
        self.log.close()
        self._ended.set()
        if not self._failure:
            ended(ContainerExit(code if code >= 0 else 128 - code, max(-code, 0)))

    def _signal(self, number: int) -> None:
        if self._process and not self._ended.is_set():
            self._process.send_signal(number)


def _spawn(
    action: str, settings: ContainerLaunch | ContainerEntry, streams: tuple[int, int, int], *passed: int
) -> tuple[subprocess.Popen[bytes], str]:
    """Start the launcher; return its process, and why it did not become the program: empty if it did."""
    content = os.memfd_create("settings")
    failure, report = os.pipe()
    try:
        os.write(content, json.dumps(asdict(settings)).encode())
        os.lseek(content, 0, os.SEEK_SET)
        command = [sys.executable, "-S", "-m", "mesh_federation.native.launcher", action, str(content), str(report)]
        process = subprocess.Popen(
            command, stdin=streams[0], stdout=streams[1], stderr=streams[2], pass_fds=(content, report, *passed),
            env={"PYTHONPATH": PACKAGES, "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}, start_new_session=True,
        )  # fmt: skip
    finally:
        os.close(content)
        os.close(report)
    with open(failure, encoding="utf-8", errors="replace") as pipe:
        return process, pipe.read()
