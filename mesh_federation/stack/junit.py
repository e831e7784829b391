"""Problems and results as JUnit XML, which build servers read.

A module of its own: every command loads problems, and few of them write XML.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from mesh_federation.stack.problem import Problem


@dataclass(frozen=True)
class JUnitCase:
    """One case of a JUnit report.

    Attributes:
        classname: id of what was checked.
        name: what is true if it passes.
        outcome: empty if it passed; else the JUnit element: failure, error or skipped.
        problem: what is wrong, or why it was skipped; None if it passed.
        seconds: duration.
    """

    classname: str
    name: str
    outcome: str = ""
    problem: Problem | None = None
    seconds: float = 0


@dataclass(frozen=True)
class JUnitSuite:
    """One suite of a JUnit report.

    Attributes:
        name: name of the suite.
        cases: its cases.
        timestamp: when it started, in ISO 8601; may be empty.
    """

    name: str
    cases: Sequence[JUnitCase]
    timestamp: str = ""


def junit_report(title: str, suites: Sequence[JUnitSuite], seconds: float = 0) -> str:
    """Return suites as a JUnit XML document, as build servers read it."""
    root = ElementTree.Element("testsuites", name=title, time=f"{seconds}")
    root.extend(map(_suite, suites))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _suite(suite: JUnitSuite) -> ElementTree.Element:
    outcomes = [case.outcome for case in suite.cases]
    attributes = {
        "name": suite.name,
        "tests": str(len(suite.cases)),
        "time": f"{sum(case.seconds for case in suite.cases):.2f}",
        "failures": str(outcomes.count("failure")),
        "errors": str(outcomes.count("error")),
        "skipped": str(outcomes.count("skipped")),
        **({"timestamp": suite.timestamp} if suite.timestamp else {}),
    }
    element = ElementTree.Element("testsuite", attributes)
    element.extend(map(_case, suite.cases))
    return element


def _case(case: JUnitCase) -> ElementTree.Element:
    element = ElementTree.Element("testcase", classname=case.classname, name=case.name, time=f"{case.seconds:.2f}")
    if case.outcome:
        problem = case.problem
        outcome = ElementTree.SubElement(element, case.outcome, message=_printable(problem.what if problem else ""))
        outcome.text = _printable("\n".join(filter(None, (problem.why, problem.fix))) if problem else "")
    return element


def _printable(text: str) -> str:
    """Drop the characters that XML cannot represent."""
    return "".join(each for each in text if each.isprintable() or each in "\n\t")
