"""A picture of certificates shows every authority and cluster, who signs whom, who trusts whom, and nothing secret."""

import pytest

from mesh_federation.diagrams.drawing import Drawing, NodeKind
from mesh_federation.diagrams.formats import Format
from mesh_federation.diagrams.hierarchy import MANY, drawing
from mesh_federation.diagrams.palette import KINDS
from mesh_federation.diagrams.render import render_hierarchy
from tests.unit.components.authorities import provided
from tests.unit.diagrams.fleet import fleet
from tests.unit.diagrams.trusts import TREES, drawn_trust, of, told

DRAWN = (Format.SVG, Format.DOT, Format.MERMAID)
each_tree = pytest.mark.parametrize("name", TREES)


def edges(shown: Drawing, kind: NodeKind) -> set[tuple[str, str]]:
    """The titles that edges of a kind lead from and to."""
    titles = shown.titles
    return {(titles[edge.tail], titles[edge.head]) for edge in shown.edges if edge.kind is kind}


@each_tree
def test_every_authority_and_cluster_is_in_the_picture_with_its_words(name: str) -> None:
    hierarchy, shown = told(name), drawn_trust(name)
    assert [(root.title, root.details[0]) for root in shown.shared] == [
        (root.name, root.certificate.subject) for root in hierarchy.roots
    ]
    for cluster, panel in zip(hierarchy.clusters, shown.panels, strict=True):
        *authorities, workloads = panel.nodes
        links = [*(link.name for link in cluster.chain[::-1]), cluster.intermediate.name]
        assert panel.title == cluster.name and [node.title for node in authorities] == links
        assert workloads.lines == ("workloads", cluster.identities, f"trust domain {cluster.trust_domain}")


@each_tree
def test_lines_lead_from_root_to_workloads_and_from_roots_to_all_other_clusters_that_trust_them(name: str) -> None:
    hierarchy, shown = told(name), drawn_trust(name)
    signs = edges(shown, NodeKind.SIGNS)
    for cluster in hierarchy.clusters:
        path = [cluster.root, *(link.name for link in cluster.chain[::-1]), cluster.intermediate.name]
        assert set(zip(path, [*path[1:], cluster.identities], strict=True)) <= signs
    others = {(root, each.name) for each in hierarchy.clusters for root in each.trusts if root != each.root}
    assert edges(shown, NodeKind.TRUSTED_BY) == others
    assert any("dashed" in note for note in shown.notes) == bool(others)


@pytest.mark.parametrize("phase", ["add", "rotation", "drop"])
def test_roots_that_are_added_and_removed_differ_by_a_word_a_colour_and_a_width(phase: str) -> None:
    kinds = {NodeKind.NEW_ROOT} | (set() if phase == "drop" else {NodeKind.OLD_ROOT})
    assert {root.kind for root in drawn_trust(phase).shared} - {NodeKind.ROOT} == kinds
    looks = [KINDS[kind] for kind in (NodeKind.ROOT, NodeKind.NEW_ROOT, NodeKind.OLD_ROOT)]
    assert len({look.ink for look in looks}) == 3 and looks[0].width < looks[1].width == looks[2].width


def test_lines_that_would_hide_the_picture_are_left_out_and_the_picture_says_so() -> None:
    shown = drawing(of({**fleet(), "trust": {"model": "separate", "scope": "mesh"}}))
    clusters = len(shown.panels)
    assert clusters * (clusters - 1) > MANY
    assert {edge.kind for edge in shown.edges} == {NodeKind.SIGNS}
    assert any("left out" in note for note in shown.notes)
    assert not any("left out" in note for note in drawn_trust("three").notes)


def test_nothing_secret_is_in_a_picture() -> None:
    for format in DRAWN:
        text = render_hierarchy(told("provided"), format).decode()
        assert "-----BEGIN" not in text
        for each in provided()["trust"]["provided"].values():
            assert not any(line in text for line in each["key"].split("\n")[1:-2])


def test_one_hierarchy_is_one_picture() -> None:
    for format in DRAWN:
        assert render_hierarchy(told("rotation"), format) == render_hierarchy(told("rotation"), format)
