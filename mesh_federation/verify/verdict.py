"""The outcome of a check, and the exceptions for a check that has none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Status(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not-applicable"
    """The cluster cannot have what is checked, or the stack declares nothing to check. Never counts as passed."""
    COULD_NOT_RUN = "could-not-run"


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check.

    Attributes:
        status: how the check ended.
        message: what was observed, in one line.
        hint: what to do about it; empty if nothing needs to be done.
        evidence: named facts that the outcome rests on: fingerprints, endpoints, identities. Never a secret.
    """

    status: Status
    message: str
    hint: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)


class Inconclusive(Exception):
    """A check could not observe what it is about.

    Attributes:
        message: what prevented it.
        hint: what to do about it.
    """

    def __init__(self, message: str, hint: str) -> None:
        """Keep the message and the hint apart."""
        super().__init__(message)
        self.message = message
        self.hint = hint


class ClusterUnreachable(Inconclusive):
    """The API server of a cluster does not answer."""


class NotApplicable(Exception):
    """There is nothing to check; the text is the reason."""


def passed(message: str, **evidence: str) -> Verdict:
    """Return the verdict of a check that passed."""
    return Verdict(Status.PASSED, message, evidence=evidence)


def failed(message: str, hint: str, **evidence: str) -> Verdict:
    """Return the verdict of a check that failed."""
    return Verdict(Status.FAILED, message, hint, evidence)


def not_applicable(reason: str) -> Verdict:
    """Return the verdict of a check that has nothing to check."""
    return Verdict(Status.NOT_APPLICABLE, reason)


def could_not_run(message: str, hint: str) -> Verdict:
    """Return the verdict of a check that is inconclusive."""
    return Verdict(Status.COULD_NOT_RUN, message, hint)
