"""A verification report as one self-contained page: the picture, and every check with its evidence."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mesh_federation.verify.reports.report import VerificationReport
from mesh_federation.verify.reports.text import MARKS

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
VERDICTS = {0: "verified", 1: "not as declared", 2: "not verified"}


def write(report: VerificationReport, picture: str) -> str:
    """Return the page.

    Args:
        report: the report.
        picture: the federation as an SVG element without a prolog.
    """
    folder = FileSystemLoader(Path(__file__).parent)
    pages = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return pages.get_template("page.html").render(
        report=report,
        verdict=VERDICTS[report.code],
        titles=TITLES,
        marks=MARKS,
        picture=Markup(picture),
    )
