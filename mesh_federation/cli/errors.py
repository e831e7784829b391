"""Errors of the command line itself, each with its exit status."""

from mesh_federation.stack.problem import ProblemError

FAILED = 1
NOT_RUN = 2
"""Exit status of a verification that could not run; 1 means that a check failed."""
UNWRITTEN = 2
"""Exit status if output cannot be written, so that the result is unknown."""


class Refused(ProblemError):
    """A command was refused."""

    code = FAILED


class CouldNotRun(Refused):
    """A verification could not run: its result is unknown, which is no failure."""

    code = NOT_RUN
