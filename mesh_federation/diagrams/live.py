"""Results of checks on the running federation, by the entries of the stack file that they are about."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from mesh_federation.diagrams.errors import TopologyError


class EntryVerdict(StrEnum):
    """Summary of all checks about one entry; the worst result counts."""

    FAILED = "failed"
    COULD_NOT_RUN = "could not run"
    PASSED = "passed"
    SILENT = "nothing was said"


class Result(BaseModel):
    """Result of one check.

    Attributes:
        id: id of the check.
        about: paths of the entries that the check is about.
        status: outcome.
    """

    id: str
    about: tuple[str, ...]
    status: Literal["passed", "failed", "not-applicable", "could-not-run"]


class Report(BaseModel):
    """A report of `mesh verify`, as far as a picture shows it; other keys are ignored.

    Attributes:
        stack: name of the stack.
        results: results of all checks.
    """

    stack: str
    results: tuple[Result, ...]


@dataclass(frozen=True)
class Live:
    """Results by the path of the entry that they are about.

    Attributes:
        results: results of the checks that apply, in the order of the report.
    """

    results: Mapping[str, tuple[Result, ...]]

    def about(self, path: str) -> tuple[Result, ...]:
        """Return the results about an entry."""
        return self.results.get(path, ())

    def verdict(self, path: str) -> EntryVerdict:
        """Return the worst result about an entry."""
        found = {result.status for result in self.about(path)}
        if "failed" in found:
            return EntryVerdict.FAILED
        if "could-not-run" in found:
            return EntryVerdict.COULD_NOT_RUN
        return EntryVerdict.PASSED if found else EntryVerdict.SILENT


def read(file: Path, stack: str) -> Live:
    """Read a report of `mesh verify`.

    Raises:
        TopologyError: it cannot be read, is no report, or is about another stack.
    """
    what, write = (
        f"{file} cannot be laid over the picture",
        f"make one: ./mesh verify --stack {stack} --format json > report.json",
    )
    try:
        report = Report.model_validate_json(file.read_bytes())
    except OSError as error:
        raise TopologyError(what, f"it cannot be read: {error.strerror}", write) from None
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise TopologyError(what, f"it is no report: {place + ': ' if place else ''}{first['msg']}", write) from None
    if report.stack != stack:
        why = f"it is about the stack {report.stack}, and this is {stack}"
        raise TopologyError(what, why, f"draw that one, or {write}")
    return live(report)


def live(report: Report) -> Live:
    """Group a report's results by the entries that they are about."""
    return Live(_by_path(report.results))


def _by_path(results: Collection[Result]) -> dict[str, tuple[Result, ...]]:
    found: dict[str, tuple[Result, ...]] = {}
    for result in results:
        if result.status != "not-applicable":
            for path in result.about:
                found[path] = (*found.get(path, ()), result)
    return found
