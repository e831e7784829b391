"""The report of a verification as data; its JSON Schema is docs/verify.schema.json.

Usage: python3 -m mesh_federation.verify.reports.report    writes that schema to standard output
"""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from mesh_federation.stack.problem import Problem
from mesh_federation.stack.text import printable
from mesh_federation.verify.catalogue import GROUPS
from mesh_federation.verify.runner import CheckResult
from mesh_federation.verify.verdict import Status


class ReportPart(BaseModel):
    """Part of a report."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class CheckEntry(ReportPart):
    """One check."""

    id: str = Field(description="kind of check: group.name")
    about: tuple[str, ...] = Field(description="key paths of the stack file that it is about")
    description: str = Field(alias="proves", title="Proves", description="what is true if it passes")
    status: Status
    message: str = Field(alias="found", title="Found", description="what was observed")
    hint: str = Field(description="what to do about it; empty if nothing needs to be done")
    evidence: dict[str, str] = Field(description="named facts that the outcome rests on")
    seconds: float = Field(description="duration")

    @property
    def group(self) -> str:
        """The layer of the federation that the check belongs to."""
        return self.id.partition(".")[0]

    @property
    def is_wrong(self) -> bool:
        """Whether it failed or could not run."""
        return self.status in (Status.FAILED, Status.COULD_NOT_RUN)

    @property
    def problem(self) -> Problem:
        """What was observed and what to do about it."""
        return Problem(", ".join(self.about), self.id, self.message, self.hint)


class VerificationReport(ReportPart):
    """A verification of one stack."""

    stack: str
    taken: datetime = Field(description="when it started")
    seconds: float = Field(description="total duration")
    results: tuple[CheckEntry, ...] = Field(description="in the order in which layers depend on each other")

    @property
    def counts(self) -> dict[Status, int]:
        """Number of checks by status."""
        found = Counter(entry.status for entry in self.results)
        return {status: found[status] for status in Status}

    @property
    def code(self) -> int:
        """Exit status: 0 if all applicable checks passed, 1 if one failed, 2 if one could not run or none applies."""
        counts = self.counts
        if counts[Status.FAILED]:
            return 1
        return 2 if counts[Status.COULD_NOT_RUN] or not counts[Status.PASSED] else 0

    @property
    def wrong(self) -> list[CheckEntry]:
        """Checks that failed or could not run, causes first."""
        return [entry for entry in self.results if entry.is_wrong]

    @property
    def groups(self) -> list[tuple[str, list[CheckEntry]]]:
        """Checks by group."""
        return [(group, list(entries)) for group, entries in groupby(self.results, key=lambda entry: entry.group)]


def report(stack: str, taken: datetime, seconds: float, results: Sequence[CheckResult]) -> VerificationReport:
    """Order results by layer: a failure in one layer causes failures in later ones, so that causes come first."""
    entries = [entry(result) for result in results]
    ordered = sorted(entries, key=lambda each: (GROUPS.index(each.group), each.id, each.description))
    return VerificationReport(stack=stack, taken=taken, seconds=round(seconds, 1), results=tuple(ordered))


def entry(result: CheckResult) -> CheckEntry:
    """Return a result as an entry of a report, without what controls a terminal: others wrote parts of its texts."""
    return CheckEntry(
        id=result.check.id,
        about=result.check.about,
        description=result.check.description,
        status=result.verdict.status,
        message=printable(result.verdict.message),
        hint=printable(result.verdict.hint),
        evidence={name: printable(fact) for name, fact in result.verdict.evidence.items()},
        seconds=round(result.seconds, 2),
    )


def schema() -> str:
    """Return the JSON Schema of a report."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **VerificationReport.model_json_schema(by_alias=True),
    }
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    print(schema(), end="")
