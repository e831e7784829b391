"""Measures bring-ups on kind clusters, product and script in turns, and writes what came of it to a page."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.command import main, tell
from benchmarks.lab import measure
from benchmarks.lab.network import cleared, new_name
from benchmarks.lab.report import Report
from benchmarks.report import writable
from benchmarks.scratch import CHECKOUT, scratch
from mesh_federation.stack import overlay as overlays

PAGE = CHECKOUT / "docs" / "bring-up.md"
SUBNET = "172.25.0.0/16"
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def bench(
    rounds: Annotated[int, typer.Option(min=1, help="How often product and script take turns.")] = 5,
    stack: Annotated[str, typer.Option(help="Stack file with kind clusters and a common root.")] = "east-west",
    overlay: Annotated[Path | None, typer.Option(help="Lay this file over the stack file.")] = None,
    page: Annotated[Path, typer.Option(help="Where to write the page.")] = PAGE,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file, too.")] = None,
    subnet: Annotated[str, typer.Option(help="Addresses of the Docker network that is made.")] = SUBNET,
) -> None:
    """Measure bring-ups on real clusters. Nothing is asserted but the sameness of what was made."""
    for output in (page, *([json_file] if json_file else [])):
        writable(output)
    laid = overlay.resolve() if overlay else overlays.chosen(os.environ)
    with scratch() as folder:
        lab = measure.prepare(folder, stack, laid, measure.Network(new_name(), subnet))
        with cleared(lab.network):
            tell("memory, and the first touch of every file: one bring-up that does not count")
            first = measure.warm_up(lab)
            measured = [measure.round_of(lab, first, number, tell) for number in range(1, rounds + 1)]
    report = Report(stack, first.machine, first.images, first.memory, measured)
    page.write_text(report.page(), encoding="utf-8")
    if json_file:
        json_file.write_text(json.dumps(report.document(), indent=2) + "\n", encoding="utf-8")
    tell(f"{page} is written")


if __name__ == "__main__":
    main(app)
