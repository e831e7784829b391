"""URNs are frozen: a renamed resource is deleted and made anew in every running federation, unless it has an alias."""

import pytest

from tests.golden import Golden
from tests.unit.components.conftest import Record
from tests.unit.components.federations import STACKS, committed, multi_primary
from tests.unit.components.recorder import Run


def tree(run: Run) -> str:
    """Draw all resources below their parents, with type and name, sorted."""
    children: dict[str, list[tuple[str, str, str]]] = {}
    urns = {each.urn for each in run.registered}
    for each in run.registered:
        parent = each.request.parent if each.request.parent in urns else ""
        children.setdefault(parent, []).append((each.type, each.name, each.urn))

    def lines(parent: str, depth: int) -> list[str]:
        drawn = []
        for token, name, urn in sorted(children.get(parent, [])):
            drawn += [f"{'  ' * depth}{token} {name}", *lines(urn, depth + 1)]
        return drawn

    return "\n".join(lines("", 0)) + "\n"


TREES = {**{stack: committed(stack) for stack in STACKS}, "multi-primary": multi_primary()}


@pytest.mark.parametrize("stack", TREES)
def test_resources_keep_their_types_names_and_parents(record: Record, golden: Golden, stack: str) -> None:
    run = record(TREES[stack], stack=stack, preview=True)
    drawn = tree(run)
    assert drawn.count("\n") == len(run.registered)
    golden(f"urns/{stack}.txt", drawn)
