"""A machine whose kwokctl, kubectl, kind, k3d and docker are stubs: they record their calls and act by rules."""

import ast
import fcntl
import io
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from mesh_federation import document
from mesh_federation.clusters.local_cluster import LocalCluster
from mesh_federation.clusters.settings import ClusterSettings, ClusterSpec, LabNetwork, PortMapping, ProviderSettings
from mesh_federation.clusters.workdir import Workdir
from mesh_federation.jobs import __main__ as entry
from mesh_federation.jobs.job import ENTRY, PREVIOUS, JobContext
from tests.unit.command_result import CommandResult

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CHECKOUT = Path(__file__).resolve().parents[3]
PATIENCE = 60
"""Seconds after which a test gives up on something that never happens; nothing waits for it otherwise."""

STUB = """#!{python} -IS
import fcntl, os, sys

root, program, argv = {root!r}, os.path.basename(sys.argv[0]), sys.argv[1:]

def read(file):
    with open(file) as opened:
        return opened.read()

def fits(rule, call):
    return rule["program"] == call["program"] and all(word in call["argv"] for word in rule["words"])

files = {{}}
for word in argv:
    path = word.partition("=")[2]
    if word.startswith("--") and os.path.isfile(path):
        files[path] = {{"mode": os.stat(path).st_mode & 0o7777, "text": read(path)}}
call = {{"program": program, "argv": argv, "stdin": sys.stdin.read(), "env": dict(os.environ), "files": files}}
rules = [rule for rule in map(eval, read(root + "/rules").splitlines()) if fits(rule, call)]
rule = rules[-1] if rules else {{"statuses": [0], "outs": [""], "err": "", "gate": ""}}
before = 0
with open(root + "/calls", "a+") as log:
    fcntl.flock(log, fcntl.LOCK_EX)
    if len(rule["statuses"]) > 1 or len(rule["outs"]) > 1:
        log.seek(0)
        before = sum(fits(rule, eval(line)) for line in log)
    log.write(repr(call) + "\\n")
if rule["gate"]:
    read(rule["gate"])
nth = lambda values: values[min(before, len(values) - 1)]
sys.stdout.write(nth(rule["outs"]))
sys.stderr.write(rule["err"])
sys.exit(nth(rule["statuses"]))
"""
"""Starts at once: without site packages, and with Python's own literals instead of JSON, whose module takes longer to
load than all the rest. The last rule whose words are all in the call is the one.
"""


@dataclass(frozen=True)
class File:
    """A file as a stub saw it.

    Attributes:
        mode: its permissions.
        text: what was in it.
    """

    mode: int
    text: str


@dataclass(frozen=True)
class Call:
    """One call of a stub.

    Attributes:
        program: which.
        argv: its arguments.
        stdin: what it was given on standard input.
        env: its environment.
        files: the files that its options name, as they were then.
    """

    program: str
    argv: list[str]
    stdin: str
    env: dict[str, str]
    files: dict[str, File]

    @property
    def line(self) -> str:
        """The call as a person would type it."""
        return " ".join([self.program, *self.argv])


@dataclass(frozen=True)
class FakeMachine:
    """The machine of one test.

    Attributes:
        root: its folder.
    """

    root: Path

    @property
    def home(self) -> Path:
        """MESH_HOME of every script."""
        return self.root / "home"

    @property
    def workdir(self) -> Workdir:
        """The folders of every job."""
        return Workdir(self.home, self.root / "cache" / "mesh-federation")

    @property
    def slots(self) -> Path:
        """Where ports are reserved."""
        return self.workdir.shared / "ports"

    def cluster(self, name: str) -> LocalCluster:
        """A simulated cluster on this machine."""
        return LocalCluster(simulated(name), self.workdir)

    def of_containers(self, name: str, stack: str = "dev") -> LocalCluster:
        """A cluster of containers on this machine."""
        return LocalCluster(in_docker(name, stack=stack), self.workdir)

    def context(self, stdin: str = "", previous: str = "") -> JobContext:
        """What a job is given that runs in the process of the test."""
        return JobContext(stdin, self.workdir, previous)

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the process of the test find the stubs, and nothing else."""
        for key, value in self.environment.items():
            monkeypatch.setenv(key, value)

    def folder(self, name: str) -> Path:
        """The folder of a cluster."""
        return self.home / "clusters" / name

    def install(self, *programs: str) -> None:
        """Put stubs on the search path; it has nothing else."""
        (self.root / "bin").mkdir(exist_ok=True)
        (self.root / "rules").touch()
        for program in programs:
            file = self.root / "bin" / program
            file.write_text(STUB.format(python=sys.executable, root=str(self.root)), encoding="utf-8")
            file.chmod(file.stat().st_mode | stat.S_IXUSR)

    def remove(self, program: str) -> None:
        """Take a stub away."""
        (self.root / "bin" / program).unlink()

    def when(
        self,
        program: str,
        *words: str,
        status: int | Sequence[int] = 0,
        out: str | Sequence[str] = "",
        err: str = "",
        hold: str = "",
    ) -> Path:
        """Say how a program acts on calls with all these words.

        Several statuses or outputs are those of its successive calls; the last one stays.

        Returns:
            The gate, a pipe that holds the program until something is written to it, when `hold` names one.
        """
        gate = self.root / f"{hold}.gate"
        if hold:
            os.mkfifo(gate)
        statuses = [status] if isinstance(status, int) else list(status)
        outs = [out] if isinstance(out, str) else list(out)
        rule = {"program": program, "words": words, "statuses": statuses, "outs": outs, "err": err}
        with (self.root / "rules").open("a", encoding="utf-8") as rules:
            rules.write(f"{rule | {'gate': str(gate) if hold else ''}!r}\n")
        return gate

    def calls(self, program: str = "") -> list[Call]:
        """What was called, in order."""
        log = self.root / "calls"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        found = [ast.literal_eval(line) for line in lines]
        return [
            Call(**{**call, "files": {path: File(**file) for path, file in call["files"].items()}})
            for call in found
            if program in ("", call["program"])
        ]

    def lines(self, program: str = "") -> list[str]:
        """What was called, as a person would type it."""
        return [call.line for call in self.calls(program)]

    @property
    def environment(self) -> dict[str, str]:
        """Environment of every script, without the cluster's own part."""
        return {
            "PATH": str(self.root / "bin"),
            "MESH_HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.root / "cache"),
            "TMPDIR": str(self.root / "tmp"),
        }

    def begin(
        self,
        job: str,
        *arguments: str,
        settings: "DataclassInstance",
        stdin: str = "",
        previous: str = "",
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a job as a Command resource does, in a process of its own."""
        process = subprocess.Popen(
            [sys.executable, "-m", ENTRY, job, *arguments],
            cwd=CHECKOUT,
            env={**self.environment, **self._given(settings, previous), **(variables or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin
        process.stdin.write(stdin)
        process.stdin.close()
        process.stdin = None
        return process

    def run(
        self,
        job: str,
        *arguments: str,
        settings: "DataclassInstance",
        stdin: str = "",
        previous: str = "",
        variables: Mapping[str, str] | None = None,
    ) -> CommandResult:
        """Run a job to its end, in the process of the test: an interpreter of its own takes longer than most jobs."""
        given = {**self.environment, **self._given(settings, previous), **(variables or {})}
        out, err, status = io.StringIO(), io.StringIO(), 0
        with (
            patch.dict(os.environ, given, clear=True),
            patch.object(sys, "stdin", io.StringIO(stdin)),
            patch.object(tempfile, "tempdir", given["TMPDIR"]),  # Python looks at TMPDIR only once
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                entry.main([job, *arguments])
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else int(end.code is not None)
                err.write(f"{end.code}\n" if isinstance(end.code, str) else "")
        return CommandResult(status, out.getvalue(), err.getvalue())

    @staticmethod
    def _given(settings: "DataclassInstance", previous: str) -> dict[str, str]:
        return {document.VARIABLE: document.write(settings), PREVIOUS: previous}


NETWORK = LabNetwork("mesh-lab", "172.30.0.0/16")
"""The lab's network in all tests."""


def in_docker(name: str, within: int = 300, stack: str = "dev", label: str = "abc") -> ProviderSettings:
    """Settings of a cluster of two containers that publishes port 8080, by its real name."""
    spec = ClusterSpec(
        pod_subnet="10.10.0.0/16",
        service_subnet="10.255.10.0/24",
        nodes=2,
        ports=(PortMapping(80, 8080, "127.0.0.1", "TCP"),),
        ready_within_seconds=within,
        network=NETWORK,
    )
    return provided(name, spec, stack, label)


def simulated(name: str, stack: str = "dev") -> ProviderSettings:
    """Settings of a simulated cluster of three nodes, by its real name."""
    return provided(name, ClusterSpec("10.10.0.0/16", "10.255.10.0/24", nodes=3, kubernetes_version="1.34.4"), stack)


def provided(name: str, spec: ClusterSpec, stack: str = "dev", label: str = "abc") -> ProviderSettings:
    """Settings of a provider's job."""
    return ProviderSettings(name, name.rpartition("-")[0], stack, label, spec)


def named(name: str, stack: str = "dev") -> ClusterSettings:
    """Settings of a cluster, by its real name."""
    return ClusterSettings(name, name.rpartition("-")[0], stack)


def ended(process: subprocess.Popen[str]) -> CommandResult:
    """Wait for a script."""
    out, err = process.communicate(timeout=PATIENCE)
    return CommandResult(process.returncode, out, err)


def waits_for_lock(process: subprocess.Popen[str]) -> bool:
    """Say, once it is certain, whether a script is held by a file lock (True) or has ended without (False)."""
    pause = threading.Event()
    for _ in range(PATIENCE * 100):
        waiting = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
        if any(words[1] == "->" and int(words[5]) == process.pid for words in waiting):
            return True
        if process.poll() is not None:
            return False
        pause.wait(0.01)
    raise AssertionError("the script neither waits nor ends")


class Held:
    """A lock file that the test itself holds."""

    def __init__(self, path: Path) -> None:
        """Take it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = path.open("w")
        fcntl.flock(self._handle, fcntl.LOCK_EX)

    def release(self) -> None:
        """Let go."""
        self._handle.close()


def numbers(config: dict[str, object]) -> Iterator[int]:
    """Ports in kwokctl's options."""
    for key, value in config.items():
        if key.endswith("Port"):
            assert isinstance(value, int)
            yield value
