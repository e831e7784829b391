"""Whatever goes wrong in one check is its own result; the others go on."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from mesh_federation.verify import runner
from mesh_federation.verify.check import Check
from mesh_federation.verify.runner import run, run_one
from mesh_federation.verify.verdict import (
    Inconclusive,
    NotApplicable,
    Status,
    Verdict,
    could_not_run,
    not_applicable,
    passed,
)


def check(name: str, function: Callable[[], Verdict]) -> Check:
    return Check(f"trust.{name}", ("clusters.east",), "it holds", function)


def away() -> Verdict:
    raise Inconclusive("east does not answer", "./mesh up")


def idle() -> Verdict:
    raise NotApplicable("no pod runs as sleep/sleep")


def broken() -> Verdict:
    raise ValueError("-----BEGIN PRIVATE KEY-----")


def test_a_check_that_cannot_look_says_so_and_what_to_do() -> None:
    assert run_one(check("away", away)).verdict == could_not_run("east does not answer", "./mesh up")


def test_a_check_that_finds_nothing_to_judge_says_why() -> None:
    assert run_one(check("idle", idle)).verdict == not_applicable("no pod runs as sleep/sleep")


def test_a_fault_of_a_check_is_told_by_its_place_and_not_by_its_text() -> None:
    verdict = run_one(check("broken", broken)).verdict
    assert verdict.status is Status.COULD_NOT_RUN
    assert verdict.message.startswith("the check itself failed: ValueError in test_runner.py:")
    assert "PRIVATE" not in verdict.message + verdict.hint


def test_every_check_has_a_result_whatever_becomes_of_others() -> None:
    checks = [check("away", away), check("broken", broken), *(check(f"{n}", lambda: passed("yes")) for n in range(30))]
    results = list(run(checks))
    assert {each.check.id for each in results} == {each.id for each in checks}
    assert sum(each.verdict.status is Status.PASSED for each in results) == 30


class Watched(ThreadPoolExecutor):
    """Tells when nothing more is started."""

    closed = threading.Event()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Tell it."""
        super().shutdown(wait=False, cancel_futures=cancel_futures)
        self.closed.set()
        super().shutdown(wait=wait)


def test_checks_that_have_not_started_never_do_once_nobody_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "ThreadPoolExecutor", Watched)
    started: list[int] = []

    def wait() -> Verdict:
        started.append(1)
        Watched.closed.wait(60)
        return passed("yes")

    running = run([check("first", lambda: passed("yes")), *(check(f"{n}", wait) for n in range(100))])
    next(running)
    running.close()  # type: ignore[attr-defined]
    assert len(started) <= runner.AT_ONCE
