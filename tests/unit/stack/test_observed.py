"""Files of what was observed: bad ones and the exact text that each gives, and what a good one adds to its stack file.

`pytest tests/unit/stack --update-goldens` rewrites the texts.
"""

import shutil
from pathlib import Path

import pytest

from mesh_federation import loader
from mesh_federation.stack import observed
from mesh_federation.stack.config import ObservedMesh
from mesh_federation.stack.problem import InvalidModel, report
from tests.golden import Golden

FILES = Path(__file__).with_name("observed")
STACK = FILES / "stack" / "Pulumi.dev.yaml"
BAD = sorted(FILES.glob("*.yaml"))


def seen(stack_file: Path) -> dict[str, ObservedMesh]:
    """What was observed of the meshes of a stack."""
    return {name: each.observed for name, each in loader.read(stack_file).clusters.items() if each.observed}


def _name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("file", BAD, ids=_name)
def test_a_bad_file_has_exactly_its_problems(golden: Golden, file: Path, tmp_path: Path) -> None:
    stack_file = Path(shutil.copy(STACK, tmp_path))
    shutil.copy(file, observed.beside(stack_file))
    with pytest.raises(InvalidModel) as raised:
        loader.read(stack_file)
    text = report("dev", raised.value.problems)
    golden(f"observed/{file.stem}.txt", text)
    assert "Traceback" not in text
    assert "SECRET-VALUE" not in text and "PRIVATE" not in text
    assert str(tmp_path) not in text


def test_no_golden_is_left_behind() -> None:
    assert {file.stem for file in FILES.glob("*.txt")} == {file.stem for file in BAD}


def test_what_was_observed_is_laid_under_the_stack_file() -> None:
    federation = loader.read(STACK)
    east = federation.clusters["east"]
    assert east.observed
    assert (east.trust_domain, federation.istio_release("east")) == ("east.example", "1.31.0")


def test_without_a_file_nothing_is_laid_under_a_stack_file(tmp_path: Path) -> None:
    assert observed.load(observed.beside(tmp_path / "Pulumi.dev.yaml")) == ({}, [])


def test_what_is_written_is_read_again_and_is_the_same_each_time(tmp_path: Path) -> None:
    meshes = seen(STACK)
    stack_file = Path(shutil.copy(STACK, tmp_path))
    text = observed.written("dev", meshes)
    observed.beside(stack_file).write_text(text, encoding="utf-8")
    assert seen(stack_file) == meshes
    assert observed.written("dev", dict(reversed(meshes.items()))) == text
    assert "|" in text, "PEM is a block of lines, which a pull request shows well"
