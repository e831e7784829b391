"""Bad stack files and the exact text that each gives; valid files near them that give none.

`pytest tests/unit/stack --update-goldens` rewrites the texts.
"""

from pathlib import Path

import pytest
from rich.console import Console

from mesh_federation import loader
from mesh_federation.cli.validate import validate
from mesh_federation.stack.problem import InvalidModel, report
from mesh_federation.stack.rule_ids import DOCUMENT, KINDS, FederationRule, FormRule, RuleId, rendered
from tests.golden import Golden

CORPUS = Path(__file__).with_name("corpus")
OTHERS = [Path(__file__).with_name(name) for name in ("overlays", "observed", "cards", "fleets")]
BAD = sorted(CORPUS.glob("*.yaml"))
VALID = sorted((CORPUS / "valid").glob("*.yaml"))


def _name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("file", BAD, ids=_name)
def test_a_bad_stack_file_has_exactly_its_problems(golden: Golden, file: Path) -> None:
    with pytest.raises(InvalidModel) as raised:
        loader.read(file)
    text = report(file.name, raised.value.problems)
    golden(f"corpus/{file.stem}.txt", text)
    assert "Traceback" not in text
    assert "SECRET-VALUE" not in text
    assert all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize("file", VALID, ids=_name)
def test_a_valid_stack_file_has_no_problem(file: Path) -> None:
    assert loader.read(file).clusters


def test_no_golden_is_left_behind() -> None:
    assert {file.stem for file in CORPUS.glob("*.txt")} == {file.stem for file in BAD}


NOT_IN_THE_CORPUS = {
    FormRule.FILE_TOO_LARGE,
    FormRule.UNREADABLE_FILE,
    FormRule.NOT_PLAIN_DATA,
    FormRule.WRONG_VALUE,
}
"""Tested in test_loader.py: they need more than a small file."""


def _fired() -> set[str]:
    goldens = [file for folder in (CORPUS, *OTHERS) for file in folder.glob("*.txt")]
    lines = [line for file in goldens for line in file.read_text(encoding="utf-8").splitlines()]
    return {line.split()[-1] for line in lines if line.startswith("  ") and not line.startswith("   ")}


@pytest.mark.parametrize("rule", FederationRule)
def test_every_rule_of_the_federation_has_a_bad_file_and_a_valid_one(rule: RuleId) -> None:
    assert rule in _fired()
    assert rule in {file.stem for file in VALID}


@pytest.mark.parametrize("rule", sorted(set(FormRule) - NOT_IN_THE_CORPUS))
def test_every_rule_of_form_has_a_bad_file(rule: RuleId) -> None:
    assert rule in _fired()


def test_only_declared_rules_are_reported() -> None:
    assert _fired() <= {rule for kind in KINDS for rule in kind}


def test_rule_ids_are_unique() -> None:
    every = [rule.value for kind in KINDS for rule in kind]
    assert len(set(every)) == len(every)


def test_the_documentation_of_rules_is_up_to_date() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == rendered(), "run python -m mesh_federation.stack.rule_ids"


@pytest.mark.parametrize(("file", "code"), [(BAD[0], 1), (CORPUS / "valid" / "anchors.yaml", 0)])
def test_validate_prints_what_it_found(file: Path, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate(file, Console()) == code
    printed = capsys.readouterr().out
    expected = file.with_suffix(".txt").read_text(encoding="utf-8") if code else f"{file.name}: no problems ("
    assert printed.startswith(expected)
