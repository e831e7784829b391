"""A problem and its remedy, as text and as JSON; mesh_federation/stack/junit.py writes JUnit XML.

Standard library alone: jobs in clusters use it too.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass


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


def report(title: str, problems: Sequence[Problem]) -> str:
    """List problems under a title, each with its place and the id of its rule."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join([f"{title}: {count}\n", *(f"{indented(each.listed)}\n" for each in problems)])


def json_report(title: str, problems: Sequence[Problem]) -> str:
    """Return problems as a JSON document: the title, and every attribute of each problem."""
    return json.dumps({"title": title, "problems": [asdict(each) for each in problems]}, indent=2) + "\n"


def indented(text: str) -> str:
    """Indent every line of a text by two columns."""
    return "\n".join(f"  {line}" if line else line for line in text.split("\n"))
