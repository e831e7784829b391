"""Reading files that users name, without waiting for pipes and devices.

A pipe may block its reader for ever, and a device may have no end.
"""

import os
import stat
from pathlib import Path


class NotRead(Exception):
    """A file that cannot be read; the reason quotes nothing of its content."""


def head(file: Path, size: int) -> bytes:
    """Return the first bytes of a regular file, or all if it has fewer.

    Args:
        file: the path.
        size: the maximum number of bytes.

    Raises:
        NotRead: the file does not exist, is not a regular file, or must not be read.
    """
    try:
        with open(file, "rb", opener=_without_waiting) as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise NotRead("it is a pipe or a device, not a regular file")
            return opened.read(size) or b""
    except (OSError, ValueError) as error:
        raise NotRead(getattr(error, "strerror", None) or "no file can have this name") from None


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
