"""The report of a verification as data; its JSON Schema is docs/verify.schema.json.

usage: python3 -m mesh_federation.verify.reports.report    writes that schema to standard output
"""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from mesh_federation.verify.catalogue import GROUPS
from mesh_federation.verify.runner import Result
from mesh_federation.verify.verdict import Status


class Part(BaseModel):
    """Part of a report."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class Entry(Part):
    """One check."""

    id: str = Field(description="what kind of check it is: group.name")
    about: tuple[str, ...] = Field(description="places in the stack file that it is about")
    proves: str = Field(description="what holds when it passes")
    status: Status
    found: str = Field(description="what was seen")
    hint: str = Field(description="what to do about it; empty where there is nothing to do")
    evidence: dict[str, str] = Field(description="what the outcome rests on, by what it is")
    seconds: float = Field(description="how long it took")

    @property
    def group(self) -> str:
        """The layer that it belongs to."""
        return self.id.partition(".")[0]

    @property
    def is_wrong(self) -> bool:
        """Say whether it failed or could not run."""
        return self.status in (Status.FAILED, Status.COULD_NOT_RUN)


class Report(Part):
    """A verification of one stack."""

    stack: str
    taken: datetime = Field(description="when it began")
    seconds: float = Field(description="how long it took as a whole")
    results: tuple[Entry, ...] = Field(description="in the order in which one layer builds on the other")

    @property
    def counts(self) -> dict[Status, int]:
        """How many checks ended how."""
        found = Counter(entry.status for entry in self.results)
        return {status: found[status] for status in Status}

    @property
    def code(self) -> int:
        """Exit status: 0 when all that apply passed, 1 when one failed, 2 when one could not run or none applies."""
        counts = self.counts
        if counts[Status.FAILED]:
            return 1
        return 2 if counts[Status.COULD_NOT_RUN] or not counts[Status.PASSED] else 0

    @property
    def wrong(self) -> list[Entry]:
        """Checks that failed or could not run, causes first."""
        return [entry for entry in self.results if entry.is_wrong]

    @property
    def groups(self) -> list[tuple[str, list[Entry]]]:
        """Checks by the layer that they belong to."""
        return [(group, list(entries)) for group, entries in groupby(self.results, key=lambda entry: entry.group)]


def report(stack: str, taken: datetime, seconds: float, results: Sequence[Result]) -> Report:
    """Put results in order: what breaks in one layer breaks those that follow, so causes come first."""
    entries = [entry(result) for result in results]
    ordered = sorted(entries, key=lambda each: (GROUPS.index(each.group), each.id, each.proves))
    return Report(stack=stack, taken=taken, seconds=round(seconds, 1), results=tuple(ordered))


def entry(result: Result) -> Entry:
    """Write down a result."""
    return Entry(
        id=result.check.id,
        about=result.check.about,
        proves=result.check.proves,
        status=result.verdict.status,
        found=result.verdict.found,
        hint=result.verdict.hint,
        evidence=dict(result.verdict.evidence),
        seconds=round(result.seconds, 2),
    )


def schema() -> str:
    """Return the JSON Schema of a report."""
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Report.model_json_schema(by_alias=True)}
    return json.dumps(made, indent=2) + "\n"


if __name__ == "__main__":
    print(schema(), end="")
