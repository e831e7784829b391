"""Runs other programs to their end: one way for jobs, clusters, the engine and the command line."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

ProcessResult = subprocess.CompletedProcess[str]
"""A program that has ended: its exit status and what it printed."""


class ProgramMissing(Exception):
    """A program that is not on PATH; the text says how to get it."""

    def __init__(self, program: str) -> None:
        """Name the program."""
        super().__init__(f'{program} is not on PATH: run `./mesh doctor`, then `eval "$(./mesh env)"`')
        self.program = program


class ProgramTimeout(Exception):
    """A program that did not end in time."""

    def __init__(self, command: Sequence[str], seconds: float) -> None:
        """Name the command line and the limit."""
        super().__init__(f"`{' '.join(command)}` did not end within {seconds:g} s")


def run(
    command: Sequence[str],
    *,
    stdin: str = "",
    variables: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    timeout: float | None = None,
    umask: int = -1,
) -> ProcessResult:
    """Run a program and return how it ended, whatever its exit status.

    Args:
        command: the program and its arguments.
        stdin: text for its standard input.
        variables: environment variables to add to those of this process.
        environment: all environment variables of the program; those of this process if left out.
        folder: working directory; that of this process if left out.
        timeout: seconds after which it is killed.
        umask: of the program; that of this process if left out.

    Raises:
        ProgramMissing: the program is not on PATH.
        ProgramTimeout: it did not end in time.
    """
    known = os.environ if environment is None else environment
    try:
        return subprocess.run(
            command, env={**known, **(variables or {})}, cwd=folder, input=stdin, capture_output=True, text=True,
            errors="replace", timeout=timeout, umask=umask, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise ProgramMissing(command[0]) from None
    except subprocess.TimeoutExpired:
        raise ProgramTimeout(command, timeout or 0) from None
