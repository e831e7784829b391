"""Docker for providers whose nodes are containers: running it, the nodes, and plain words for what fails."""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NoReturn

from mesh_federation import process
from mesh_federation.clusters import machine_limits
from mesh_federation.clusters.workdir import Workdir, locked
from mesh_federation.process import ProcessResult
from mesh_federation.stack.problem import Problem

TIMEOUT = 120
"""Seconds for Docker to do one thing; one is usual."""
SECONDS_TO_ANSWER = 10
"""For Docker to tell its version; a tenth is usual."""
INSTALL = "install Docker: https://docs.docker.com/engine/install/"
CLUSTER_LABELS = ("io.x-k8s.kind.cluster", "k3d.cluster")
"""Labels by which programs that make clusters of containers mark them, whoever runs those programs."""


KNOWN = {
    r"cannot connect to the docker daemon|failed to connect to the docker api|error during connect": Problem(
        "",
        "docker-not-running",
        "Docker does not run",
        "start Docker (for example `sudo systemctl start docker`), or set DOCKER_HOST to where it is",
    ),
    r"permission denied while trying to connect to the docker": Problem(
        "", "docker-permission", "Docker refuses this user", "add yourself to the group docker, then log in again"
    ),
    r"too many open files": Problem(
        "", "inotify-limits", "The machine's inotify limits are used up", machine_limits.RAISE
    ),
    r"no space left on device": Problem(
        "",
        "disk-full",
        "Docker's disk is full",
        "see what fills it with `docker system df`, and free some with `docker system prune`",
    ),
    r"did not receive an exit event": Problem(
        "",
        "container-frozen",
        "Docker cannot end a container: it was told to while a pod was being started, whose processes stay frozen",
        "thaw them, then run again: sudo find /sys/fs/cgroup/freezer/docker -name freezer.state"
        " -exec sh -c 'echo THAWED > {}' ';'",
    ),
}
"""What Docker says when nothing works, by a pattern; kind and k3d repeat it."""


MISSING = Problem("", "program-missing", "docker is not on PATH", INSTALL)
SILENT = Problem("", "docker-not-running", "Docker does not answer", "restart Docker, then run again")


@cache
def obstacles() -> tuple[Problem, ...]:
    """Return what keeps Docker from being used on this machine; it is asked once."""
    try:
        asked = process.run(["docker", "version", "--format={{.Server.Version}}"], timeout=SECONDS_TO_ANSWER)
    except process.ProgramMissing:
        return (MISSING,)
    except process.ProgramTimeout:
        return (SILENT,)
    except OSError as error:
        return (Problem("", "program-missing", f"docker cannot be run: {error.strerror}", INSTALL),)
    if asked.returncode == 0:
        return ()
    fix = f"run `docker version`, which prints: {asked.stderr.strip() or 'nothing'}"
    return (known_problem(asked.stderr) or Problem("", "docker-unusable", "Docker cannot be used", fix),)


@dataclass(frozen=True)
class NodeContainer:
    """A container that is a node of a cluster.

    Attributes:
        id: Docker's, of this container and no later one of the same name.
        name: the node's and the container's.
        running: whether its programs run.
    """

    id: str
    name: str
    running: bool


def run(
    *command: str, stdin: str = "", variables: Mapping[str, str] | None = None, timeout: float = TIMEOUT
) -> ProcessResult:
    """Run a program to its end, whatever its exit status; the job ends if it is missing or hangs."""
    try:
        return process.run(command, stdin=stdin, variables=variables, timeout=timeout)
    except process.ProgramMissing:
        fix = INSTALL if command[0] == "docker" else f"get it: ./mesh install {command[0]}"
        sys.exit(
            str(Problem("", "program-missing", f"{command[0]} is not on PATH", f"{fix}; `./mesh doctor` tells more"))
        )
    except process.ProgramTimeout as late:
        fix = "see whether `docker ps` answers and how busy the machine is, then run again: it goes on where it stopped"
        sys.exit(str(Problem("", "program-timeout", str(late), fix)))


def output(*command: str) -> str:
    """Run a program and return what it prints; the job ends in plain words if it fails."""
    done = run(*command)
    if done.returncode:
        fail(done)
    return done.stdout


def fail(done: ProcessResult) -> NoReturn:
    """End with what a failed program means or, where nobody knows, with its own last words."""
    sys.exit(str(known_problem(done.stderr) or last_words(done)))


def known_problem(words: str) -> Problem | None:
    """Recognize what keeps Docker as a whole from working; the words are a program's standard error."""
    return next((known for sign, known in KNOWN.items() if re.search(sign, words, re.IGNORECASE)), None)


def last_words(done: ProcessResult) -> str:
    """Return the end of what was said, without colours. kind repeats Docker's command line with a proxy's password."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr)
    said = re.sub(r"://[^/\s@]+@", "://***@", plain)[-2000:]
    return f"`{' '.join(done.args)}` failed ({done.returncode}):\n{said}"


@contextmanager
def alone(cluster: str, workdir: Workdir) -> Iterator[None]:
    """Keep other checkouts from making or removing a cluster of this name: Docker has one of each name."""
    with locked(locks(workdir) / f"cluster-{cluster}"):
        yield


def nodes(label: str, cluster: str) -> list[NodeContainer]:
    """Return a cluster's containers, stopped ones too; the label is the one its maker knows it by."""
    columns = "{{.ID}} {{.Names}} {{.State}}"
    listed = output("docker", "ps", "--all", "--no-trunc", f"--filter=label={label}={cluster}", f"--format={columns}")
    rows = (line.split() for line in listed.splitlines())
    return [NodeContainer(id, name, state == "running") for id, name, state in rows]


def locks(workdir: Workdir) -> Path:
    """Return the folder for locks on what Docker has only one of: all checkouts of a user share it."""
    return workdir.shared / "locks"
