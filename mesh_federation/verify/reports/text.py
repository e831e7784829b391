"""A report for the terminal: a line a check while it runs, then what is wrong, causes first."""

from rich.console import Console
from rich.text import Text

from mesh_federation.verify.reports.report import Entry, Report
from mesh_federation.verify.verdict import Status

MARKS = {
    Status.PASSED: ("ok  ", "green"),
    Status.FAILED: ("FAIL", "bold red"),
    Status.NOT_APPLICABLE: ("n/a ", "dim"),
    Status.COULD_NOT_RUN: ("??  ", "yellow"),
}
"""A word beside the colour: not everybody sees colours, and files have none."""


def line(entry: Entry) -> Text:
    """Write a check in a line."""
    mark, style = MARKS[entry.status]
    said = f"  {entry.found}" if entry.status is Status.NOT_APPLICABLE else ""
    text = Text.assemble((mark, style), f" {entry.id:<27}", entry.proves, (said, "dim"))
    return text.append(f"  {entry.seconds:.1f} s", "dim")


def wrong(entry: Entry) -> Text:
    """Write what is wrong and what to do about it."""
    mark, style = MARKS[entry.status]
    text = Text.assemble((mark, style), f" {entry.id}  ", (", ".join(entry.about), "dim"), f"\n     {entry.found}")
    return text.append(f"\n     -> {entry.hint}") if entry.hint else text


def summary(report: Report) -> Text:
    """Count, and say in a line how it stands."""
    counts = report.counts
    told = [
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
    return Text.assemble(f"{report.stack}: ", (verdict, style), f": {', '.join(told)}, in {report.seconds:.1f} s")


def close(report: Report, console: Console) -> None:
    """Print what follows the lines: what is wrong, causes first, then the summary."""
    for entry in report.wrong:
        console.print(Text("\n") + wrong(entry), soft_wrap=True)
    console.print(Text("\n") + summary(report), soft_wrap=True)
