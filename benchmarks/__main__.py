"""Measures a whole bring-up, round by round, the product and the sequential script in turns."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import apply, events, listing, memory, program, script
from benchmarks.command import main, tell
from benchmarks.figures import Memory, Round
from benchmarks.machine import Machine
from benchmarks.product import Product
from benchmarks.report import Report, writable
from benchmarks.scratch import CHECKOUT, scratch
from mesh_federation import loader
from mesh_federation.plan.federation import Plan, plan

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def bench(
    rounds: Annotated[int, typer.Option(min=1, help="How often product and script take turns.")] = 3,
    stack: Annotated[str, typer.Option(help="Stack file with simulated clusters and a common root.")] = "simulated",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """Measure a bring-up beside a sequential script that makes the same. Nothing is asserted but the sameness."""
    output = writable(json_file) if json_file else None
    federation = loader.read(CHECKOUT / f"Pulumi.{stack}.yaml")
    script.suits(federation)
    planned = plan(federation, stack)
    tell("peak memory, and the first touch of every file: one bring-up that does not count")
    machine, peak = _warm_up(stack)
    measured = [_round(stack, planned, number) for number in range(1, rounds + 1)]
    report = Report(stack, machine, peak, measured)
    report.show(Console())
    if output:
        output.write_text(json.dumps(report.document(), indent=2) + "\n", encoding="utf-8")


def _warm_up(stack: str) -> tuple[Machine, Memory]:
    """Bring the stack up once under the eye of the sampler, which would cost the timed rounds a few percent."""
    with scratch() as folder:
        product = Product.fresh(folder, stack)
        machine = Machine.current(product.toolchain)
        with memory.watching(folder) as peak:
            product.up()
        product.down()
    return machine, peak.memory


def _round(stack: str, planned: Plan, number: int) -> Round:
    """Measure everything once; what was brought up is gone before the next begins, so that nothing runs beside it."""
    with scratch() as folder:
        tell(f"round {number}: preview and program")
        product = Product.fresh(folder, stack)
        preview = product.preview()
        alone = program.measure(stack, {**product.environment, **product.toolchain.environment()})
    with scratch() as folder:
        tell(f"round {number}: up, up again, down")
        product = Product.fresh(folder, stack)
        up, seen = product.up()
        noop, _ = product.up()
        objects = product.objects()
        kinds = listing.kinds(body for bodies in objects.values() for body in bodies)
        environment = {**product.environment, **product.toolchain.environment()}
        kubeconfigs = product.kubeconfigs().items()
        made = {cluster: listing.listing(file, kinds, environment) for cluster, file in kubeconfigs}
        destroy = product.down()
    with scratch() as folder:
        tell(f"round {number}: script")
        script.write(planned, folder, product.toolchain)
        scripted = script.execute(planned, folder, product.toolchain, environment)
        by_hand = {c: listing.listing(folder / c / "kubeconfig", kinds, environment) for c in planned.clusters}
        listing.require_same(made, by_hand)
    with scratch() as folder:
        tell(f"round {number}: bare kubectl apply")
        applied = apply.execute(planned, objects, folder, product.toolchain, environment)
    measured = Round(
        preview=preview,
        up=up,
        phases=events.phases(seen),
        noop=noop,
        destroy=destroy,
        script=scripted,
        apply=applied,
        program=alone,
        objects=len(events.kubernetes_objects(seen)),
    )
    tell(f"round {number}: up {up:.1f} s, script {scripted:.1f} s, ratio {measured.ratio:.2f}")
    return measured


if __name__ == "__main__":
    main(app)
