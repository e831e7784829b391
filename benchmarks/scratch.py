"""Folders to measure in, and the certainty that nothing of theirs is left."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import psutil

from benchmarks.memory import below
from mesh_federation import process
from mesh_federation.toolchain.host import users_pulumi_home

CHECKOUT = Path(__file__).resolve().parent.parent
OURS = ("PULUMI_", "MESH_", "KUBE", "KWOK_", "HELM_", "PYTHONDONTWRITEBYTECODE")
"""Settings of the user's shell that would change what is measured; `./mesh` itself takes out the last one."""
KEPT = ("MESH_CACHE",)
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals by which a person, a service or a closed terminal ends a run."""


def stop_as_ctrl_c_does() -> None:
    """From now on, end on every signal that asks for it as Ctrl-C does: whatever runs is ended and removed."""

    def stop(number: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt

    for number in ENDING:
        signal.signal(number, stop)


class BenchError(Exception):
    """A measurement could not be made, or does not compare like with like."""


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield an empty folder; end every process that works with it and remove it, however the block is left."""
    folder = Path(tempfile.mkdtemp(prefix="mesh-bench-")).resolve()
    try:
        yield folder
    finally:
        with undisturbed():
            sweep(folder)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let nobody end a clean-up: a second Ctrl-C must not leave control planes behind."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def sweep(folder: Path) -> None:
    """End every process that works with a folder, then remove it."""
    while left := [each for each in psutil.process_iter() if each.pid != os.getpid() and below(each, folder)]:
        for other in left:
            with suppress(psutil.NoSuchProcess):
                other.kill()
        psutil.wait_procs(left, timeout=10)
    shutil.rmtree(folder, ignore_errors=True)


def clean_environment(folder: Path) -> dict[str, str]:
    """Return the user's environment without what would steer the engine elsewhere: no login, no backend, no cluster."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT or not name.startswith(OURS)}
    theirs = users_pulumi_home(os.environ)
    home = folder / "pulumi-home"
    home.mkdir(exist_ok=True)
    if (theirs / "plugins").is_dir() and not (home / "plugins").is_symlink():
        (home / "plugins").symlink_to(theirs / "plugins")
    return {**kept, "PULUMI_HOME": str(home)}


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str], stdin: str = "") -> str:
    """Run a command quietly and return what it prints.

    Raises:
        BenchError: it failed; with the end of what it said.
    """
    done = process.run(command, folder=folder, environment=environment, stdin=stdin)
    if done.returncode:
        raise _failure(command, done.returncode, done.stdout + done.stderr)
    return done.stdout


def printed(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Run a command and yield each line that it prints, as it prints it.

    Raises:
        BenchError: it failed; with the end of what it said.
    """
    said = []
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace",
    ) as running:  # fmt: skip
        assert running.stdout
        try:
            for line in running.stdout:
                said.append(line)
                yield line
        except BaseException:
            running.kill()
            raise
    if running.returncode:
        raise _failure(command, running.returncode, "".join(said))


def _failure(command: Sequence[str], status: int, said: str) -> BenchError:
    return BenchError(f"{' '.join(command[:4])} failed ({status}):\n{said.strip()[-3000:]}")
