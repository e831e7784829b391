"""Where a cluster's files are, and the rule that actions on one cluster never overlap: shared by all provisioners.

Provisioners are scripts that Pulumi's Command resources run, so they import nothing but the standard library.
"""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

GONE = 3
"""Exit status by which a script says that its cluster is no longer there."""


def gone(name: str) -> NoReturn:
    """End, saying that a cluster that should only be started is no longer there."""
    print(f"cluster {name} is gone", file=sys.stderr)
    sys.exit(GONE)


def home() -> Path:
    """Return the folder for everything that runs: MESH_HOME, or .mesh below the working directory."""
    return Path(os.environ.get("MESH_HOME", ".mesh")).resolve()


def folder(name: str) -> Path:
    """Return the folder of one cluster, by its real name."""
    return home() / "clusters" / name


def kubeconfig(name: str) -> Path:
    """Return the kubeconfig file with which provisioners reach one cluster, by its real name."""
    return folder(name) / "kubeconfig"


def write(file: Path, text: str) -> None:
    """Write a file in one step, its folder too: a script can be killed at any moment."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.new")
    draft.write_text(text, encoding="utf-8")
    draft.replace(file)


def write_secret(file: Path, text: str) -> None:
    """Write a file that nobody but its owner can read, at no moment, in one step."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
        handle.write(text)
    draft.replace(file)


def answers(name: str) -> bool:
    """Say whether the cluster's API server is ready."""
    command = ["kubectl", f"--kubeconfig={kubeconfig(name)}", "get", "--raw=/readyz", "--request-timeout=3s"]
    return ask(command).returncode == 0


def ask(command: Sequence[str], stdin: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a program of the toolchain to its end; one that is nowhere is told with what to do."""
    try:
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        sys.exit(f'{command[0]} is not on PATH: run `./mesh doctor`, then `eval "$(./mesh env)"`')


def until_whole(lacking: Callable[[], str], seconds: float) -> None:
    """Ask what is lacking until nothing is; after so many seconds end with the last answer."""
    deadline = time.monotonic() + seconds
    while told := lacking():
        if time.monotonic() > deadline:
            sys.exit(told)
        time.sleep(0.5)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file; it lapses with the process, however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def run(actions: Mapping[str, Callable[[str], None]]) -> None:
    """Run the action that the command line names on the cluster that CLUSTER names.

    An engine that is killed leaves its script running: the next script on that cluster waits for it.
    """
    if len(sys.argv) != 2 or sys.argv[1] not in actions:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(actions)}")
    name = os.environ["CLUSTER"]
    try:
        with locked(home() / "locks" / name):
            actions[sys.argv[1]](name)
    except KeyboardInterrupt:
        sys.exit(f"{sys.argv[1]} of {name} was interrupted; the next run goes on where it stopped")
