"""Overlays: bad ones and the exact text that each gives, and what a sound one makes of the stack file below it.

`pytest tests/unit/stack --update-goldens` rewrites the texts.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_federation import loader
from mesh_federation.loader import read
from mesh_federation.stack import json_schema
from mesh_federation.stack.overlay import PATHS, additions, chosen, load
from mesh_federation.stack.problem import InvalidModel, report
from mesh_federation.stack.text import key_path
from mesh_federation.stack.tree import merged
from tests.golden import Golden
from tests.unit.stack.test_loader import SOUND, TREES

OVERLAYS = Path(__file__).with_name("overlays")
DEV = OVERLAYS / "stack" / "Pulumi.dev.yaml"
BAD = sorted(OVERLAYS.glob("*.yaml"))
VALID = sorted((OVERLAYS / "valid").glob("*.yaml"))


def below(overlay: Path) -> Path:
    """The stack file that a case is laid over."""
    own = OVERLAYS / "stack" / f"Pulumi.{overlay.stem}.yaml"
    return own if own.exists() else DEV


def found(stack_file: Path, overlay: Path) -> str:
    with pytest.raises(InvalidModel) as raised:
        loader.read(stack_file, overlay)
    text = report(f"{stack_file.name} with {overlay.name}", raised.value.problems)
    return text.replace(str(OVERLAYS.parent), "/CHECKOUT")


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_a_bad_overlay_gives_exactly_its_problems(golden: Golden, file: Path) -> None:
    text = found(below(file), file)
    golden(f"overlays/{file.stem}.txt", text)
    assert "Traceback" not in text
    assert "SECRET-VALUE" not in text


def test_there_are_bad_overlays_and_none_leaves_a_golden_or_a_stack_file_behind() -> None:
    names = {file.stem for file in BAD}
    assert len(names) >= 15
    assert {file.stem for file in OVERLAYS.glob("*.txt")} == names
    assert {file.stem.removeprefix("Pulumi.") for file in (OVERLAYS / "stack").iterdir()} <= names | {"dev"}


def test_the_stack_file_below_bad_overlays_is_sound_by_itself() -> None:
    assert set(loader.read(DEV).clusters) == {"east", "west"}


@pytest.mark.parametrize("file", VALID, ids=lambda file: file.stem)
def test_a_valid_overlay_gives_no_problem(file: Path) -> None:
    assert set(read(DEV, file).clusters) == {"east", "west"}


def written(folder: Path, text: str) -> Path:
    file = folder / "mirror.yaml"
    file.write_text(text, encoding="utf-8")
    return file


# Merging.


def test_mappings_are_laid_over_key_by_key_and_the_rest_replaces() -> None:
    stack = {"istio": {"tag": "a", "values": {"x": {"y": 1, "z": 2}}}, "imports": [1, 2], "lab": {"subnet": "b"}}
    over = {"istio": {"hub": "c", "values": {"x": {"y": None}}}, "imports": [3], "lab": "d"}
    assert merged(stack, over) == {
        "istio": {"tag": "a", "hub": "c", "values": {"x": {"y": None, "z": 2}}},
        "imports": [3],
        "lab": "d",
    }


MAPPINGS = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(st.integers(0, 3), lambda tree: st.dictionaries(st.sampled_from("abc"), tree, max_size=3)),
)


@given(under=MAPPINGS, over=MAPPINGS)
def test_laying_over_twice_is_laying_over_once_and_changes_neither_tree(under: object, over: object) -> None:
    before = json.dumps([under, over])
    once = merged(under, over)
    assert merged(once, over) == once
    assert merged(under, {}) == under
    assert json.dumps([under, over]) == before


def leaves(tree: dict[str, Any], where: str = "") -> Iterator[tuple[str, object]]:
    """Every value that is no mapping with keys, by its path."""
    for key, value in tree.items():
        path = key_path(where, key)
        yield from leaves(value, path) if value and isinstance(value, dict) else [(path, value)]


@given(under=MAPPINGS, over=MAPPINGS)
def test_every_value_of_the_merged_tree_is_from_the_file_that_problems_name(
    under: dict[str, Any], over: dict[str, Any]
) -> None:
    ours, theirs, added = dict(leaves(over)), dict(leaves(under)), set(additions(under, over))
    both = merged(under, over)
    assert isinstance(both, dict)
    for path, value in leaves(both):
        from_overlay = any(path == place or path.startswith(f"{place}.") for place in added)
        assert value == (ours if from_overlay else theirs)[path]


@given(under=st.just(SOUND) | TREES, over=TREES)
def test_any_two_trees_give_a_federation_or_problems(under: object, over: object, tmp_path_factory: Any) -> None:  # noqa: ANN401
    file = written(tmp_path_factory.getbasetemp(), json.dumps(over))
    try:
        layers = loader.layered(under, file.with_name("Pulumi.dev.yaml"), file)
        with layers.checked():
            loader.parse(layers.tree)
    except InvalidModel as invalid:
        assert invalid.problems
        assert all(f.where.startswith(("mirror.yaml", "Pulumi.dev.yaml")) for f in invalid.problems)


# Whose problem it is.


def paths(stack_file: Path, overlay: Path) -> list[str]:
    with pytest.raises(InvalidModel) as raised:
        read(stack_file, overlay)
    return [problem.where for problem in raised.value.problems]


def test_a_key_that_a_cluster_of_both_files_lacks_is_looked_for_in_the_stack_file(tmp_path: Path) -> None:
    over = written(tmp_path, "clusters: {east: {provisioner: existing}}\n")
    assert "Pulumi.dev.yaml: clusters.east.kubeconfig" in paths(DEV, over)


def test_a_key_that_an_entry_of_the_overlay_lacks_is_looked_for_in_the_overlay(tmp_path: Path) -> None:
    over = written(tmp_path, "trust: {provided: {east: {certificate: ca.pem}}}\n")
    assert set(paths(DEV, over)) >= {
        "mirror.yaml: trust.provided.east.key",
        "mirror.yaml: trust.provided.east.root",
    }


def test_an_unsupported_key_of_an_overlay_is_reported_for_the_overlay(tmp_path: Path) -> None:
    assert paths(DEV, written(tmp_path, "istio: {ambient: true}\n")) == ["mirror.yaml: istio.ambient"]


def test_without_an_overlay_problems_name_no_file(tmp_path: Path) -> None:
    bad = OVERLAYS / "stack" / "Pulumi.both-wrong.yaml"
    with pytest.raises(InvalidModel) as raised:
        loader.read(bad)
    assert "clusters.east.nodes" in [problem.where for problem in raised.value.problems]


def test_a_file_name_that_steers_a_terminal_is_shown_inert(tmp_path: Path) -> None:
    file = tmp_path / "a\x1b[2Jb.yaml"
    file.write_text("imagse: {}\n", encoding="utf-8")
    assert paths(DEV, file) == ["a\\x1b[2Jb.yaml: imagse"]


def test_an_overlay_that_cannot_be_read_is_a_problem_with_its_path(tmp_path: Path) -> None:
    for file in (tmp_path / "none.yaml", tmp_path, tmp_path / "nul\0.yaml"):
        with pytest.raises(InvalidModel) as raised:
            loader.read(DEV, file)
        [problem] = raised.value.problems
        assert problem.rule == "unreadable-file"
        assert "--overlay" in problem.fix and "MESH_OVERLAY" in problem.fix


# Paths.

AUTHORITY = {"certificate": "", "key": "", "chain": "", "root": ""}
PLACES = {
    "istio": {"charts": "official", "gatewayApi": "official"},
    "lab": {"metallbManifest": "official"},
    "clusters": {"east": {"kubeconfig": "", "istio": {"charts": "official", "twin": ""}}},
    "partners": {"east": {"card": ""}},
    "trust": {"provided": {"east": AUTHORITY}, "rotation": {"provided": {"east": AUTHORITY}}},
}


def with_paths(value: str) -> dict[str, Any]:
    """PLACES, each with this value."""

    def filled(tree: Any) -> Any:  # noqa: ANN401 - a tree
        return {key: filled(below) for key, below in tree.items()} if isinstance(tree, dict) else value

    return dict(filled(PLACES))


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("files/a.pem", "FOLDER/files/a.pem"),
        ("./a", "FOLDER/a"),
        ("sub/../a", "FOLDER/a"),
        ("/srv/a", "/srv/a"),
        ("~/a", "HOME/a"),
        ("charts/{version}", "FOLDER/charts/{version}"),
        ("official", "official"),
        ("", ""),
        ("-----BEGIN CERTIFICATE-----\nx", "-----BEGIN CERTIFICATE-----\nx"),
    ],
)
def test_paths_are_relative_to_the_overlays_folder_and_become_absolute(
    given: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    tree, problems = load(written(tmp_path, json.dumps(with_paths(given))))
    assert problems == []
    expected = meant.replace("FOLDER", str(tmp_path)).replace("HOME", "/home/somebody")
    assert tree == with_paths(expected)


def test_what_is_no_path_is_left_as_it_is(tmp_path: Path) -> None:
    given = {
        "istio": {"hub": "mirror/istio", "values": {"charts": "a/b", "lab": {"metallbManifest": "c"}}},
        "images": {"node": "kindest/node"},
        "clusters": {"east": {"context": "a", "image": "b/c", "kubeconfig": 5}},
    }
    assert load(written(tmp_path, json.dumps(given))) == (given, [])


def keys(node: dict[str, Any], definitions: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Every place of the model, as the keys that lead to it; `*` stands for a name."""
    node = definitions[node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    for either in node.get("anyOf", ()):
        yield from keys(either, definitions)
    for key, inner in node.get("properties", {}).items():
        yield from ((key, *rest) for rest in keys(inner, definitions))
    if isinstance(node.get("additionalProperties"), dict):
        yield from (("*", *rest) for rest in keys(node["additionalProperties"], definitions))
    yield ()


def test_the_places_of_paths_are_places_of_the_model() -> None:
    definitions: Any = json_schema.schema()["$defs"]
    assert set(PATHS) <= set(keys(definitions["Federation"], definitions))
    assert {path for path, _ in leaves(PLACES)} == {".".join(place).replace("*", "east") for place in PATHS}


def test_pem_files_beside_an_overlay_are_found_from_there(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate", encoding="utf-8")
    authority = {"certificate": "ca.pem", "key": "ca.pem", "root": "ca.pem"}
    trust = {"trust": {"model": "provided", "provided": {"east": authority, "west": authority}}}
    with pytest.raises(InvalidModel) as raised:
        loader.read(DEV, written(tmp_path, json.dumps(trust)))
    assert {problem.rule for problem in raised.value.problems} <= {"provided-not-pem", "provided-bad-key"}


# Which overlay is in use.


@pytest.mark.parametrize(
    ("environment", "file"),
    [
        ({}, None),
        ({"MESH_OVERLAY": ""}, None),
        ({"MESH_OVERLAY": "/srv/mirror.yaml"}, "/srv/mirror.yaml"),
        ({"MESH_OVERLAY": "mirror.yaml"}, "HERE/mirror.yaml"),
        ({"MESH_OVERLAY": "~/mirror.yaml"}, "/home/somebody/mirror.yaml"),
    ],
)
def test_the_environment_names_the_overlay(
    environment: dict[str, str], file: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert chosen(environment) == (Path(file.replace("HERE", str(tmp_path))) if file else None)


def test_a_kubeconfig_may_be_a_list_with_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "/elsewhere")
    over = written(tmp_path, "clusters: {east: {kubeconfig: 'mine:$PLACE/theirs'}}\n")
    tree, problems = load(over)
    assert (tree["clusters"]["east"]["kubeconfig"], problems) == (f"{over.parent}/mine:/elsewhere/theirs", [])
