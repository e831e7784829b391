"""Results of checks: the worst one counts, and a file that is no report on this stack is refused in words."""

from itertools import permutations
from pathlib import Path

import pytest

from mesh_federation.diagrams.drawing import Drawing
from mesh_federation.diagrams.errors import TopologyError
from mesh_federation.diagrams.live import EntryVerdict, read
from mesh_federation.diagrams.topology import drawing
from tests.unit.diagrams.federations import drawn, report


def written(folder: Path, text: str) -> Path:
    file = folder / "report.json"
    file.write_text(text, encoding="utf-8")
    return file


def laid(folder: Path, *results: tuple[str, str]) -> Drawing:
    return drawing(drawn("egress"), read(written(folder, report("egress", *results)), "egress"))


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        ((), EntryVerdict.SILENT),
        (("not-applicable",), EntryVerdict.SILENT),
        (("not-applicable", "passed"), EntryVerdict.PASSED),
        (("passed", "could-not-run", "passed"), EntryVerdict.COULD_NOT_RUN),
        (("could-not-run", "failed", "passed"), EntryVerdict.FAILED),
    ],
)
def test_the_worst_result_is_the_verdict(tmp_path: Path, statuses: tuple[str, ...], verdict: EntryVerdict) -> None:
    for order in permutations(statuses):
        file = written(tmp_path, report("egress", *(("imports[0]", status) for status in order)))
        assert read(file, "egress").verdict("imports[0]") is verdict


def test_an_edge_has_the_verdict_of_its_entry_on_its_whole_way(tmp_path: Path) -> None:
    shown = laid(tmp_path, ("imports[0]", "failed"), ("imports[1]", "passed"), ("exports[0]", "could-not-run"))
    verdicts = {(edge.tail.split("/")[1], edge.tail.split("/")[0]): edge.verdict for edge in shown.edges}
    assert verdicts == {
        ("import", "east"): EntryVerdict.FAILED,
        ("egress", "east"): EntryVerdict.FAILED,
        ("import", "west"): EntryVerdict.PASSED,
        ("egress", "west"): EntryVerdict.PASSED,
        ("gateway", "west"): EntryVerdict.COULD_NOT_RUN,
        ("gateway", "east"): EntryVerdict.SILENT,
    }


def test_a_cluster_and_its_entries_have_verdicts_of_their_own(tmp_path: Path) -> None:
    shown = laid(tmp_path, ("clusters.east", "failed"), ("exports[1]", "passed"))
    assert [(panel.id, panel.verdict) for panel in shown.panels] == [
        ("east", EntryVerdict.FAILED),
        ("west", EntryVerdict.SILENT),
    ]
    assert {node.verdict for node in shown.nodes if node.id.startswith("east/export")} == {EntryVerdict.PASSED}


def test_what_no_check_can_be_about_has_no_verdict(tmp_path: Path) -> None:
    shown = laid(tmp_path, ("clusters.east", "failed"))
    assert {node.kind.value for node in shown.nodes if node.verdict is None} == {"east-west gateway", "egress gateway"}


def test_without_a_report_nothing_has_a_verdict() -> None:
    shown = drawing(drawn("egress"))
    assert not shown.is_live
    assert {panel.verdict for panel in shown.panels} == {None}
    assert {node.verdict for node in shown.nodes} | {edge.verdict for edge in shown.edges} == {None}


def test_which_checks_said_what_is_told_without_what_they_found(tmp_path: Path) -> None:
    shown = laid(tmp_path, ("imports[1]", "passed"), ("imports[1]", "could-not-run"), ("imports[1]", "not-applicable"))
    [link] = [node for node in shown.nodes if node.id.startswith("west/import")]
    assert link.said == ("check.0: passed", "check.1: could-not-run")


BAD = {
    "": "it is no report: Invalid JSON",
    "[]": "it is no report: ",
    "{}": "it is no report: stack: Field required",
    '{"stack": "egress", "results": [{"id": "a", "about": [], "status": "green"}]}': "results.0.status",
    '{"stack": "east-west", "results": []}': "it is about the stack east-west, and this is egress",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_report_on_this_stack_is_refused_with_what_to_do(tmp_path: Path, text: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(TopologyError) as refused:
        read(file, "egress")
    what, why, fix = str(refused.value).splitlines()
    assert str(file) in what
    assert BAD[text] in why
    assert fix.startswith("  -> ") and "./mesh verify --stack egress --format json > report.json" in fix


def test_a_report_that_is_not_there_is_refused_in_the_same_words(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="No such file"):
        read(tmp_path / "nothing.json", "egress")
