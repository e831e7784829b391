"""Every object of the walk-throughs is made by a resource of the stack that reproduces it, or a reason says why not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from tests.golden import Golden
from tests.unit.components.conftest import Record
from tests.unit.components.federations import committed
from tests.unit.components.recorder import ROOT, Run

TREE: list[dict[str, Any]] = yaml.safe_load((ROOT / "docs" / "walkthroughs.yaml").read_text())
STACKS = sorted({section["stack"] for section in TREE})
FEDERATION = "mesh-federation:index:Federation$"
HEAD = """# The objects of the walk-throughs, and the resources that create them

Written by `tests/engine/components/test_walkthroughs.py` from `docs/walkthroughs.yaml`: the test renders each stack and
looks up every resource. The full URN is `urn:pulumi:STACK::mesh-federation::`, then
`mesh-federation:index:Federation$` for all but the federation itself, then the text below.
"""


@dataclass(frozen=True)
class Object:
    """One object of a walk-through.

    Attributes:
        told: as the walk-through has it.
        here: resources that make it, as kind and name.
        reason: why there is none.
    """

    told: str
    here: tuple[str, ...]
    reason: str


def objects(section: dict[str, Any]) -> Iterator[Object]:
    for row in section["objects"]:
        assert set(row) in ({"object", "here"}, {"object", "not"}), row
        yield Object(row["object"], tuple(row.get("here", ())), row.get("not", ""))


def urns(run: Run) -> dict[str, str]:
    """URNs below the federation, by kind and name."""
    found: dict[str, str] = {}
    for each in run.registered:
        key = f"{each.kind} {each.name}"
        assert key not in found or not each.is_object, f"{key} is ambiguous"
        found.setdefault(key, each.urn.split("::", 2)[2].removeprefix(FEDERATION))
    return found


def page(known: dict[str, dict[str, str]]) -> str:
    lines = [HEAD]
    for section in TREE:
        lines += [f"## {section['walkthrough']}", "", f"Stack `{section['stack']}`.", ""]
        lines += ["| the walk-through has | here |", "|---|---|"]
        for each in objects(section):
            made = "<br>".join(f"`{known[section['stack']][name]}`" for name in each.here)
            lines.append(f"| {each.told} | {made or f'not created: {each.reason}'} |")
        lines.append("")
    return "\n".join(lines)


def test_every_object_has_its_resource_and_the_page_shows_it(record: Record, golden: Golden) -> None:
    known = {stack: urns(record(committed(stack), stack=stack, preview=True)) for stack in STACKS}
    wanted = [(section["stack"], name) for section in TREE for each in objects(section) for name in each.here]
    assert not [f"{stack}: {name}" for stack, name in wanted if name not in known[stack]]
    golden("../../../docs/walkthroughs.md", page(known))


def test_no_object_is_without_an_answer() -> None:
    for section in TREE:
        for each in objects(section):
            assert bool(each.here) != bool(each.reason), each.told
