"""A verification report for the terminal: one line for each check as it ends, then the problems and a summary."""

from rich.console import Console
from rich.text import Text

from mesh_federation.stack.problem import indented
from mesh_federation.verify.reports.report import CheckEntry, VerificationReport
from mesh_federation.verify.verdict import Status

MARKS = {
    Status.PASSED: ("ok  ", "green"),
    Status.FAILED: ("FAIL", "bold red"),
    Status.NOT_APPLICABLE: ("n/a ", "dim"),
    Status.COULD_NOT_RUN: ("??  ", "yellow"),
}
"""A word and a colour: not every reader and no file has colours."""


def line(entry: CheckEntry) -> Text:
    """Return one check as one line."""
    mark, style = MARKS[entry.status]
    reason = f"  {entry.message}" if entry.status is Status.NOT_APPLICABLE else ""
    text = Text.assemble((mark, style), f" {entry.id:<27}", entry.description, (reason, "dim"))
    return text.append(f"  {entry.seconds:.1f} s", "dim")


def problem(entry: CheckEntry) -> Text:
    """Return a failed or inconclusive check with its remedy."""
    mark, style = MARKS[entry.status]
    heading, _, rest = entry.problem.listed.partition("\n")
    return Text.assemble((mark, style), f" {entry.id}  ", (", ".join(entry.about), "dim")).append(
        f"\n{indented(rest)}" if heading else ""
    )


def summary(report: VerificationReport) -> Text:
    """Return the counts and the overall result as one line."""
    counts = report.counts
    counted = [
        f"{counts[Status.PASSED]} passed",
        f"{counts[Status.FAILED]} failed",
        f"{counts[Status.COULD_NOT_RUN]} could not run",
        f"{counts[Status.NOT_APPLICABLE]} not applicable",
    ]
    verdict, style = {
        0: ("verified", "bold green"),
        1: ("NOT as declared", "bold red"),
        2: ("not verified", "bold yellow"),
    }[report.code]
    return Text.assemble(f"{report.stack}: ", (verdict, style), f": {', '.join(counted)}, in {report.seconds:.1f} s")


def close(report: VerificationReport, console: Console) -> None:
    """Print the problems, causes first, and the summary."""
    for entry in report.wrong:
        console.print(Text("\n") + problem(entry), soft_wrap=True)
    console.print(Text("\n") + summary(report), soft_wrap=True)
