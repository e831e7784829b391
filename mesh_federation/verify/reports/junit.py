"""A report as JUnit XML, as build servers read it: a suite a group, a case a check."""

from xml.etree import ElementTree

from mesh_federation.verify.reports.report import Entry, Report
from mesh_federation.verify.verdict import Status

OUTCOME = {Status.FAILED: "failure", Status.COULD_NOT_RUN: "error", Status.NOT_APPLICABLE: "skipped"}


def write(report: Report) -> str:
    """Return the document."""
    root = ElementTree.Element("testsuites", name=f"mesh verify {report.stack}", time=f"{report.seconds}")
    root.extend(_suite(group, entries, report) for group, entries in report.groups)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _suite(group: str, entries: list[Entry], report: Report) -> ElementTree.Element:
    attributes = {
        "name": group,
        "tests": str(len(entries)),
        "time": f"{sum(entry.seconds for entry in entries):.2f}",
        "timestamp": report.taken.isoformat(timespec="seconds"),
    }
    attributes |= {
        name: str(sum(entry.status is status for entry in entries))
        for name, status in (
            ("failures", Status.FAILED), ("errors", Status.COULD_NOT_RUN), ("skipped", Status.NOT_APPLICABLE),
        )
    }  # fmt: skip
    suite = ElementTree.Element("testsuite", attributes)
    suite.extend(_case(entry) for entry in entries)
    return suite


def _case(entry: Entry) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=entry.id, name=entry.proves, time=f"{entry.seconds:.2f}")
    if outcome := OUTCOME.get(entry.status):
        told = ElementTree.SubElement(case, outcome, message=_plain(entry.found))
        told.text = _plain(entry.hint)
    return case


def _plain(text: str) -> str:
    """Drop what XML cannot hold."""
    return "".join(each for each in text if each.isprintable() or each in "\n\t")
