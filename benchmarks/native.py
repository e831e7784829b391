"""Measures federations of native clusters: from nothing to the first answered call, and what they take to run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import psutil
import typer
import yaml

from benchmarks.command import main, tell
from benchmarks.figures import Spread
from benchmarks.machine import Machine
from benchmarks.memory import below
from benchmarks.product import Product
from benchmarks.scratch import CHECKOUT, scratch

STACK = "embedded"
COMMITTED = 2
"""Clusters of the committed stack."""
PAGE = CHECKOUT / "docs" / "bring-up-native.md"
HEAD = """# Bring-up on native clusters

Written by `make bench-native`. Do not edit this page; run the benchmark again.

The stack `embedded` in a new checkout, from nothing to the first answer (200) of a call from one mesh to another, as
`make up` makes it: packages and toolchain are there, and no cluster, state or rendered chart. Every further cluster is
a mesh of its own that imports the same service. Seconds: median (minimum to maximum)."""
TAIL = """- first 200: until `./mesh up --yes --call` tells the first answer.
- `up`: until it ends. By then every importing cluster was answered, and an undeclared caller was refused.
- `up` again: nothing is to change. `verify`: all checks, refusals included; all passed.
- Memory: what control planes and pods use once it is up; pages that processes share are counted once (PSS)."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class NativeRound:
    """One bring-up, in seconds, and what ran then, in bytes.

    Attributes:
        clusters: how many.
        first: from nothing to the first answered call.
        up: to the end of that `up`: all calls are answered, and an undeclared caller was refused.
        again: an `up` that changes nothing.
        verify: a verification.
        down: the removal.
        memory: of everything in the sandbox.
    """

    clusters: int
    first: float
    up: float
    again: float
    verify: float
    down: float
    memory: int


@app.command()
def bench(
    rounds: Annotated[int, typer.Option(min=1, help="Bring-ups of each size.")] = 3,
    sizes: Annotated[str, typer.Option(help="Numbers of clusters.")] = "2,3,5,10",
) -> None:
    """Measure federations of several sizes, and write the page."""
    machine: Machine | None = None
    measured = []
    for size in map(int, sizes.split(",")):
        for number in range(1, rounds + 1):
            tell(f"{size} clusters, round {number} of {rounds}")
            with scratch() as folder:
                product = Product.fresh(folder, STACK, "native")
                machine = machine or Machine.current(product.toolchain)
                measured.append(_round(product, size))
    assert machine
    PAGE.write_text(page(machine, rounds, measured), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


def _round(product: Product, size: int) -> NativeRound:
    declare(product.checkout / f"Pulumi.{STACK}.yaml", size)
    first, up = product.answered()
    again, _ = product.up()
    memory = sum(_proportional(each) for each in psutil.process_iter() if below(each, product.checkout))
    verify = product.timed("verify")
    return NativeRound(size, first, up, again, verify, product.down(), memory)


def declare(file: Path, size: int) -> None:
    """Add clusters to the committed stack, each a mesh that imports the service of west."""
    declared = yaml.safe_load(file.read_text(encoding="utf-8"))
    federation = declared["config"]["mesh-federation:federation"]
    for number in range(1, size - COMMITTED + 1):
        name = f"mesh-{number}"
        federation["clusters"][name] = {
            "provisioner": "native", "podSubnet": f"10.{50 + number}.0.0/16",
            "serviceSubnet": f"10.255.{50 + number}.0/24", "trustDomain": f"{name}.local",
        }  # fmt: skip
        federation["exports"][0]["to"].append({"cluster": name, "serviceAccounts": ["sleep/sleep"]})
        federation["imports"].append({**federation["imports"][0], "cluster": name})
        federation["workloads"].append({"cluster": name, "sample": "sleep"})
    file.write_text(yaml.safe_dump(declared, sort_keys=False), encoding="utf-8")


def _proportional(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


def page(machine: Machine, rounds: int, measured: Sequence[NativeRound]) -> str:
    """Return the page."""
    sizes = sorted({each.clusters for each in measured})
    rows = [_row([each for each in measured if each.clusters == size]) for size in sizes]
    where = f"{machine.processor}, {machine.cores} cores, {machine.memory_gib} GiB, {machine.kernel}"
    lines = [
        HEAD,
        "",
        "| clusters | first 200 | `up` | `up` again | `verify` | `down` | memory, GiB |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"Rounds of each size: {rounds}. {where}; load {machine.load} before the run.",
        "",
        TAIL,
        "",
        "Run it with `make bench-native`, and `ROUNDS=n` for another number of rounds.",
        "",
    ]
    return "\n".join(lines)


def _row(of_size: Sequence[NativeRound]) -> str:
    columns = (
        [each.first for each in of_size], [each.up for each in of_size], [each.again for each in of_size],
        [each.verify for each in of_size], [each.down for each in of_size], [each.memory / 2**30 for each in of_size],
    )  # fmt: skip
    return f"| {of_size[0].clusters} | {' | '.join(_spread(values) for values in columns)} |"


def _spread(values: Sequence[float]) -> str:
    spread = Spread.of(values)
    return f"{spread.median:.1f} ({spread.min:.1f} to {spread.max:.1f})"


if __name__ == "__main__":
    main(app)
