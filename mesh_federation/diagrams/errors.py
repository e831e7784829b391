"""The error of this package."""

from mesh_federation.stack.problem import Problem, ProblemError


class TopologyError(ProblemError):
    """A picture cannot be drawn."""

    def __init__(self, what: str, why: str, fix: str) -> None:
        """Build the message from the problem, its cause and its fix."""
        super().__init__(Problem("", "not-drawn", what, fix, why))
