"""The table of checks in docs/checks.md is what the catalogue and its mutations say."""

from datetime import timedelta

import pytest

from mesh_federation.verify.catalogue import catalogue, drills
from tests.lab.mutations import MUTATIONS, Mutation
from tests.unit.components.recorder import ROOT
from tests.unit.verify.stage import scene

PAGE = ROOT / "docs" / "checks.md"
BEGIN, END = "<!-- table -->\n", "<!-- end -->\n"


def row(mutation: Mutation) -> str:
    """One check: what it proves, on the stack on which it is broken, and by what."""
    whole = scene(mutation.stack)
    checks = [*catalogue(whole, lambda: [], timedelta(days=30)), *drills(whole)]
    proves = next(check.proves for check in checks if check.id == mutation.check)
    return f"| `{mutation.check}` | {proves} | {mutation.what} | {mutation.stack} |\n"


def test_the_page_of_checks_is_current(request: pytest.FixtureRequest) -> None:
    table = "| check | proves, for example | goes red when | tried on |\n|---|---|---|---|\n" + "".join(
        map(row, MUTATIONS)
    )
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    current = f"{head}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}"
    if request.config.getoption("--update-goldens", default=False):
        PAGE.write_text(current, encoding="utf-8")
    assert current == PAGE.read_text(encoding="utf-8"), "run pytest tests/unit/golden --update-goldens"
