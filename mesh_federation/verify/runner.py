"""Runs checks in parallel; a check that raises an exception affects no other check."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from mesh_federation.verify.check import Check
from mesh_federation.verify.verdict import Inconclusive, NotApplicable, Verdict, could_not_run, not_applicable

AT_ONCE = 8
"""Checks in parallel: most of the time they wait for a cluster."""


@dataclass(frozen=True)
class CheckResult:
    """A check that has run.

    Attributes:
        check: the check.
        verdict: its outcome.
        seconds: its duration.
    """

    check: Check
    verdict: Verdict
    seconds: float


def run(checks: Sequence[Check]) -> Iterator[CheckResult]:
    """Run checks and yield each result as soon as it is there; if the caller stops, waiting checks never start."""
    pool = ThreadPoolExecutor(max_workers=AT_ONCE)
    try:
        started: list[Future[CheckResult]] = [pool.submit(run_one, check) for check in checks]
        for ended in as_completed(started):
            yield ended.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def run_one(check: Check) -> CheckResult:
    """Run one check; "inconclusive" is a result, and so is an exception of the check itself."""
    start = time.monotonic()
    try:
        verdict = check.run()
    except NotApplicable as reason:
        verdict = not_applicable(str(reason))
    except Inconclusive as inconclusive:
        verdict = could_not_run(inconclusive.message, inconclusive.hint)
    except Exception as error:
        verdict = could_not_run(
            f"the check itself failed: {type(error).__name__} in {_location(error)}",
            "this is a bug in mesh-federation: please report it with the line above",
        )
    return CheckResult(check, verdict, time.monotonic() - start)


def _location(error: Exception) -> str:
    """Return file and line of an exception; its text may hold a secret and is not shown."""
    traceback = error.__traceback__
    assert traceback is not None
    while traceback.tb_next:
        traceback = traceback.tb_next
    return f"{traceback.tb_frame.f_code.co_filename.rpartition('/')[2]}:{traceback.tb_lineno}"
