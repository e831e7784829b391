"""Documents name files, tests and pitfalls that exist."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

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
    named = (path for path in NAMED.findall(text) if "NAME" not in path)
    assert not [path for path in named if not (CHECKOUT / path).exists()]


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


def test_every_snippet_of_a_file_is_in_that_file() -> None:
    text = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
    snippets = re.findall(r"^```\w+\n# (\S+)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    assert len(snippets) >= 5
    for path, snippet in snippets:
        lines = (CHECKOUT / path).read_text(encoding="utf-8").splitlines()
        assert not [line for line in snippet.splitlines() if line.strip() != "..." and line not in lines], path


def test_the_site_has_every_document() -> None:
    entries = yaml.safe_load((CHECKOUT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    named = set(re.findall(r"[\w-]+\.md", str(entries)))
    assert named == {document.name for document in DOCUMENTS if document.parent.name != ".github"}
