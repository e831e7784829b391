"""The one error of the toolchain: what failed, why, and what to do about it."""

import errno
import shutil
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class ToolchainError(Exception):
    """Something could not be got; says what the user can do.

    Attributes:
        what: what failed, in a line.
        why: the reason, as far as it is known.
        fix: what to do.
    """

    def __init__(self, what: str, why: str, fix: str) -> None:
        """Keep the three parts apart, so that each can be shown in its own way."""
        super().__init__(f"{what}\n  {why}\n  -> {fix}")
        self.what = what
        self.why = why
        self.fix = fix


class Unreachable(ToolchainError):
    """A publisher did not deliver what is pinned. Another route may still do; a wrong checksum is never this."""


MOVED = (
    "see whether a proxy stands between, and whether that version was released for this machine; if its publisher "
    "moved it, correct its lines in mesh_federation/toolchain/pins.toml"
)
"""What to do where a publisher answers and does not have what is asked for."""


def from_os(what: str, folder: Path, error: OSError) -> ToolchainError:
    """Say what a failed write means, a full disk above all."""
    if error.errno in _FULL:
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(nearest).free // 2**20
        return ToolchainError(
            what,
            f"no space left in {folder} ({free} MiB free)",
            "free some space (about 4 GiB are needed) or point MESH_CACHE at a larger disk, then run it again",
        )
    return ToolchainError(what, f"{folder}: {error.strerror or error}", "see that the folder exists and is writable")
