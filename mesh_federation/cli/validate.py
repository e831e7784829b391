"""`mesh validate`: finds all problems of a stack file, without an engine and without a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mesh_federation import loader
from mesh_federation.cli.options import ProblemFormat
from mesh_federation.cli.streams import say
from mesh_federation.plan.expiry import Ending, expiring
from mesh_federation.stack.config import Federation
from mesh_federation.stack.junit import JUnitCase, JUnitSuite, junit_report
from mesh_federation.stack.problem import InvalidModel, Problem, json_report, report

if TYPE_CHECKING:
    from rich.console import Console


def validate(
    stack_file: Path, console: Console, overlay: Path | None = None, form: ProblemFormat = ProblemFormat.TEXT
) -> int:
    """Check a stack file, with an overlay merged over it, and print the problems.

    Returns:
        The exit status: 0 if the stack file is valid, else 1.
    """
    name = named(stack_file, overlay)
    notes, problems = "", tuple[Problem, ...]()
    try:
        federation = loader.read(stack_file, overlay)
        notes = "\n".join([summary(name, federation), *map(warning, expiring(federation))])
    except InvalidModel as invalid:
        problems = invalid.problems
    if form is ProblemFormat.TEXT:
        text = report(name, problems) if problems else notes
    else:
        text = (
            json_report(name, problems) if form is ProblemFormat.JSON else junit_report(name, [_suite(name, problems)])
        )
    say(console, text, end="")
    return 1 if problems else 0


def _suite(name: str, problems: Sequence[Problem]) -> JUnitSuite:
    failures = [JUnitCase(each.rule, each.where or name, "failure", each) for each in problems]
    return JUnitSuite("validate", failures or [JUnitCase("validate", name)])


def named(stack_file: Path, overlay: Path | None) -> str:
    """Name the files that were read, so that nobody overlooks an overlay."""
    return f"{stack_file.name} with {overlay}" if overlay else stack_file.name


def warning(ending: Ending) -> str:
    """Describe a certificate that expires soon."""
    return f"  warning: {ending.name} expires on {ending.date}, in {ending.days_left} days: renew it in time\n"


def summary(name: str, federation: Federation) -> str:
    """Summarize a valid stack file."""
    counts = {
        "cluster": len(federation.own),
        **({"partner": len(federation.partners)} if federation.partners else {}),
        "export": len([each for each in federation.exports if not each.is_of_partner]),
        "import": len(federation.imports),
        "workload": len(federation.workloads),
    }
    declared = ", ".join(f"{number} {noun}{'' if number == 1 else 's'}" for noun, number in counts.items())
    return f"{name}: no problems ({declared})\n"
