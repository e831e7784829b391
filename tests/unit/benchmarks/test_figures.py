from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.events import Span
from benchmarks.figures import Memory, Round, Spread
from benchmarks.listing import Listed, kinds, require_same
from benchmarks.memory import Peak
from benchmarks.report import Report
from benchmarks.scratch import BenchError
from tests.unit.benchmarks.machines import MACHINE


def measured(up: float, script: float, phases: Mapping[str, Span] | None = None) -> Round:
    clusters = {"clusters": Span(2.0, 8.0)}
    return Round(
        preview=3.0, up=up, phases=clusters if phases is None else phases, noop=4.0, destroy=2.0, script=script,
        apply=5.0, program=1.5, objects=50,
    )  # fmt: skip


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_median_lies_between_the_extremes(values: list[float]) -> None:
    spread = Spread.of(values)
    assert min(values) == spread.min <= spread.median <= spread.max == max(values)


def test_nothing_measured_is_no_figure() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        Spread.of([])


def test_the_ratio_is_the_median_of_the_rounds_ratios_not_the_ratio_of_medians() -> None:
    report = Report("test", MACHINE, Memory(1, 2, 3), [measured(20, 40), measured(30, 90), measured(50, 50)])
    assert report.spreads()["ratio"] == Spread(0.5, 30 / 90, 1.0)


def test_overhead_is_what_is_left_of_up_without_clusters_and_bare_apply() -> None:
    assert measured(21.0, 40.0).overhead == pytest.approx((21.0 - 6.0 - 5.0) / 50)


def test_what_lies_before_and_after_all_phases_is_told_apart() -> None:
    one = measured(21.0, 40.0, {"clusters": Span(2.0, 8.0), "trust": Span(1.5, 3.0), "links": Span(18.0, 20.0)})
    assert one.before == pytest.approx(1.5)
    assert one.after == pytest.approx(1.0)


def test_only_phases_of_every_round_are_reported() -> None:
    once = {"clusters": Span(0.0, 1.0), "links": Span(1.0, 2.0)}
    report = Report("test", MACHINE, Memory(1, 2, 3), [measured(20, 40, once), measured(20, 40)])
    assert "up: clusters" in report.spreads()
    assert "up: links" not in report.spreads()


def test_every_figure_is_written_with_its_meaning() -> None:
    report = Report("test", MACHINE, Memory(1, 2, 3), [measured(20, 40)])
    document = report.document()
    meaning = document["meaning"]
    assert isinstance(meaning, dict)
    assert {name for name in report.spreads() if not name.startswith("up: ")} <= set(meaning)
    assert set(document) == {"stack", "machine", "memory", "rounds", "meaning", "spreads"}


def test_peaks_of_parts_and_whole_may_lie_at_different_moments() -> None:
    peak = Peak()
    peak.see(100, 10)
    peak.see(20, 80)
    assert peak.memory == Memory(engine=100, control_planes=80, total=110)


def test_kinds_are_named_with_version_and_group() -> None:
    bodies = [{"apiVersion": "v1", "kind": "Service"}, {"apiVersion": "apps/v1", "kind": "Deployment"}]
    assert kinds([*bodies, *bodies]) == [
        "CustomResourceDefinition.v1.apiextensions.k8s.io", "Deployment.v1.apps", "Service",
    ]  # fmt: skip


def test_bring_ups_that_made_different_things_are_not_compared() -> None:
    shared, extra = Listed("Service", "sleep", "sleep"), Listed("Namespace", "", "sleep")
    require_same({"east": {shared}}, {"east": {shared}})
    with pytest.raises(BenchError, match="only the script has Namespace sleep in east"):
        require_same({"east": {shared}}, {"east": {shared, extra}})
