"""Runs checks side by side: none holds up another, and whatever goes wrong in one is that one's result."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from mesh_federation.verify.check import Check
from mesh_federation.verify.verdict import Inconclusive, NotApplicable, Verdict, could_not_run, not_applicable

SIDE_BY_SIDE = 8
"""Checks at once: most of their time they wait for a cluster."""


@dataclass(frozen=True)
class Result:
    """A check that has run.

    Attributes:
        check: which.
        verdict: what it came to.
        seconds: how long it took.
    """

    check: Check
    verdict: Verdict
    seconds: float


def run(checks: Sequence[Check]) -> Iterator[Result]:
    """Run checks and yield each as it ends; those that are left when the caller stops never begin."""
    pool = ThreadPoolExecutor(max_workers=SIDE_BY_SIDE)
    try:
        begun: list[Future[Result]] = [pool.submit(run_one, check) for check in checks]
        for ended in as_completed(begun):
            yield ended.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def run_one(check: Check) -> Result:
    """Run one check; that it could not look is an outcome, and so is a fault of its own."""
    begun = time.monotonic()
    try:
        verdict = check.judge()
    except NotApplicable as none:
        verdict = not_applicable(str(none))
    except Inconclusive as unseen:
        verdict = could_not_run(unseen.found, unseen.hint)
    except Exception as error:
        verdict = could_not_run(
            f"the check itself failed: {type(error).__name__} in {_place(error)}",
            "this is a fault of the program: report it with the line above",
        )
    return Result(check, verdict, time.monotonic() - begun)


def _place(error: Exception) -> str:
    """Name the line in which it happened; its text may hold what must not be shown."""
    traceback = error.__traceback__
    assert traceback is not None
    while traceback.tb_next:
        traceback = traceback.tb_next
    return f"{traceback.tb_frame.f_code.co_filename.rpartition('/')[2]}:{traceback.tb_lineno}"
