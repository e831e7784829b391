"""A check: which rule it verifies for which part of the model, and the function that does it."""

from collections.abc import Callable
from dataclasses import dataclass

from mesh_federation.verify.verdict import Verdict


@dataclass(frozen=True)
class Check:
    """One check of one part of a federation.

    Attributes:
        id: `group.name`; checks of several parts of a federation may share it.
        about: key paths of the stack file that the check is about.
        description: what is true when the check passes, in one line.
        run: makes the observations and decides; may raise Inconclusive or NotApplicable.
    """

    id: str
    about: tuple[str, ...]
    description: str
    run: Callable[[], Verdict]

    @property
    def group(self) -> str:
        """The layer of the federation that the check belongs to."""
        return self.id.partition(".")[0]

    def matches(self, selector: str) -> bool:
        """Return whether an id, a group or a key path of the stack file selects this check."""
        return selector in (self.id, self.group) or selector in self.about
