"""A report tells what is wrong, causes first, to people and to programs."""

import json
from datetime import UTC, datetime
from xml.etree import ElementTree

import jsonschema
import pytest

from mesh_federation.verify.check import Check
from mesh_federation.verify.reports import html, junit, text
from mesh_federation.verify.reports.report import VerificationReport, report, schema
from mesh_federation.verify.runner import CheckResult
from mesh_federation.verify.verdict import Verdict, could_not_run, failed, not_applicable, passed
from tests.unit.components.recorder import ROOT

NASTY = "<script>alert(1)</script> & [bold]x[/bold] \x1b[31m"
TAKEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def result(check: str, verdict: Verdict, description: str = "it holds") -> CheckResult:
    return CheckResult(Check(check, ("clusters.east",), description, lambda: verdict), verdict, 0.25)


def told(*results: CheckResult) -> VerificationReport:
    return report("east-west", TAKEN, 1.5, results)


PASSED, FAILED = result("trust.cacerts", passed("yes", root="abc")), result("traffic.answers", failed("no", "do"))
UNKNOWN, SKIPPED = (
    result("gateways.address", could_not_run("away", "up")),
    result("exports.shown", not_applicable("kwok")),
)


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ((PASSED,), 0),
        ((PASSED, SKIPPED), 0),
        ((PASSED, FAILED, UNKNOWN), 1),
        ((PASSED, UNKNOWN), 2),
        ((SKIPPED,), 2),
        ((), 2),
    ],
)
def test_the_exit_status_is_0_only_if_something_passed_and_nothing_is_unknown(
    results: tuple[CheckResult, ...], code: int
) -> None:
    assert told(*results).code == code


def test_causes_come_before_what_follows_from_them() -> None:
    made = told(FAILED, result("drift.objects", failed("x", "y")), result("control-planes.api", failed("x", "y")))
    assert [entry.id for entry in made.results] == ["control-planes.api", "drift.objects", "traffic.answers"]


def test_nothing_that_a_mesh_answered_controls_a_terminal() -> None:
    [entry] = told(result("traffic.answers", failed("no:\n\x1b]0;mine\x07", "do\r", body="\u202eok"))).results
    assert (entry.message, entry.hint, entry.evidence) == ("no:\n\\x1b]0;mine\\x07", "do\\x0d", {"body": "\\x202eok"})


def test_the_published_schema_is_current_and_describes_a_report() -> None:
    published = (ROOT / "docs" / "verify.schema.json").read_text(encoding="utf-8")
    assert published == schema(), "run python -m mesh_federation.verify.reports.report > docs/verify.schema.json"
    made = json.loads(told(PASSED, FAILED, UNKNOWN, SKIPPED).model_dump_json(by_alias=True))
    jsonschema.validate(made, json.loads(published))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**made, "results": [{}]}, json.loads(published))


def test_junit_counts_as_the_report_does_and_stays_xml() -> None:
    document = ElementTree.fromstring(
        junit.write(told(PASSED, FAILED, UNKNOWN, SKIPPED, result("trust.roots", failed(NASTY, NASTY))))
    )
    assert len(document.findall(".//testcase")) == 5
    assert [len(document.findall(f".//testcase/{kind}")) for kind in ("failure", "error", "skipped")] == [2, 1, 1]
    [trust] = [suite for suite in document if suite.get("name") == "trust"]
    assert (trust.get("tests"), trust.get("failures")) == ("2", "1")


def test_the_page_needs_nothing_else_and_shows_what_clusters_say_as_text() -> None:
    nasty = result("trust.roots", failed(NASTY, NASTY, **{NASTY: NASTY}), description=NASTY)
    page = html.write(told(PASSED, nasty), "<svg></svg>")
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "http://" not in page and "https://" not in page and "src=" not in page
    assert page.count("<details") == 2
    assert '<figure class="picture"><svg></svg></figure>' in page


def test_the_terminal_gets_no_markup_from_clusters_and_a_word_beside_each_colour() -> None:
    made = told(result("trust.roots", failed(NASTY, NASTY), description=NASTY))
    [entry] = made.results
    assert text.line(entry).plain.startswith("FAIL trust.roots")
    assert "[bold]x[/bold]" in text.problem(entry).plain
    assert text.summary(made).plain == (
        "east-west: NOT as declared: 0 passed, 1 failed, 0 could not run, 0 not applicable, in 1.5 s"
    )
