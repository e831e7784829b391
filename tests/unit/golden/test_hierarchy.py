"""Certificate hierarchies as people and programs are told them, and the pictures of them in docs/pictures."""

import io
import re

import pytest
from rich.console import Console

from mesh_federation.cli.trust import show
from mesh_federation.diagrams.formats import Format
from mesh_federation.diagrams.render import render_hierarchy
from mesh_federation.plan.hierarchy import Hierarchy
from tests.golden import Golden
from tests.unit.diagrams.trusts import PICTURES, TREES, UP, told
from tests.unit.golden.test_topology import PICTURES as FOLDER

TEXTS = {"dot": Format.DOT, "mmd": Format.MERMAID}


def printed(hierarchy: Hierarchy) -> str:
    """As text, without what is another one whenever the tests make authorities."""
    file = io.StringIO()
    show(hierarchy, Console(file=file, width=100))
    text = file.getvalue()
    if hierarchy.model == "provided":
        text = re.sub(r"\b[0-9a-f]{64}\b", "<fingerprint>", re.sub(r"\d{4}-\d\d-\d\d", "<date>", text))
    return text


@pytest.mark.parametrize("name", TREES)
def test_what_is_told_as_text(golden: Golden, name: str) -> None:
    golden(f"trust/{name}.txt", printed(told(name)))


def test_what_is_told_of_a_stack_that_is_up(golden: Golden) -> None:
    golden("trust/up.txt", printed(told("common", UP)))
    golden("trust/up-and-rotating.txt", printed(told("common-add", UP)))


def test_what_programs_are_told(golden: Golden) -> None:
    golden("trust/up.json", f"{told('common-add', UP).model_dump_json(by_alias=True, indent=2)}\n")


@pytest.mark.parametrize("ending", TEXTS)
@pytest.mark.parametrize("name", sorted(TREES.keys() - {"provided"}))
def test_what_is_drawn_as_text(golden: Golden, name: str, ending: str) -> None:
    golden(f"trust/{name}.{ending}", render_hierarchy(told(name), TEXTS[ending]).decode())


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_in_the_documentation_are_current(golden: Golden, name: str) -> None:
    golden(f"{FOLDER}/trust-{name}.svg", render_hierarchy(told(name), Format.SVG).decode())
