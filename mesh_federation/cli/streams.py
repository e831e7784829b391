"""Standard output and error, whatever they are connected to: a terminal, a full disk, a pipe, or nothing."""

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING

from mesh_federation.stack.text import printable

if TYPE_CHECKING:
    from rich.console import Console


class OutputClosed(Exception):
    """Nobody can read what this program is about to say."""


def settle() -> None:
    """Let every text be printed: what an encoding lacks becomes `?`, and a terminal has at least one column.

    Raises:
        OutputClosed: standard output is closed.
    """
    if sys.stderr is None:  # closed by the caller
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    if sys.stdout is None:
        raise OutputClosed
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if os.environ.get("COLUMNS", "").strip("0 ") == "":
        os.environ.pop("COLUMNS", None)


def say(console: "Console", text: str, end: str = "\n") -> None:
    """Print a text as it is: people paste its lines, `exports[0]` is a path in it, and others may have written parts.

    Args:
        console: where to.
        text: one line or more.
        end: what follows it.
    """
    console.print(printable(text), end=end, markup=False, highlight=False, soft_wrap=True)


def tell(text: str) -> None:
    """Print a text to standard error, as it is."""
    from rich.console import Console

    say(Console(stderr=True), text)


def flush() -> None:
    """Write what is left.

    Raises:
        OSError: it cannot be written.
    """
    if sys.stdout is not None:
        sys.stdout.flush()


def give_up() -> None:
    """Drop what could not be written, so that the interpreter does not try it again when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
