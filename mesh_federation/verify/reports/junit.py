"""A verification report as JUnit XML: one suite for each group, one case for each check."""

from mesh_federation.stack.junit import JUnitCase, JUnitSuite, junit_report
from mesh_federation.verify.reports.report import CheckEntry, VerificationReport
from mesh_federation.verify.verdict import Status

OUTCOMES = {
    Status.PASSED: "", Status.FAILED: "failure", Status.COULD_NOT_RUN: "error", Status.NOT_APPLICABLE: "skipped",
}  # fmt: skip


def write(report: VerificationReport) -> str:
    """Return the document."""
    started = report.taken.isoformat(timespec="seconds")
    suites = [JUnitSuite(group, [_case(entry) for entry in entries], started) for group, entries in report.groups]
    return junit_report(f"mesh verify {report.stack}", suites, report.seconds)


def _case(entry: CheckEntry) -> JUnitCase:
    return JUnitCase(entry.id, entry.description, OUTCOMES[entry.status], entry.problem, entry.seconds)
