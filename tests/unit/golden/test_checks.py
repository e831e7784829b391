"""The table of checks in docs/checks.md is generated from the catalogue and the mutations."""

from datetime import timedelta

from mesh_federation.verify.catalogue import catalogue, drills
from tests.golden import Golden
from tests.traffic.mutations import MUTATIONS, Mutation
from tests.unit.components.recorder import ROOT
from tests.unit.verify.fake_clusters import context

PAGE = ROOT / "docs" / "checks.md"
BEGIN, END = "<!-- table -->\n", "<!-- end -->\n"


def row(mutation: Mutation) -> str:
    """One check: what it proves, on the stack on which it is broken, and by what."""
    whole = context(mutation.stack)
    checks = [*catalogue(whole, lambda: [], timedelta(days=30)), *drills(whole)]
    description = next(check.description for check in checks if check.id == mutation.check)
    return f"| `{mutation.check}` | {description} | {mutation.what} | {mutation.stack} |\n"


def test_the_page_of_checks_is_current(golden: Golden) -> None:
    table = "| check | what is true if it passes, for example | fails when | tried on |\n|---|---|---|---|\n" + "".join(
        map(row, MUTATIONS)
    )
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    current = f"{head}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}"
    golden(str(PAGE), current)
