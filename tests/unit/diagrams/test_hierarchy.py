"""A picture of certificates shows every authority and cluster, who signs whom, who trusts whom, and nothing secret."""

import re
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from hypothesis import example, given, settings

from mesh_federation.diagrams.formats import Format
from mesh_federation.diagrams.hierarchy import (
    LOOKS,
    MANY,
    Arrow,
    Card,
    Kind,
    Panel,
    Picture,
    dot,
    mermaid,
    picture,
    render,
)
from mesh_federation.diagrams.hierarchy_svg import INKS, svg
from mesh_federation.diagrams.palette import CARD, SURFACES
from tests.unit.components.authorities import provided
from tests.unit.components.federations import Tree
from tests.unit.diagrams.fleet import fleet
from tests.unit.diagrams.test_pictures import SVG, contrast, groups
from tests.unit.diagrams.test_text import TEXTS
from tests.unit.diagrams.trusts import TREES, of, told

DRAWN = (Format.SVG, Format.DOT, Format.MERMAID)
each_tree = pytest.mark.parametrize("name", TREES)


def parsed(name: str) -> Element:
    return ElementTree.fromstring(svg(picture(told(name))))


@each_tree
def test_every_authority_and_cluster_is_in_the_picture_with_its_words(name: str) -> None:
    shown = told(name)
    cards = [[text.text for text in texts] for _, texts in groups(parsed(name))]
    for root in shown.roots:
        assert any(card[1:3] == [root.name, root.certificate.subject] for card in cards)
    for cluster in shown.clusters:
        assert any(card[:1] == [cluster.name] for card in cards)
        for link in (cluster.intermediate, *cluster.chain):
            assert any(card[:2] == ["intermediate", link.name] for card in cards)
        assert ["workloads", cluster.identities, f"trust domain {cluster.trust_domain}"] in cards


@each_tree
def test_arrows_lead_from_root_to_workloads_and_from_clusters_to_all_other_roots(name: str) -> None:
    shown, drawn = told(name), picture(told(name))
    titles = {card.id: card.title for card in drawn.cards} | {panel.id: panel.lines[0] for panel in drawn.panels}
    signs = {(titles[each.tail], titles[each.head]) for each in drawn.arrows if each.kind is Kind.SIGNS}
    trusts = {(titles[each.tail], titles[each.head]) for each in drawn.arrows if each.kind is Kind.TRUSTS}
    for cluster in shown.clusters:
        way = [cluster.root, *(link.name for link in cluster.chain[::-1]), cluster.intermediate.name]
        assert set(zip(way, [*way[1:], cluster.identities], strict=True)) <= signs
    assert trusts == {(each.name, root) for each in shown.clusters for root in each.trusts if root != each.root}


@pytest.mark.parametrize("phase", ["add", "rotation", "drop"])
def test_roots_that_come_and_go_are_told_apart_by_a_word_a_colour_and_a_width(phase: str) -> None:
    by_word = {texts[0].text: str(frame.get("class")) for frame, texts in groups(parsed(phase)) if texts}
    words = {"root · comes": "card comes"} | ({} if phase == "drop" else {"root · goes": "card goes"})
    assert {word: look for word, look in by_word.items() if str(word).startswith("root")} == words
    assert LOOKS[Kind.COMES].width == LOOKS[Kind.GOES].width > LOOKS[Kind.ROOT].width


@each_tree
def test_no_words_leave_their_box(name: str) -> None:
    for rectangle, texts in groups(parsed(name)):
        left, top = float(rectangle.get("x", "")), float(rectangle.get("y", ""))
        right, bottom = left + float(rectangle.get("width", "")), top + float(rectangle.get("height", ""))
        for text in texts:
            x, y, width = (float(text.get(key, "nan")) for key in ("x", "y", "textLength"))
            assert left < x and x + width < right, text.text
            assert top < y - 6 and y + 2 < bottom, text.text


def _ends(root: Element) -> Iterator[tuple[tuple[float, float], tuple[float, float], bool]]:
    """Where each arrow begins and where its point is, and whether it is dashed."""
    for group in root.iter(f"{SVG}g"):
        path, head = group.find(f"{SVG}path"), group.find(f"{SVG}polygon")
        if path is not None and head is not None:
            start = re.match(r"M([-\d.]+),([-\d.]+)", path.get("d", ""))
            point = head.get("points", "").split()[1].split(",")
            assert start
            yield (
                (float(start[1]), float(start[2])),
                (float(point[0]), float(point[1])),
                bool(path.get("stroke-dasharray")),
            )


@each_tree
def test_no_two_arrows_begin_or_end_at_one_place(name: str) -> None:
    ends = list(_ends(parsed(name)))
    assert len({start for start, _, _ in ends}) == len({point for _, point, _ in ends}) == len(ends)


@each_tree
def test_what_trusts_is_dashed_and_leads_to_the_left(name: str) -> None:
    drawn = picture(told(name))
    ends = list(_ends(parsed(name)))[: len(drawn.arrows)]
    for arrow, (start, point, is_dashed) in zip(drawn.arrows, ends, strict=True):
        assert is_dashed == (arrow.kind is Kind.TRUSTS) == (point[0] < start[0])


@each_tree
def test_a_picture_has_a_title_and_tells_itself_in_words(name: str) -> None:
    drawn, root = picture(told(name)), parsed(name)
    text = {each.get("id"): each.text or "" for each in root if each.get("id")}
    assert (root.get("role"), text["title"]) == ("img", drawn.title)
    words = (drawn.notes, *(panel.lines for panel in drawn.panels), *(card.lines for card in drawn.cards))
    assert all(line in text["description"] for lines in words for line in lines)


def test_every_colour_has_one_for_dark_pages_and_words_stand_out_on_both() -> None:
    light, dark = (parsed("rotation").findtext(f"{SVG}style") or "").split("@media (prefers-color-scheme: dark)")
    used = {word for name in TREES for each in parsed(name).iter() for word in each.get("class", "").split()}
    assert used <= {ink.name for ink in (*SURFACES, *INKS)}
    assert all(f".{ink.name} {{" in light and f".{ink.name} {{" in dark for ink in (*SURFACES, *INKS))
    for look in LOOKS.values():
        assert contrast(look.ink.light, CARD.light) >= 4.5 and contrast(look.ink.dark, CARD.dark) >= 4.5


def many() -> Tree:
    tree = fleet()
    return {**tree, "trust": {"model": "separate"}}


def test_arrows_that_would_hide_the_picture_are_left_out_and_the_picture_says_so() -> None:
    drawn = picture(of(many()))
    clusters = len(drawn.panels)
    assert clusters * (clusters - 1) > MANY
    assert {arrow.kind for arrow in drawn.arrows} == {Kind.SIGNS}
    assert any("left out" in note for note in drawn.notes)
    assert not any("left out" in note for note in picture(told("three")).notes)
    assert ElementTree.fromstring(svg(drawn)).get("role") == "img"


def test_nothing_secret_is_in_a_picture() -> None:
    for format in DRAWN:
        text = render(told("provided"), format).decode()
        assert "-----BEGIN" not in text
        for each in provided()["trust"]["provided"].values():
            assert not any(line in text for line in each["key"].split("\n")[1:-2])


def test_one_hierarchy_is_one_picture() -> None:
    for format in DRAWN:
        assert render(told("rotation"), format) == render(told("rotation"), format)


def one(text: str) -> Picture:
    """A picture in which all words are the given ones."""
    root, own, workloads = (
        Card(id, kind, text, (text,))
        for id, kind in (("r", Kind.ROOT), ("i", Kind.INTERMEDIATE), ("w", Kind.WORKLOADS))
    )
    arrows = (Arrow("p", "r", Kind.TRUSTS), Arrow("r", "i", Kind.SIGNS), Arrow("i", "w", Kind.SIGNS))
    return Picture(text, (text,), (root,), (Panel("p", (text, text), (own, workloads)),), arrows)


@example("&amp;")
@example("\\\\")
@example('\\"')
@given(TEXTS)
@settings(deadline=None, max_examples=30)
def test_any_text_is_shown_as_it_is(text: str) -> None:
    from mesh_federation.stack.text import escape_unprintable

    texts = sorted(each.text or "" for each in ElementTree.fromstring(svg(one(text))).iter(f"{SVG}text"))
    kinds = ["intermediate", "root", "signs", "trusts too", "workloads"]
    assert texts == sorted([*kinds, *[escape_unprintable(text)] * 10])
    assert dot(one(text)).count("\n") == dot(one("a")).count("\n")
    assert mermaid(one(text)).count("\n") == mermaid(one("a")).count("\n")
