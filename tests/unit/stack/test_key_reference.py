"""The page about the keys of the stack file: it is current, and says something of every key."""

import re

from mesh_federation.stack import key_reference
from tests.golden import Golden

PAGE = key_reference.rendered()
ROWS = re.findall(r"^\| `(.+)` \| (.+) \| (.*) \| (.*) \|$", PAGE, flags=re.MULTILINE)


def test_the_page_is_what_the_schema_says(golden: Golden) -> None:
    golden(str(key_reference.DOCUMENT), PAGE)


def test_every_key_is_described() -> None:
    assert len(ROWS) > 100
    assert [key for key, _, _, meaning in ROWS if not meaning] == []


def test_objects_lead_to_sections_of_the_page() -> None:
    headings = re.findall(r"^## `?([^`\n]+)`?$", PAGE, flags=re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9]", "", heading.lower()) for heading in headings}
    assert set(re.findall(r"\]\(#([a-z0-9]+)\)", PAGE)) <= anchors


def test_what_commands_write_is_not_told_as_if_people_wrote_it() -> None:
    keys = {key for key, *_ in ROWS}
    assert {"clusterUID", "observed", "mesh"}.isdisjoint(keys) and {"linkNamespace", "exported", "tokenHours"} <= keys
