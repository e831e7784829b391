"""A picture shows everything, in words too, lets none of them leave its box, and shows nothing that is secret."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

from mesh_federation.diagrams.drawing import Drawing, NodeKind
from mesh_federation.diagrams.errors import TopologyError
from mesh_federation.diagrams.formats import Format
from mesh_federation.diagrams.live import EntryVerdict, read
from mesh_federation.diagrams.palette import CARD, INKS, KINDS, NETWORK, PAGE, PANEL, QUIET, SURFACES, TEXT, TITLE
from mesh_federation.diagrams.png import png
from mesh_federation.diagrams.render import render
from mesh_federation.diagrams.svg import svg
from mesh_federation.diagrams.topology import drawing
from tests.unit.components.authorities import provided
from tests.unit.diagrams.federations import FLEET, drawn, of, report
from tests.unit.diagrams.fleet import fleet
from tests.unit.diagrams.test_routes import DRAWINGS, GRAPHS, each_drawing, each_graph
from tests.unit.diagrams.trusts import drawn_trust

SVG = "{http://www.w3.org/2000/svg}"


def parsed(shown: Drawing) -> Element:
    return ElementTree.fromstring(written(shown))


@cache
def written(shown: Drawing) -> str:
    return svg(shown)


def groups(root: Element) -> Iterator[tuple[Element, list[Element]]]:
    """Every rectangle with the texts that are written into it."""
    for group in root.iter(f"{SVG}g"):
        for rectangle in group.findall(f"{SVG}rect"):
            yield rectangle, group.findall(f"{SVG}text")


@each_graph
def test_every_cluster_export_and_import_is_in_the_picture(name: str) -> None:
    graph = GRAPHS[name]()
    cards = [[text.text for text in texts] for _, texts in groups(parsed(drawing(graph)))]
    for cluster in graph.clusters:
        assert any(card[0] == cluster.name for card in cards if card)
        for link in cluster.imports:
            assert any(card[:2] == [f"import as {link.mode}", link.service] for card in cards)
        for offer in cluster.exports:
            assert any(card[:2] == ["export", offer.service] for card in cards)
        for found in cluster.discoveries:
            assert ["endpoint discovery", f"of {found.of}"] in [card[:2] for card in cards]


@each_drawing
def test_no_words_leave_their_box(name: str) -> None:
    for rectangle, texts in groups(parsed(DRAWINGS[name]())):
        left, top = float(rectangle.get("x", "")), float(rectangle.get("y", ""))
        right, bottom = left + float(rectangle.get("width", "")), top + float(rectangle.get("height", ""))
        for text in texts:
            x, y, width = (float(text.get(key, "nan")) for key in ("x", "y", "textLength"))
            assert left < x and x + width < right, text.text
            assert top < y - 6 and y + 2 < bottom, text.text


@each_drawing
def test_a_picture_has_a_title_and_a_description_in_words(name: str) -> None:
    shown = DRAWINGS[name]()
    root = parsed(shown)
    assert root.get("role") == "img"
    told = {each.get("id"): each.text or "" for each in root if each.get("id")}
    title, description = str(root.get("aria-labelledby")).split()
    assert told[title] == shown.title
    words = (*(panel.lines for panel in shown.panels), *(node.lines for node in shown.nodes))
    assert all(line in told[description] for lines in (shown.notes, *words) for line in lines)


def test_every_colour_has_one_for_dark_pages() -> None:
    style = parsed(drawing(drawn("simulated"))).findtext(f"{SVG}style") or ""
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    drawings = (drawing(drawn("egress")), drawn_trust("rotation"))
    used = {word for each in drawings for part in parsed(each).iter() for word in part.get("class", "").split()}
    for ink in (*SURFACES, *INKS):
        assert f".{ink.name} {{" in light and f".{ink.name} {{" in dark
    assert used <= {ink.name for ink in (*SURFACES, *INKS)}


def contrast(one: str, other: str) -> float:
    """Contrast of two colours, as WCAG 2 computes it."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(color: str) -> float:
    parts = (int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_words_stand_out_from_what_they_are_written_on_with_light_and_dark_pages() -> None:
    kinds = [(stroke.ink, CARD) for stroke in KINDS.values()]
    on_panels = [(ink, surface) for ink in (TITLE, TEXT) for surface in (PANEL, CARD)]
    for ink, surface in (*kinds, *on_panels, (TITLE, PAGE), (QUIET, PAGE), (QUIET, NETWORK)):
        assert contrast(ink.light, surface.light) >= 4.5, (ink, surface)
        assert contrast(ink.dark, surface.dark) >= 4.5, (ink, surface)


def test_no_two_kinds_of_edge_look_alike_without_colour() -> None:
    imports = (NodeKind.REMOTE, NodeKind.LOCAL, NodeKind.GLOBAL, NodeKind.DISCOVERY)
    assert len({KINDS[kind].dash for kind in imports}) == len(imports)


@pytest.fixture
def checked(tmp_path: Path) -> Drawing:
    file = tmp_path / "report.json"
    results = (("imports[0]", "failed"), ("imports[1]", "passed"), ("exports[0]", "could-not-run"))
    file.write_text(report("egress", *results), encoding="utf-8")
    return drawing(drawn("egress"), read(file, "egress"))


def test_a_verdict_is_shown_by_a_colour_a_sign_and_a_word(checked: Drawing) -> None:
    root = parsed(checked)
    edges = [group.get("class") for group in root.iter(f"{SVG}g") if group.find(f"{SVG}polygon") is not None]
    assert edges[: len(checked.edges)] == ["failed", "failed", "silent", "passed", "passed", "could-not-run"]
    by_card = {texts[0].text: str(frame.get("class")) for frame, texts in groups(root) if texts}
    assert by_card["import as global · failed"] == "card failed"
    assert by_card["export · could not run"] == "card could-not-run"
    signs = [circle.get("class") for circle in root.iter(f"{SVG}circle")]
    legend = len(EntryVerdict)
    assert signs[:-legend].count("failed") == 3  # on both legs of the way, and on the import
    assert "checks: nothing was said" in {text.text for text in root.iter(f"{SVG}text")}


def test_what_checks_found_and_what_is_secret_is_in_no_picture(tmp_path: Path) -> None:
    tree = provided()
    file = tmp_path / "report.json"
    file.write_text(report("test", ("imports[0]", "failed")), encoding="utf-8")
    for format in set(Format) - {Format.PNG}:
        text = render(of(tree), format, read(file, "test")).decode()
        assert "-----BEGIN" not in text and "hunter2" not in text
        assert not any(
            line in text for given in tree["trust"]["provided"].values() for line in given["key"].split("\n")[1:-2]
        )


def test_one_federation_is_one_picture() -> None:
    for format in set(Format) - {Format.PNG}:
        assert render(drawn(FLEET), format) == render(of(fleet(), FLEET), format)


def test_a_picture_in_pixels_is_twice_as_large() -> None:
    text = svg(drawing(drawn("simulated")))
    try:
        written = png(text)
    except TopologyError as refused:
        pytest.skip(str(refused))
    width, height = map(float, re.findall(r'(?:width|height)="(\d+)"', text)[:2])
    assert written.startswith(b"\x89PNG")
    assert [int.from_bytes(written[16:20]), int.from_bytes(written[20:24])] == [2 * width, 2 * height]


def test_without_a_font_pixels_are_refused_instead_of_a_picture_without_words() -> None:
    with pytest.raises(TopologyError, match="none of the fonts Helvetica") as refused:
        png(svg(drawing(drawn("simulated"))), system_fonts=False)
    assert "--format svg" in str(refused.value)
