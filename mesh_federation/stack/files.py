"""Files that users name: the first bytes of a regular file, and no waiting for anything else.

A pipe may keep its reader for ever, and a device may have no end.
"""

import os
import stat
from pathlib import Path


class NotRead(Exception):
    """A file that cannot be read; says why, in a few words that name nothing of what is in it."""


def head(file: Path, size: int) -> bytes:
    """Return the first bytes of a file: all of them, where it is not larger.

    Args:
        file: where it is.
        size: how many bytes are read at most.

    Raises:
        NotRead: there is no such file, it is none that ends, or it may not be read.
    """
    try:
        with open(file, "rb", opener=_without_waiting) as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise NotRead("it is no file, but a pipe or a device, which need not end")
            return opened.read(size) or b""
    except (OSError, ValueError) as error:
        raise NotRead(getattr(error, "strerror", None) or "no file can have such a name") from None


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
