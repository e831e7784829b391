"""One problem of a stack file, in words for the person who has to fix it."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Problem:
    """Something wrong with a declared model.

    Attributes:
        path: key path in the stack file, for example `clusters.west.trustDomain`.
        rule: id of the rule, for example `trust-domain-taken`.
        problem: what is wrong: the value, and both sides where two entries disagree, and why it matters.
        fix: what to write instead.
    """

    path: str
    rule: str
    problem: str
    fix: str


class InvalidModel(Exception):
    """A stack file that must not reach the engine.

    Attributes:
        findings: everything that is wrong, never empty, in the order of the stack file's paths.
    """

    def __init__(self, findings: tuple[Problem, ...]) -> None:
        """Keep the findings; the text lists them all."""
        self.findings = findings
        super().__init__("\n".join(f"{f.path}  {f.rule}\n  {f.problem}\n  -> {f.fix}" for f in findings))
