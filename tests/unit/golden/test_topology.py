"""Pictures of all committed stacks: what the program draws, docs/pictures among it, shows as a diff to review."""

from pathlib import Path

import pytest

from mesh_federation.diagrams.formats import Format
from mesh_federation.diagrams.live import Live, read
from mesh_federation.diagrams.render import render
from tests.golden import Golden
from tests.unit.diagrams.federations import FLEET, STACKS, drawn, report
from tests.unit.diagrams.trusts import PICTURES as TRUSTS

CHECKED = "egress"
RESULTS = (
    ("clusters.east", "passed"),
    ("clusters.west", "passed"),
    ("imports[0]", "failed"),
    ("imports[1]", "passed"),
    ("exports[0]", "could-not-run"),
    ("exports[1]", "not-applicable"),
)
TEXTS = {"dot": Format.DOT, "mmd": Format.MERMAID, "json": Format.JSON}
PICTURES = "../../../docs/pictures"


@pytest.fixture
def live(tmp_path: Path) -> Live:
    file = tmp_path / "report.json"
    file.write_text(report(CHECKED, *RESULTS), encoding="utf-8")
    return read(file, CHECKED)


@pytest.mark.parametrize("ending", TEXTS)
@pytest.mark.parametrize("name", [*STACKS, FLEET])
def test_what_is_drawn_as_text(golden: Golden, name: str, ending: str) -> None:
    golden(f"topology/{name}.{ending}", render(drawn(name), TEXTS[ending]).decode())


@pytest.mark.parametrize("ending", TEXTS)
def test_results_of_checks_as_text(golden: Golden, live: Live, ending: str) -> None:
    golden(f"topology/{CHECKED}-checked.{ending}", render(drawn(CHECKED), TEXTS[ending], live).decode())


@pytest.mark.parametrize("name", [*STACKS, FLEET])
def test_pictures_in_the_documentation_are_current(golden: Golden, name: str) -> None:
    golden(f"{PICTURES}/{name}.svg", render(drawn(name), Format.SVG).decode())


def test_the_picture_with_results_is_current(golden: Golden, live: Live) -> None:
    golden(f"{PICTURES}/{CHECKED}-checked.svg", render(drawn(CHECKED), Format.SVG, live).decode())


def test_there_is_no_picture_of_a_stack_that_is_gone() -> None:
    names = {f"{name}.svg" for name in (*STACKS, FLEET, f"{CHECKED}-checked", *(f"trust-{name}" for name in TRUSTS))}
    assert {file.name for file in (Path(__file__).parent / PICTURES).glob("*.svg")} == names
