"""Figures as a person reads them, and as a program does."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.events import PHASES
from benchmarks.figures import Memory, Round, Spread
from benchmarks.machine import Machine

MEANING = {
    "preview": "first `mesh preview` in a new checkout: nothing exists",
    "up": "first `mesh up --yes` in a new checkout, whole process",
    "before": "of up: start of command line, engine, plugins and program, charts rendered; no resource yet",
    "after": "of up: after the last resource; outputs, state, the summary",
    "noop": "second `mesh up --yes`: changes nothing",
    "destroy": "`mesh down --yes`",
    "script": "benchmarks/sequential.sh: the same objects, step after step",
    "apply": "bare kubectl apply of the same objects to running clusters, side by side, and the wait until ready",
    "program": "the Pulumi program without an engine: interpreter start to last registration",
    "ratio": "up as a share of script, of the same round",
    "overhead": "(up - its phase clusters - apply) / Kubernetes objects: what the engine costs for each object",
}
PHASE = "from the first start to the last end of its resources within up; phases overlap, so they do not add up"
_UP = "up: "


@dataclass(frozen=True)
class Report:
    """Everything that was measured.

    Attributes:
        stack: which stack file.
        machine: where.
        memory: of one further bring-up, whose time does not count.
        rounds: in the order in which they ran.
    """

    stack: str
    machine: Machine
    memory: Memory
    rounds: Sequence[Round]

    def spreads(self) -> dict[str, Spread]:
        """Return each figure over all rounds; phases are named `up: PHASE`."""
        figures: dict[str, Callable[[Round], float]] = {name: _figure(name) for name in MEANING}
        present = [phase for phase in PHASES if all(phase in each.phases for each in self.rounds)]
        figures |= {f"{_UP}{phase}": _phase(phase) for phase in present}
        return {name: Spread.of([figure(each) for each in self.rounds]) for name, figure in figures.items()}

    def document(self) -> dict[str, object]:
        """Return everything as JSON values."""
        spreads = {name: asdict(spread) for name, spread in self.spreads().items()}
        return {**asdict(self), "meaning": {**MEANING, "phases": PHASE}, "spreads": spreads}

    def show(self, console: Console) -> None:
        """Print everything."""
        console.print(_table(self))
        for text in (f"Phases: {PHASE}.", _explained(self.memory, self.rounds[0].objects), _where(self.machine)):
            console.print(text, markup=False, highlight=False, soft_wrap=True)


def _figure(name: str) -> Callable[[Round], float]:
    def read(each: Round) -> float:
        return float(getattr(each, name))

    return read


def _phase(phase: str) -> Callable[[Round], float]:
    return lambda each: each.phases[phase].seconds


def _table(report: Report) -> Table:
    title = f"stack {report.stack}, {len(report.rounds)} rounds, seconds"
    table = Table("figure", "median", "min", "max", "what it is", box=SIMPLE_HEAD, title=title)
    for name, spread in report.spreads().items():
        digits = 2 if name == "ratio" else 3 if name == "overhead" else 1
        numbers = [f"{number:.{digits}f}" for number in (spread.median, spread.min, spread.max)]
        table.add_row(name, *numbers, MEANING.get(name) or _when(report.rounds, name.removeprefix(_UP)))
    return table


def _when(rounds: Sequence[Round], phase: str) -> str:
    spans = [each.phases[phase] for each in rounds]
    start, end = median(span.start for span in spans), median(span.end for span in spans)
    return f"of up: from {start:.1f} to {end:.1f}"


def _explained(memory: Memory, objects: int) -> str:
    engine, planes, total = (f"{number / 2**20:.0f} MiB" for number in (
        memory.engine, memory.control_planes, memory.total
    ))  # fmt: skip
    return (
        f"Kubernetes objects: {objects}, the same in both (compared by name), beside Istio's CRDs.\n"
        f"Peak memory of an up: {total}; control planes {planes}, engine with plugins, program and commands {engine}.\n"
        "Resident pages that processes share are counted in each."
    )


def _where(machine: Machine) -> str:
    versions = "; ".join(f"{name} {version}" for name, version in machine.versions.items())
    return (
        f"{machine.processor}, {machine.cores} cores, {machine.memory_gib} GiB, {machine.kernel}, "
        f"load {machine.load} before the run.\n{versions}"
    )


def writable(path: Path) -> Path:
    """Return a path that can be written later, known before minutes are spent; it is left as it is.

    Raises:
        OSError: it cannot.
    """
    is_there = path.exists()
    path.touch()
    if not is_there:
        path.unlink()
    return path
