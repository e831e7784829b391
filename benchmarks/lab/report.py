"""The figures as a page for people, and as a document for programs: pure."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from benchmarks.events import PHASES
from benchmarks.figures import Spread
from benchmarks.lab import figures
from benchmarks.lab.figures import Round, Target
from benchmarks.machine import Machine

HEAD = """# Bring-up on real clusters

Written by `make bench-lab`. Do not edit this page; run the benchmark again.

Two kind clusters, from nothing to the first answer (200) of a call from one mesh to the other: this product, and the
same walk-through as a script (`benchmarks/walkthrough.sh`), on one machine, in one run, alternating. Both create the
same objects with the same images, charts, values and manifests; objects and images are compared, and nothing is
reported if they differ. Toolchain and images are on the machine before. Seconds, {rounds}: median (minimum to
maximum)."""

WAYS = """## What is measured

- Bring-up: `./mesh up --yes --stack {stack}`, then calls until one is answered with 200. The first bring-up is that of
  a new checkout: no state, no PULUMI_HOME, no rendered chart. The second one follows a `./mesh down`.
- Script: kind creates one cluster after the other; then MetalLB, certificates, Istio, gateways, export, samples and
  import, each waited for only where the next step needs it. Then the same calls.
- Phases of the product run in parallel and overlap; each lasts from the first start to the last end of its resources.
  Steps of the script follow one another and add up.
- `preview`: no cluster exists, so every object is new.
- Export removed, export added: export and import are removed from the stack file, or added again; after `up` has
  ended, calls are made until they show it. Refused means both: the call fails, and the gateway presents no certificate
  for the service any more.
- Memory: the maximum of the resident memory of all processes that `./mesh up` runs, in a separate bring-up whose time
  does not count. Shared pages are counted in each process. Containers are left out, as the script has the same.

Run it with `make bench-lab`, with `OVERLAY=FILE` on a machine that needs one (docs/mirrors.md) and `ROUNDS=n` for
another number of rounds. It creates a Docker network of its own and removes it with everything in it."""


@dataclass(frozen=True)
class Report:
    """Everything that was measured.

    Attributes:
        stack: which stack file.
        machine: where.
        images: that ran in the clusters, without their registries.
        memory: peak of one further bring-up, in bytes.
        rounds: in the order in which they ran.
    """

    stack: str
    machine: Machine
    images: Sequence[str]
    memory: int
    rounds: Sequence[Round]

    def document(self) -> dict[str, object]:
        """Return everything as JSON values."""
        return asdict(self)

    def page(self) -> str:
        """Return everything as Markdown."""
        count = len(self.rounds)
        parts = [
            HEAD.format(rounds=f"{count} round{'' if count == 1 else 's'}"),
            self._totals(),
            "## Targets\n\n" + self._targets(),
            "## Phases\n\n" + self._phases(),
            "## A running federation\n\n" + self._changes(),
            "## Machine\n\n" + self._machine(),
            WAYS.format(stack=self.stack),
        ]
        return "\n\n".join(parts) + "\n"

    def _totals(self) -> str:
        ways: list[tuple[str, Callable[[Round], float], Callable[[Round], float]]] = [
            ("script", lambda r: r.script.total, lambda r: r.script.answer),
            ("product, new checkout", lambda r: r.product.cold.total, lambda r: r.product.cold.answer),
            ("product, again", lambda r: r.product.warm.total, lambda r: r.product.warm.answer),
        ]
        rows = [
            [name, _written(self._spread(total)), _written(self._spread(answer)), _written(self._share(total), 2)]
            for name, total, answer in ways
        ]
        return _table(
            ["from nothing to the first 200", "seconds", "of them after the command", "share of the script"], rows
        )

    def _share(self, total: Callable[[Round], float]) -> Spread:
        return self._spread(lambda r: total(r) / r.script.total)

    def _targets(self) -> str:
        held: list[tuple[Target, Callable[[Round], float], int]] = [
            (figures.RATIO, lambda r: r.ratio, 2),
            (figures.COLD_RATIO, lambda r: r.cold_ratio, 2),
            (figures.NOOP, lambda r: r.product.noop, 1),
            (figures.PREVIEW, lambda r: r.product.preview, 1),
            (figures.ADD, lambda r: r.product.add.effect, 1),
            (figures.REMOVE, lambda r: r.product.remove.effect, 1),
        ]
        rows = [_target_row(target, self._spread(figure), digits) for target, figure, digits in held]
        peak = Spread.of([self.memory])
        rows.append([figures.MEMORY.what, figures.MEMORY.allowed, _size(self.memory), figures.MEMORY.verdict(peak)])
        return _table(["figure", "target", "measured", ""], rows)

    def _phases(self) -> str:
        rows = [[phase, *self._product_phase(phase), self._script_step(phase)] for phase in PHASES]
        product, script = self._spread(lambda r: r.product.warm.command), self._spread(lambda r: r.script.command)
        rows.append(["whole command", "", _written(product), _written(script)])
        return _table(["phase", "product: from, to", "product", "script"], rows)

    def _product_phase(self, phase: str) -> tuple[str, str]:
        spans = [each.product.warm.phases[phase] for each in self.rounds if phase in each.product.warm.phases]
        if not spans:
            return "", ""
        start, end = median(span.start for span in spans), median(span.end for span in spans)
        return f"{start:.1f}, {end:.1f}", _written(Spread.of([span.seconds for span in spans]))

    def _script_step(self, phase: str) -> str:
        lasted = [each.script.steps[phase] for each in self.rounds if phase in each.script.steps]
        return _written(Spread.of(lasted)) if lasted else ""

    def _changes(self) -> str:
        commands: list[tuple[str, Callable[[Round], float], Callable[[Round], float] | None]] = [
            ("`preview`, nothing there", lambda r: r.product.preview, None),
            ("`up`, nothing to change", lambda r: r.product.noop, None),
            ("`up`, export and import removed", lambda r: r.product.remove.command, lambda r: r.product.remove.effect),
            ("`up`, export and import added", lambda r: r.product.add.command, lambda r: r.product.add.effect),
            ("`down`", lambda r: r.product.down, None),
        ]
        rows = [
            [name, _written(self._spread(command)), _written(self._spread(effect)) if effect else ""]
            for name, command, effect in commands
        ]
        return _table(["command", "seconds", "then, until calls show it"], rows)

    def _machine(self) -> str:
        machine = self.machine
        where = (
            f"{machine.processor}, {machine.cores} cores, {machine.memory_gib} GiB, {machine.kernel}; "
            f"load {machine.load} before the run."
        )
        versions = [f"- {name} {version}" for name, version in machine.versions.items()]
        return "\n".join([where, "", *versions, f"- images: {', '.join(self.images)}"])

    def _spread(self, figure: Callable[[Round], float]) -> Spread:
        return Spread.of([figure(each) for each in self.rounds])


def _target_row(target: Target, spread: Spread, digits: int) -> list[str]:
    return [target.what, target.allowed, _written(spread, digits), target.verdict(spread)]


def _written(spread: Spread, digits: int = 1) -> str:
    least, most = f"{spread.min:.{digits}f}", f"{spread.max:.{digits}f}"
    return f"{spread.median:.{digits}f} ({least} to {most})"


def _size(number: int) -> str:
    return f"{number / 1e6:.0f} MB"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * len(heads)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))
