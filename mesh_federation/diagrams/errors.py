"""The one error of this room: what cannot be drawn, why, and what to do instead."""


class TopologyError(Exception):
    """Something that was asked for cannot be drawn."""

    def __init__(self, what: str, why: str, fix: str) -> None:
        """Say all three."""
        super().__init__(f"{what}\n  {why}\n  -> {fix}")
