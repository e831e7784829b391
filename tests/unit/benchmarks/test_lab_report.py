from dataclasses import replace

import pytest

from benchmarks.events import Span
from benchmarks.figures import Spread
from benchmarks.lab import figures
from benchmarks.lab.figures import BringUp, Change, Round, Scripted, Target, Turn
from benchmarks.lab.report import Report
from benchmarks.lab.walkthrough import durations
from tests.unit.benchmarks.machines import MACHINE

PHASES = {"clusters": Span(1.0, 41.0), "MetalLB": Span(41.0, 61.0), "Istio": Span(41.5, 60.0)}
STEPS = {"clusters": 60.0, "MetalLB": 50.0, "workloads": 12.0}


def measured(warm: float = 60.0, script: float = 120.0, noop: float = 5.0, removal: float = 1.0) -> Round:
    bring_up = BringUp(warm - 1, PHASES, 1.0)
    turn = Turn(
        cold=replace(bring_up, command=warm), warm=bring_up, preview=4.0, noop=noop, remove=Change(6.0, removal),
        add=Change(7.0, 2.0), down=9.0,
    )  # fmt: skip
    return Round(turn, Scripted(script - 2, STEPS, 2.0))


def page(*rounds: Round, memory: int = 700_000_000) -> str:
    return Report("east-west", MACHINE, ["proxyv2:1.31.0"], memory, rounds or [measured()]).page()


def row(text: str, first: str) -> list[str]:
    """The cells of the first row that starts so."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_bring_up_ends_with_the_first_answer_not_with_the_command() -> None:
    one = measured(warm=60, script=120)
    assert (one.product.warm.total, one.script.total) == (60, 120)
    assert one.ratio == pytest.approx(0.5)
    assert one.cold_ratio == pytest.approx(61 / 120)


def test_the_share_is_that_of_each_round_not_of_the_medians() -> None:
    rounds = [measured(20, 40), measured(30, 90), measured(50, 50)]
    assert row(page(*rounds), "product, again")[3] == "0.50 (0.33 to 1.00)"


def test_the_script_is_its_own_measure() -> None:
    cells = row(page(measured(60, 120), measured(60, 140)), "script")
    assert cells == ["script", "130.0 (120.0 to 140.0)", "2.0 (2.0 to 2.0)", "1.00 (1.00 to 1.00)"]


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([1.0, 2.0, 9.9], "met"),
        ([1.0, 2.0, 10.0], "met by the median, not in every round"),
        ([1.0, 10.0, 11.0], "not met"),
    ],
)
def test_a_target_is_met_when_every_round_met_it(values: list[float], verdict: str) -> None:
    assert Target("a figure", 10, "under 10").verdict(Spread.of(values)) == verdict


def test_a_target_may_allow_its_bound() -> None:
    assert figures.RATIO.verdict(Spread.of([0.6])) == "met"
    assert figures.NOOP.verdict(Spread.of([10.0])) == "not met"


def test_targets_stand_beside_what_was_measured() -> None:
    text = page(measured(noop=5.0), measured(noop=12.0), measured(noop=6.0), memory=1_200_000_000)
    noop = ["`up` that changes nothing", "under 10 s", "6.0 (5.0 to 12.0)", "met by the median, not in every round"]
    assert row(text, noop[0]) == noop
    assert row(text, figures.MEMORY.what)[1:] == ["under 1 GB", "1200 MB", "not met"]
    assert row(text, figures.RATIO.what)[3] == "met"


def test_each_target_reads_its_own_figure() -> None:
    text = page(measured(removal=77.0))
    assert row(text, figures.REMOVE.what)[2:] == ["77.0 (77.0 to 77.0)", "not met"]
    assert row(text, figures.ADD.what)[2] == "2.0 (2.0 to 2.0)"
    assert row(text, figures.PREVIEW.what)[2] == "4.0 (4.0 to 4.0)"
    assert row(text, figures.COLD_RATIO.what)[2] == "0.51 (0.51 to 0.51)"


def test_phases_stand_beside_the_steps_of_the_script() -> None:
    text = page()
    assert row(text, "clusters") == ["clusters", "1.0, 41.0", "40.0 (40.0 to 40.0)", "60.0 (60.0 to 60.0)"]
    assert row(text, "Istio")[2:] == ["18.5 (18.5 to 18.5)", ""]
    assert row(text, "workloads")[1:] == ["", "", "12.0 (12.0 to 12.0)"]
    assert row(text, "whole command")[2:] == ["59.0 (59.0 to 59.0)", "118.0 (118.0 to 118.0)"]


def test_a_page_says_that_a_program_wrote_it_where_and_from_how_much() -> None:
    text = page(measured(), measured())
    assert "Written by `make bench-lab`" in text.splitlines()[2]
    assert "2 rounds" in text
    assert "a processor, 2 cores, 8.0 GiB, Linux; load 0.0 before the run." in text
    assert "- images: proxyv2:1.31.0" in text


def test_rows_of_a_table_have_as_many_cells_as_its_head() -> None:
    counts = [line.count("|") if line.startswith("|") else 0 for line in page().splitlines()]
    pairs = list(zip(counts, counts[1:], strict=False))
    assert all(one == other for one, other in pairs if one and other)
    assert sum(1 for one, other in pairs if other and not one) == 4


def test_a_step_of_the_script_lasts_until_the_next_and_may_come_again() -> None:
    lines = ["10.0 clusters", "70.5 Istio", "80.0 gateways", "84.0 Istio", "90.0 gateways", "91.0 end"]
    assert durations(lines) == pytest.approx({"clusters": 60.5, "Istio": 15.5, "gateways": 5.0})
