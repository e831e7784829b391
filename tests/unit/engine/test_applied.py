"""A note says that a state has a declaration in full; it says nothing any more once either has changed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mesh_federation import loader
from mesh_federation.cli import verify
from mesh_federation.engine import applied
from mesh_federation.engine.pulumi import Engine
from mesh_federation.stack.config import Federation
from mesh_federation.verify.verdict import Inconclusive
from tests.unit.cli.conftest import Desk
from tests.unit.components.recorder import ROOT

SAVED = "2026-01-01T00:00:00Z"


@pytest.fixture
def federation() -> Federation:
    """A small federation."""
    return loader.read(ROOT / "Pulumi.embedded.yaml")


def with_program(desk: Desk) -> Engine:
    """The engine of a checkout with a Pulumi program."""
    package = desk.workspace.checkout / "components"
    package.mkdir(exist_ok=True)
    (package / "cluster.py").write_text("one = 1\n", encoding="utf-8")
    return desk.engine


def test_a_note_holds_for_the_state_that_was_saved_and_no_other(desk: Desk) -> None:
    applied.remember(desk.engine, "a1", SAVED)
    assert applied.is_current(desk.engine, "a1", SAVED)
    assert not applied.is_current(desk.engine, "a1", "2026-01-01T00:00:01Z")
    assert not applied.is_current(desk.engine, "a2", SAVED)


def test_without_a_note_or_without_a_state_nothing_is_known(desk: Desk) -> None:
    assert not applied.is_current(desk.engine, "a1", SAVED)
    applied.remember(desk.engine, "a1", "")
    assert not applied.is_current(desk.engine, "a1", "")


def test_equal_declarations_have_one_hash(desk: Desk, federation: Federation) -> None:
    engine = with_program(desk)
    assert applied.declaration(engine, federation) == applied.declaration(engine, federation)


def edit_stack_file(engine: Engine) -> None:
    """Change a key that the model does not have."""
    file = engine.workspace.stack_file(engine.stack)
    file.write_text(f"{file.read_text(encoding='utf-8')}  kubernetes:x: y\n", encoding="utf-8")


def edit_program(engine: Engine) -> None:
    """Let the program declare something else."""
    (engine.workspace.checkout / "components" / "cluster.py").write_text("one = 2\n", encoding="utf-8")


@pytest.mark.parametrize("change", [edit_stack_file, edit_program])
def test_a_changed_file_is_another_declaration(
    desk: Desk, federation: Federation, change: Callable[[Engine], None]
) -> None:
    engine = with_program(desk)
    before = applied.declaration(engine, federation)
    change(engine)
    assert applied.declaration(engine, federation) != before


def test_another_model_is_another_declaration(desk: Desk, federation: Federation) -> None:
    """An overlay changes it, and so do the certificates that a stack file names."""
    renewed = federation.model_copy(update={"trust": federation.trust.model_copy(update={"root_days": 9})})
    assert applied.declaration(desk.engine, renewed) != applied.declaration(desk.engine, federation)


def test_another_toolchain_is_another_declaration(desk: Desk, federation: Federation) -> None:
    """It brings the charts."""
    engine = desk.engine
    other = replace(engine, toolchain=replace(engine.toolchain, charts=Path("/other")))
    assert applied.declaration(other, federation) != applied.declaration(engine, federation)


def test_own_charts_of_every_release_are_part_of_a_declaration(
    desk: Desk, federation: Federation, tmp_path: Path
) -> None:
    charts = tmp_path / federation.istio.version / "istiod" / "templates"
    charts.mkdir(parents=True)
    istio = federation.istio.model_copy(update={"charts": f"{tmp_path}/{{version}}"})
    own = federation.model_copy(update={"istio": istio})
    before = applied.declaration(desk.engine, own)
    (charts / "_helpers.tpl").write_text("x", encoding="utf-8")
    assert applied.declaration(desk.engine, own) != before


def test_what_python_caches_is_no_part_of_a_declaration(desk: Desk, federation: Federation) -> None:
    engine = with_program(desk)
    before = applied.declaration(engine, federation)
    cache = engine.workspace.checkout / "components" / "__pycache__"
    cache.mkdir()
    (cache / "cluster.pyc").write_bytes(b"x")
    assert applied.declaration(engine, federation) == before


def test_a_removed_stack_leaves_no_note(desk: Desk) -> None:
    applied.remember(desk.engine, "a1", SAVED)
    desk.engine.forsake()
    assert not desk.workspace.applied_note(desk.engine.stack).exists()


def test_a_preview_that_changes_nothing_is_noted(desk: Desk) -> None:
    desk.on("preview", """echo '{"steps": [{"op": "same", "urn": "x::east"}]}'""")
    assert verify.changes(desk.engine, "a1", SAVED) == []
    assert applied.is_current(desk.engine, "a1", SAVED)
    assert not any("--refresh" in call for call in desk.calls())


def test_a_preview_that_changes_something_is_not_noted(desk: Desk) -> None:
    desk.on("preview", """echo '{"steps": [{"op": "create", "urn": "x::east:a/b"}]}'""")
    assert [str(step) for step in verify.changes(desk.engine, "a1", SAVED)] == ["create east:a/b"]
    assert not applied.is_current(desk.engine, "a1", SAVED)


def test_a_preview_that_is_refused_is_told_with_its_reason_and_not_noted(desk: Desk) -> None:
    desk.on("preview", r"printf 'error: trust\n  the root is not trusted\n  -> rotate it\n' >&2; exit 1")
    with pytest.raises(Inconclusive, match="^the preview failed: the root is not trusted$"):
        verify.changes(desk.engine, "a1", SAVED)
    assert not applied.is_current(desk.engine, "a1", SAVED)
