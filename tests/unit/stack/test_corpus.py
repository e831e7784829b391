"""Bad stack files and the exact text that each gives; valid files near them that give none.

`UPDATE_GOLDENS=1 pytest tests/unit/stack` writes the texts anew: read the difference before it is committed.
"""

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from mesh_federation import loader
from mesh_federation.cli.validate import validate
from mesh_federation.stack.problem import InvalidModel, report

CORPUS = Path(__file__).with_name("corpus")
OVERLAYS = Path(__file__).with_name("overlays")
PACKAGE = Path(loader.__file__).parent
BAD = sorted(CORPUS.glob("*.yaml"))
VALID = sorted((CORPUS / "valid").glob("*.yaml"))


def _name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("file", BAD, ids=_name)
def test_a_bad_stack_file_gives_exactly_its_findings(file: Path) -> None:
    with pytest.raises(InvalidModel) as raised:
        loader.read(file)
    text = report(file.name, raised.value.problems)
    golden = file.with_suffix(".txt")
    if os.environ.get("UPDATE_GOLDENS"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
    assert "Traceback" not in text
    assert "SECRET-VALUE" not in text
    assert all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize("file", VALID, ids=_name)
def test_a_valid_stack_file_gives_no_finding(file: Path) -> None:
    assert loader.read(file).clusters


def test_no_golden_is_left_behind() -> None:
    assert {file.stem for file in CORPUS.glob("*.txt")} == {file.stem for file in BAD}


def _ids(*files: Path) -> Iterator[str]:
    """Rule ids in source files: the second argument of Finding, and the first result of shape's translations."""
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="Problem"), args=[_, ast.Constant(value=str(rule)), *_]):
                    yield rule
                case ast.Call(func=ast.Attribute(attr="_find" | "_stop"), args=[ast.Constant(value=str(rule)), *_]):
                    yield rule
                case ast.Return(value=ast.Tuple(elts=[ast.Constant(value=str(rule)), _, _])):
                    yield rule


RULES = sorted(
    set(_ids(*(f for f in (PACKAGE / "rules").glob("*.py") if f.name not in ("provided.py", "unsupported.py"))))
)
READING = sorted(
    set(
        _ids(
            PACKAGE / "loader.py",
            *(PACKAGE / "stack" / f"{name}.py" for name in ("overlay", "validation", "yaml_reader")),
        )
    )
)
NOT_IN_THE_CORPUS = {"file-too-large", "unreadable-file", "not-plain-data", "wrong-value"}
"""Tested in test_stackfile.py: they need something else than a small file."""


def _fired() -> set[str]:
    goldens = [*CORPUS.glob("*.txt"), *OVERLAYS.glob("*.txt")]
    lines = [line for file in goldens for line in file.read_text(encoding="utf-8").splitlines()]
    return {line.split()[-1] for line in lines if line.startswith("  ") and not line.startswith("   ")}


def test_the_rules_are_found() -> None:
    assert len(RULES) > 40
    assert len(READING) > 20


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_fires_on_a_bad_file_and_has_a_valid_neighbour(rule: str) -> None:
    assert rule in _fired()
    assert rule in {file.stem for file in VALID}


@pytest.mark.parametrize("rule", sorted(set(READING) - NOT_IN_THE_CORPUS))
def test_every_finding_about_form_has_a_bad_file(rule: str) -> None:
    assert rule in _fired()


@pytest.mark.parametrize(("file", "code"), [(BAD[0], 1), (CORPUS / "valid" / "anchors.yaml", 0)])
def test_validate_prints_what_it_found(file: Path, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate(file, Console()) == code
    printed = capsys.readouterr().out
    expected = file.with_suffix(".txt").read_text(encoding="utf-8") if code else f"{file.name}: no problems ("
    assert printed.startswith(expected)
