"""A check: what it proves of which part of the model, and how it is found out."""

from collections.abc import Callable
from dataclasses import dataclass

from mesh_federation.verify.verdict import Verdict


@dataclass(frozen=True)
class Check:
    """One check of one part of a federation.

    Attributes:
        id: what kind of check it is, `group.name`; several parts of a federation have a check of the same id.
        about: places in the stack file that it is about, as findings name them.
        proves: what holds when it passes, in a line.
        judge: looks and decides; may raise Unseen or NotApplicable.
    """

    id: str
    about: tuple[str, ...]
    proves: str
    judge: Callable[[], Verdict]

    @property
    def group(self) -> str:
        """The layer that it belongs to."""
        return self.id.partition(".")[0]

    def is_meant(self, wanted: str) -> bool:
        """Say whether a person who names an id, a group or a place in the stack file means this check."""
        return wanted in (self.id, self.group) or wanted in self.about
