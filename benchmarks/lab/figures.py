"""What a round on real clusters measures, and what it is held against: pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.events import Span
from benchmarks.figures import Spread


@dataclass(frozen=True)
class BringUp:
    """The product, from nothing to the first call across the meshes.

    Attributes:
        command: seconds of `mesh up`, whole process.
        phases: of that command.
        answer: further seconds to the first 200.
    """

    command: float
    phases: Mapping[str, Span]
    answer: float

    @property
    def total(self) -> float:
        """Seconds in all."""
        return self.command + self.answer


@dataclass(frozen=True)
class Scripted:
    """The script, from nothing to the first call across the meshes.

    Attributes:
        command: seconds of the whole script.
        steps: seconds of each of its steps; they follow one another, so they add up.
        answer: further seconds to the first 200.
    """

    command: float
    steps: Mapping[str, float]
    answer: float = 0.0

    @property
    def total(self) -> float:
        """Seconds in all."""
        return self.command + self.answer


@dataclass(frozen=True)
class Change:
    """An edit of the stack file on a running federation.

    Attributes:
        command: seconds of `mesh up`.
        effect: further seconds until calls show it.
    """

    command: float
    effect: float


@dataclass(frozen=True)
class Turn:
    """What the product's half of a round measured, in seconds.

    Attributes:
        cold: first bring-up of a new checkout: no state, no home of Pulumi's, no rendered chart.
        warm: second bring-up of the same checkout, after a `mesh down`.
        preview: `mesh preview` with no cluster there: every object is new.
        noop: `mesh up` that changes nothing.
        remove: the export and its import are no longer declared.
        add: both are declared again.
        down: `mesh down`.
    """

    cold: BringUp
    warm: BringUp
    preview: float
    noop: float
    remove: Change
    add: Change
    down: float


@dataclass(frozen=True)
class Round:
    """What one round measured."""

    product: Turn
    script: Scripted

    @property
    def ratio(self) -> float:
        """Time of the warm bring-up as a share of the script's."""
        return self.product.warm.total / self.script.total

    @property
    def cold_ratio(self) -> float:
        """Time of the cold bring-up as a share of the script's."""
        return self.product.cold.total / self.script.total


@dataclass(frozen=True)
class Target:
    """What a figure should be.

    Attributes:
        what: the figure, for people.
        limit: its bound.
        allowed: the bound, for people.
        reached: whether the bound itself is good enough.
    """

    what: str
    limit: float
    allowed: str
    reached: bool = False

    def verdict(self, spread: Spread) -> str:
        """Say whether the figure is as it should be: a median that is does not speak for every round."""
        if self._met(spread.max):
            return "met"
        return "met by the median, not in every round" if self._met(spread.median) else "not met"

    def _met(self, value: float) -> bool:
        return value < self.limit or (self.reached and value == self.limit)


RATIO = Target("bring-up, as a share of the script", 0.6, "at most 0.6", reached=True)
COLD_RATIO = Target("bring-up of a new checkout, as a share of the script", 0.6, "at most 0.6", reached=True)
NOOP = Target("`up` that changes nothing", 10, "under 10 s")
PREVIEW = Target("`preview`", 8, "under 8 s")
ADD = Target("export added: first 200 after `up` returned", 5, "under 5 s")
REMOVE = Target("export removed: refusal after `up` returned", 5, "under 5 s")
MEMORY = Target("peak memory of engine, plugins and program", 1e9, "under 1 GB")
