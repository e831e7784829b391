"""A report as one page that needs nothing else: the picture of the federation, and every check with its evidence."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from checks.catalogue import GROUPS
from reports.report import Report
from reports.text import MARKS

TITLES = {
    "control-planes": "Control planes",
    "drift": "Drift",
    "trust": "Trust",
    "gateways": "Gateways",
    "exports": "Exports",
    "imports": "Imports",
    "traffic": "Traffic",
    "refusals": "Refusals",
    "drill": "Failover drill",
}
VERDICTS = {0: "Verified", 1: "Not as declared", 2: "Not verified"}


def write(report: Report, picture: str) -> str:
    """Return the page.

    Args:
        report: of a verification.
        picture: of the federation, as an SVG element without a prolog.
    """
    folder = FileSystemLoader(Path(__file__).parent)
    pages = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return pages.get_template("page.html").render(
        report=report,
        verdict=VERDICTS[report.code],
        counts={status.value: count for status, count in report.counts.items()},
        groups=[
            (TITLES[group], entries)
            for group in GROUPS
            if (entries := [entry for entry in report.results if entry.group == group])
        ],
        wrong=[entry for entry in report.results if entry.status in ("failed", "could-not-run")],
        marks={status: mark.strip() for status, (mark, _) in MARKS.items()},
        picture=Markup(picture),
    )
