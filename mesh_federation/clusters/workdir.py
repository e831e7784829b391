"""The folders in which clusters are made, and how files in them are written."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Workdir:
    """The folders of one checkout, and of the user whom it belongs to.

    Attributes:
        home: everything that runs in this checkout; the user's choice is MESH_HOME.
        shared: what all checkouts of this user must agree on: locks and reserved ports.
    """

    home: Path
    shared: Path

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Workdir":
        """Read MESH_HOME (default `.mesh` in the working directory) and XDG_CACHE_HOME (default `~/.cache`)."""
        cache = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cls(Path(environment.get("MESH_HOME", ".mesh")).resolve(), cache / "mesh-federation")

    def folder(self, name: str) -> Path:
        """Return the folder of one cluster, by its real name."""
        return self.home / "clusters" / name

    def kubeconfig(self, name: str) -> Path:
        """Return the kubeconfig file with which this program reaches one cluster, by its real name."""
        return self.folder(name) / "kubeconfig"


def write(file: Path, text: str) -> None:
    """Write a file in one step, its folder too: a job can be killed at any moment."""
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


def wait_until_complete(missing: Callable[[], str], seconds: float) -> None:
    """Repeat a look until nothing is missing.

    Args:
        missing: looks, and describes what is missing; empty if nothing is.
        seconds: for how long.

    Raises:
        SystemExit: with the last description, after that time.
    """
    deadline = time.monotonic() + seconds
    while description := missing():
        if time.monotonic() > deadline:
            raise SystemExit(description)
        time.sleep(0.5)


@contextmanager
def locked(path: Path, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold a lock file; it lapses with the process, however that ends.

    Args:
        path: the lock file.
        kind: exclusive, or LOCK_SH to share it with others who do the same.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, kind)
        yield
