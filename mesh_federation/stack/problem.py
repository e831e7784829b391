"""A problem and its remedy, and the three forms in which every command shows them: text, JSON and JUnit XML.

Standard library alone: jobs in clusters use it too.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from xml.etree import ElementTree


@dataclass(frozen=True, order=True)
class Problem:
    """Something wrong, and what to do about it.

    Attributes:
        where: what it is about: a key path in the stack file, for example `clusters.west.trustDomain`; may be empty.
        rule: stable id, for example `trust-domain-taken`.
        what: what is wrong: the value, both sides where two entries disagree, and why it matters.
        fix: what to do.
        why: the cause, where `what` does not say it; for example the words of a program that failed.
    """

    where: str
    rule: str
    what: str
    fix: str
    why: str = ""

    def __str__(self) -> str:
        """Write it as an error: what is wrong, and below it, indented, the cause and what to do."""
        return "\n".join([self.what, *map(indented, self._remedy)])

    @property
    def listed(self) -> str:
        """Write it as an entry of a list: its place and the id of its rule, then everything else."""
        heading = f"{self.where}  {self.rule}" if self.where else self.rule
        return "\n".join([heading, *map(indented, (self.what, *self._remedy))])

    @property
    def _remedy(self) -> list[str]:
        return [*([self.why] if self.why else []), *([f"-> {self.fix}"] if self.fix else [])]


class ProblemError(Exception):
    """Something failed, and a person can do something about it.

    Attributes:
        problem: what to show.
    """

    def __init__(self, problem: Problem) -> None:
        """Keep the problem; the text is what a person reads."""
        super().__init__(str(problem))
        self.problem = problem


class InvalidModel(Exception):
    """A stack file that must not reach the engine.

    Attributes:
        problems: everything that is wrong, never empty, in the order of the stack file's paths.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """Keep the problems; the text lists them all."""
        self.problems = problems
        super().__init__("\n".join(each.listed for each in problems))


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


def report(title: str, problems: Sequence[Problem]) -> str:
    """List problems under a title, each with its place and the id of its rule."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join([f"{title}: {count}\n", *(f"{indented(each.listed)}\n" for each in problems)])


def json_report(title: str, problems: Sequence[Problem]) -> str:
    """Return problems as a JSON document: the title, and every attribute of each problem."""
    return json.dumps({"title": title, "problems": [asdict(each) for each in problems]}, indent=2) + "\n"


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


def indented(text: str) -> str:
    """Indent every line of a text by two columns."""
    return "\n".join(f"  {line}" if line else line for line in text.split("\n"))
