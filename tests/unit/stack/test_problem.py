"""A problem is written in the same way by every command, as text, JSON and JUnit XML."""

import json
import subprocess
import sys
from xml.etree import ElementTree

from mesh_federation.stack.junit import JUnitCase, JUnitSuite, junit_report
from mesh_federation.stack.problem import Problem, json_report, report

PROBLEM = Problem("clusters.west.trustDomain", "trust-domain-taken", "east has it too", "write west.local", "a cause")


def test_text_shows_place_rule_problem_cause_and_fix() -> None:
    assert str(PROBLEM) == "east has it too\n  a cause\n  -> write west.local"
    assert report("Pulumi.dev.yaml", [PROBLEM]) == (
        "Pulumi.dev.yaml: 1 problem\n\n  clusters.west.trustDomain  trust-domain-taken\n    east has it too\n"
        "    a cause\n    -> write west.local\n"
    )


def test_json_has_every_attribute() -> None:
    assert json.loads(json_report("dev", [PROBLEM]))["problems"] == [
        {"where": PROBLEM.where, "rule": PROBLEM.rule, "what": PROBLEM.what, "fix": PROBLEM.fix, "why": PROBLEM.why}
    ]


def test_junit_counts_outcomes_and_stays_xml() -> None:
    odd = Problem("", "odd", "<b>\x1b[2J", "none")
    cases = [JUnitCase("a", "passes"), JUnitCase("b", "fails", "failure", odd), JUnitCase("c", "skips", "skipped")]
    [suite] = ElementTree.fromstring(junit_report("dev", [JUnitSuite("rules", cases)]))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")


def test_a_job_can_use_problems_without_installed_packages() -> None:
    code = "import sys, mesh_federation.stack.problem; print('pydantic' in sys.modules, 'yaml' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
