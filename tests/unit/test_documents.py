"""Documents name files, tests and pitfalls that exist."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").glob("*.md"), *(CHECKOUT / ".github").glob("*.md")])
ROOMS = ("mesh_federation", "components", "tests", "benchmarks", "docs", ".github")
LINK = re.compile(r"\]\((?!https?://)([^)\s]+)\)")
NAMED = re.compile(rf"(?<![\w/.-])((?:{'|'.join(map(re.escape, ROOMS))})/[\w./-]*[\w/])")
PITFALLS = CHECKOUT / "docs" / "pitfalls.md"
CITED = re.compile(r"pitfalls? (\d+(?:(?:-|, | and |, and )\d+)*)")
SOURCES = [
    *(file for room in ("mesh_federation", "components") for file in (CHECKOUT / room).rglob("*.py")),
    *(CHECKOUT / "docs").glob("*.md"),
]

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as code hosts and the site make them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_document
def test_every_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    for link in LINK.findall(document.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = (document.parent / unquote(path)).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@each_document
def test_every_path_that_a_document_names_exists(document: Path) -> None:
    text = re.sub(r"<[^>]+>|https?://\S+", "", document.read_text(encoding="utf-8"))
    missing = [path for path in NAMED.findall(text) if not (CHECKOUT / path).exists()]
    assert not [path for path in missing if path not in examples(document)]


def examples(document: Path) -> set[str]:
    """Paths that a document names on purpose although nothing is there: files that a reader is to write."""
    found = re.search(r"<!-- to be written: (.*) -->", document.read_text(encoding="utf-8"))
    return set(found[1].split()) if found else set()


def numbers(text: str) -> set[int]:
    """Every number of a citation such as `41-49` or `10, 12 and 13`."""
    found: set[int] = set()
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", text):
        found.update(range(int(first), int(last or first) + 1))
    return found


def test_every_pitfall_that_is_cited_is_explained() -> None:
    listed = {int(number) for number in re.findall(r"^### (\d+)\. ", PITFALLS.read_text("utf-8"), flags=re.MULTILINE)}
    cited: dict[int, str] = {}
    for file in SOURCES:
        for text in CITED.findall(" ".join(file.read_text(encoding="utf-8").split())):
            cited |= dict.fromkeys(numbers(text), str(file.relative_to(CHECKOUT)))
    assert len(cited) > 20
    assert not {number: file for number, file in cited.items() if number not in listed}
