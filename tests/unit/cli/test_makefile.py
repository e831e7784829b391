"""The targets of make pass on what people say as it is: no part of it is run by make or by the shell."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
OUTSIDE = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
STUB = """#!/bin/sh
for word in "$@"; do printf '%s\\n' "$word"; done
"""
NASTY = ["simulated; touch owned", "$(shell touch owned)", "$$(touch owned)", "`touch owned`", "it's", 'a"b', "a b"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose `mesh` prints its arguments, a line each."""
    shutil.copy(CHECKOUT / "Makefile", tmp_path / "Makefile")
    script = tmp_path / "mesh"
    script.write_text(STUB, encoding="utf-8")
    script.chmod(0o755)
    return tmp_path


def made(checkout: Path, *words: str, **settings: str) -> list[str]:
    done = subprocess.run(
        ["make", *words], cwd=checkout, env={**OUTSIDE, **settings}, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("said", NASTY)
@pytest.mark.parametrize(
    ("target", "variable"), [("validate", "STACK"), ("up", "STACK"), ("down", "STACK"), ("lab", "LAB")]
)
def test_a_stack_name_reaches_mesh_as_it_is_and_no_part_of_it_runs(
    checkout: Path, target: str, variable: str, said: str
) -> None:
    for words in (made(checkout, target, f"{variable}={said}"), made(checkout, target, **{variable: said})):
        assert f"--stack={said}" in words
    assert not (checkout / "owned").exists()


@pytest.mark.parametrize("said", NASTY)
def test_an_overlay_of_any_name_is_one_argument(checkout: Path, said: str) -> None:
    assert made(checkout, "preview", f"OVERLAY={said}") == ["preview", "--stack=", f"--overlay={said}"]
    assert not (checkout / "owned").exists()


def test_without_an_overlay_none_is_named(checkout: Path) -> None:
    assert made(checkout, "up") == ["up", "--yes", "--call", "--stack="]
