"""The output of containers on disk, in the format of the container runtime interface (CRI)."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

LONGEST_LINE = 16 * 1024
"""Longer ones are stored in parts, as container runtimes do."""
LARGEST_FILE = 10 * 1024 * 1024
"""Then a file is set aside, in the place of the one that was set aside before; kubelets begin a new one here too."""
CHECK_SECONDS = 2.0
"""How often somebody who follows a silent log is asked whether he is still there."""


@dataclass(frozen=True)
class LogOptions:
    """What is asked for: the query of the API, `since` as a time stamp; None for no limit."""

    follow: bool = False
    timestamps: bool = False
    since: str = ""
    tail: int | None = None
    limit: int | None = None


def stamp(nanoseconds: int) -> str:
    """Return a time as RFC 3339 in UTC with nine digits, so that texts sort as times do."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09}Z"


class ContainerLog:
    """The output of one run of a container."""

    def __init__(self, path: Path, largest: int = LARGEST_FILE) -> None:
        """Begin a file, and take the bytes after which it is set aside."""
        self.path, self._largest = path, largest
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._partial = b""
        self._changed = threading.Condition()
        self.closed = False

    def write(self, chunk: bytes) -> None:
        """Add output; a line is stored when it is complete."""
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        now = stamp(time.time_ns()).encode()
        stored = b"".join(_entries(now, line, b"F") for line in lines)
        while len(self._partial) >= LONGEST_LINE:
            stored += _entries(now, self._partial[:LONGEST_LINE], b"P")
            self._partial = self._partial[LONGEST_LINE:]
        self._store(stored)

    def close(self) -> None:
        """End the file; those who follow it come to its end."""
        if self._partial:
            self._store(_entries(stamp(time.time_ns()).encode(), self._partial, b"P"))  # shown as it was written
        with self._changed:
            self.closed = True
            self._changed.notify_all()
        self._file.close()

    def remove(self) -> None:
        """Remove the files."""
        for path in (self.path, self._aside):
            with suppress(FileNotFoundError):
                path.unlink()

    def read(self, options: LogOptions, wanted: Callable[[], bool]) -> Iterator[bytes]:
        """Yield output, and what is added if it is followed, until the container ends or nobody wants more.

        Args:
            options: which part.
            wanted: whether somebody still reads.
        """
        left = options.limit
        for line in self._lines(options, wanted):
            text = _shown(line, options)
            if left is not None:
                text, left = text[:left], left - min(left, len(text))
            if text:
                yield text
            if left == 0:
                return

    def tail(self, lines: int, size: int) -> str:
        """Return the end of the output: so many lines, and so many bytes, at most."""
        text = b"".join(self.read(LogOptions(tail=lines), lambda: False))
        return text[-size:].decode(errors="replace")

    @property
    def _aside(self) -> Path:
        return self.path.with_suffix(".old")

    def _store(self, entries: bytes) -> None:
        with self._changed:
            self._file.write(entries)
            if self._file.tell() > self._largest:
                self._file.close()
                self.path.rename(self._aside)
                self._file = self.path.open("ab", buffering=0)
            self._changed.notify_all()

    def _lines(self, options: LogOptions, wanted: Callable[[], bool]) -> Iterator[bytes]:
        try:
            file: BinaryIO = self.path.open("rb")
        except FileNotFoundError:
            return
        if options.tail is not None:
            yield from deque(file, maxlen=options.tail)
        while True:
            yield from file
            with self._changed:
                if file.tell() < os.fstat(file.fileno()).st_size:
                    continue
                rotated = self.path.exists() and not os.path.samestat(os.fstat(file.fileno()), self.path.stat())
                if not rotated:
                    if not options.follow or self.closed or not wanted():
                        break
                    self._changed.wait(CHECK_SECONDS)
                    continue
            file = _reopened(file, self.path)
        file.close()


def _reopened(file: BinaryIO, path: Path) -> BinaryIO:
    file.close()
    return path.open("rb")


def _entries(now: bytes, line: bytes, tag: bytes) -> bytes:
    """Return a line as it is stored; one that is too long in parts."""
    stored = b""
    while len(line) > LONGEST_LINE:
        stored += b"%b stdout P %b\n" % (now, line[:LONGEST_LINE])
        line = line[LONGEST_LINE:]
    return stored + b"%b stdout %b %b\n" % (now, tag, line)


def _shown(line: bytes, options: LogOptions) -> bytes:
    """Return a stored line as it is shown; nothing if it is older than asked for."""
    when, _, tag, text = line.rstrip(b"\n").split(b" ", 3)
    if when.decode() < options.since:
        return b""
    return (when + b" " if options.timestamps else b"") + text + (b"\n" if tag == b"F" else b"")
