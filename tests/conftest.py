"""Shared by all tiers: bounds of generated examples, the switch for golden files, a report on tiers not run."""

import gc
import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

from tests.golden import Golden

settings.register_profile("bounded", max_examples=30, deadline=None)  # a deadline would fail on a loaded machine
settings.load_profile("bounded")

for name in ("MESH_OVERLAY", "STACK"):  # of the person or the make that runs the tests: no stack here is meant by it
    os.environ.pop(name, None)

# What a shell starts in the background ignores Ctrl-C, and so would every program that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

gc.set_threshold(200_000, 50, 100)  # with the usual one, a seventh of the unit tier's time goes into collections

TIERS = {
    "unit": "needs nothing",
    "engine": "needs the toolchain: ./mesh install",
    "traffic": "needs the toolchain and private namespaces: ./mesh doctor; with --provider=kind Docker: make lab-test",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the one switch for all golden files, and the choice of clusters for tests with traffic."""
    parser.addoption("--update-goldens", action="store_true", help="rewrite golden files; review the diff afterwards")
    parser.addoption("--provider", choices=("native", "kind"), default="native", help="of clusters of tests/traffic")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare texts with the golden files beside the test."""
    return Golden(request.path.parent, bool(request.config.getoption("--update-goldens")))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say of each tier how many tests ran, and of one that did not what it needs."""
    ran: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            tier = _tier(getattr(report, "nodeid", ""))
            if outcome in ("passed", "failed"):
                ran[tier] += 1
            elif outcome == "skipped":
                skipped[tier] += 1
    terminalreporter.section("tiers")
    for tier, needs in TIERS.items():
        if ran[tier]:
            terminalreporter.line(f"{tier}: {ran[tier]} ran, {skipped[tier]} skipped")
        else:
            terminalreporter.line(f"{tier}: NOT RUN ({needs})", yellow=True, bold=True)


def _tier(nodeid: str) -> str:
    parts = Path(nodeid.split("::")[0]).parts
    return parts[1] if len(parts) > 1 and parts[0] == "tests" else ""
