"""The figures and their arithmetic: pure, so that what they mean can be read and tested."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.events import Span


@dataclass(frozen=True)
class Spread:
    """Several measurements of the same thing."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Sum up measurements.

        Raises:
            ValueError: there are none.
        """
        if not values:
            raise ValueError("nothing was measured")
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True)
class Memory:
    """Peaks of resident memory in bytes; pages that processes share are counted in each of them.

    Attributes:
        engine: command line, engine, plugins, program and what they run.
        control_planes: of the simulated clusters.
        total: of both together; less than the sum where they peak at different moments.
    """

    engine: int
    control_planes: int
    total: int


@dataclass(frozen=True)
class Round:
    """What one round measured, in seconds.

    Attributes:
        preview: first preview in an empty checkout.
        up: first `mesh up --yes`, from the start of the process to its end.
        phases: of that up.
        noop: second up, which changes nothing.
        destroy: `mesh down --yes`.
        script: the sequential script.
        apply: `kubectl apply` of the product's objects to empty clusters that run, and the wait until they are ready.
        program: the Pulumi program alone, from the start of its interpreter to its last registration.
        objects: how many Kubernetes objects the product made.
    """

    preview: float
    up: float
    phases: Mapping[str, Span]
    noop: float
    destroy: float
    script: float
    apply: float
    program: float
    objects: int

    @property
    def ratio(self) -> float:
        """Time of the product as a share of the script's."""
        return self.up / self.script

    @property
    def before(self) -> float:
        """Seconds until the engine began with the first resource of a phase: everything had to be started."""
        return min(span.start for span in self.phases.values())

    @property
    def after(self) -> float:
        """Seconds from the end of the last resource of a phase to the end of `up`."""
        return self.up - max(span.end for span in self.phases.values())

    @property
    def overhead(self) -> float:
        """Seconds that the engine costs for each Kubernetes object.

        The whole `up`, less the clusters (from its start on them until the last one can be used), less the bare
        apply of the same objects to such clusters. What is left is the start of command line, engine, program and
        plugins, rendering, keys, the engine's steps and its state.
        """
        return (self.up - self.phases["clusters"].seconds - self.apply) / self.objects
