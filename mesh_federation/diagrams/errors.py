"""The error of this package."""


class TopologyError(Exception):
    """A picture cannot be drawn."""

    def __init__(self, what: str, why: str, fix: str) -> None:
        """Build the message from the problem, its cause and its fix."""
        super().__init__(f"{what}\n  {why}\n  -> {fix}")
