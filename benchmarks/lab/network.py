"""A Docker network of a run's own, and the certainty that nothing in it stays: clusters are found by their network."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex

from benchmarks.scratch import BenchError, undisturbed

PREFIX = "mesh-bench-"
ATTEMPTS = 20
"""Docker may still begin a container for a client that was ended; one look more is usual."""


def new_name() -> str:
    """Return a name for a network that nobody has."""
    return f"{PREFIX}{token_hex(3)}"


@contextmanager
def cleared(name: str) -> Iterator[None]:
    """Remove a network with all containers in it, however the block is left that makes them.

    Raises:
        BenchError: a run that was killed left its network, or another run is measuring now.
    """
    _refuse_leftovers()
    try:
        yield
    finally:
        with undisturbed():
            clear(name)


def clear(name: str) -> None:
    """Remove a network, and the containers in it with their volumes.

    Raises:
        BenchError: something stays; with how to remove it.
    """
    said = ""
    for _ in range(ATTEMPTS):
        if left := containers(name):
            said = _docker("rm", "--force", "--volumes", *left).stderr
        if name in _networks():
            said = _docker("network", "rm", name).stderr
        elif not left:
            return
    raise BenchError(f"network {name} cannot be removed: {said.strip()}\n  -> {_removal(name)}")


def containers(name: str) -> list[str]:
    """Return the ids of all containers in a network, stopped ones too."""
    return _docker("ps", "--all", "--quiet", f"--filter=network={name}").stdout.split()


def version() -> str:
    """Return the version of Docker's engine."""
    return _docker("version", "--format={{.Server.Version}}").stdout.strip()


def _refuse_leftovers() -> None:
    for name in _networks():
        if name.startswith(PREFIX):
            what = f"there is a network {name}: another benchmark runs now, or one was killed"
            raise BenchError(f"{what}\n  -> wait for it, or remove what it left: {_removal(name)}")


def _networks() -> list[str]:
    listed = _docker("network", "ls", "--format={{.Name}}")
    if listed.returncode:
        fix = "see what `docker ps` says; real clusters need Docker"
        raise BenchError(f"Docker does not answer: {listed.stderr.strip()}\n  -> {fix}")
    return listed.stdout.split()


def _removal(name: str) -> str:
    return f"docker rm --force --volumes $(docker ps -aq --filter network={name}); docker network rm {name}"


def _docker(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run Docker's command line, out of reach of the terminal's Ctrl-C."""
    command = ["docker", *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True)
    except FileNotFoundError:
        raise BenchError("docker is not on PATH\n  -> install Docker; real clusters need it") from None
