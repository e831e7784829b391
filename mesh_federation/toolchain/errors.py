"""The error of the toolchain: what failed, why, and what to do about it."""

import errno
import shutil
from pathlib import Path

from mesh_federation.stack.problem import Problem, ProblemError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class ToolchainError(ProblemError):
    """A program could not be installed."""

    def __init__(self, what: str, why: str, fix: str) -> None:
        """Build the problem from what failed, the cause and the fix."""
        super().__init__(Problem("", "not-installed", what, fix, why))


class DownloadFailed(ToolchainError):
    """A publisher did not deliver the pinned version; another route may work. Never used for a wrong checksum."""


MOVED = (
    "check for a proxy, and that this version was released for this platform; if its publisher moved it, update"
    " mesh_federation/toolchain/pins.toml"
)
"""Fix if a publisher responds but does not have the file."""


def from_os(what: str, folder: Path, error: OSError) -> ToolchainError:
    """Return the error for a failed write, for example on a full disk."""
    if error.errno in _FULL:
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(nearest).free // 2**20
        return ToolchainError(
            what,
            f"no space left in {folder} ({free} MiB free)",
            "free some space (about 4 GiB are needed) or set MESH_CACHE to another disk, then run it again",
        )
    return ToolchainError(
        what, f"{folder}: {error.strerror or error}", "make sure that the folder exists and is writable"
    )
