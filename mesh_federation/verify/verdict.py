"""What a check came to, and how it says that it could not look."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Status(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not-applicable"
    """The cluster cannot have what is checked, or nothing is declared that it guards. Never counts as passed."""
    COULD_NOT_RUN = "could-not-run"


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check.

    Attributes:
        status: how it ended.
        found: what was seen, in a line for a person.
        hint: what to do about it; empty where there is nothing to do.
        evidence: what the outcome rests on, by what it is: fingerprints, endpoints, identities. Never a secret.
    """

    status: Status
    found: str
    hint: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)


class Inconclusive(Exception):
    """A check could not see what it is about.

    Attributes:
        found: what stood in the way.
        hint: what to do about it.
    """

    def __init__(self, found: str, hint: str) -> None:
        """Say both."""
        super().__init__(found)
        self.found = found
        self.hint = hint


class Unreachable(Inconclusive):
    """A cluster does not answer at all."""


class NotApplicable(Exception):
    """There is nothing to check; the text says why."""


def passed(found: str, **evidence: str) -> Verdict:
    """Return that all is as declared."""
    return Verdict(Status.PASSED, found, evidence=evidence)


def failed(found: str, hint: str, **evidence: str) -> Verdict:
    """Return that something is not as declared."""
    return Verdict(Status.FAILED, found, hint, evidence)


def not_applicable(reason: str) -> Verdict:
    """Return that there is nothing to check."""
    return Verdict(Status.NOT_APPLICABLE, reason)


def could_not_run(found: str, hint: str) -> Verdict:
    """Return that nobody knows."""
    return Verdict(Status.COULD_NOT_RUN, found, hint)
