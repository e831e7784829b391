"""How a command of this program ended."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CommandResult:
    """A command or a job that has ended.

    Attributes:
        status: its exit status.
        out: standard output.
        err: standard error.
    """

    status: int
    out: str
    err: str
