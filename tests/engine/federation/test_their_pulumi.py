"""Whoever has a Pulumi already: the real engine finds a language host and plugins, whoever brought each of them."""

import os
import shlex
import shutil
from pathlib import Path

import pytest

from tests.checkout import Checkout

HOST = "pulumi-language-python"


@pytest.fixture
def theirs(fresh: Checkout, tmp_path: Path) -> Path:
    """A folder of the user's, first on PATH."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    fresh.ambient |= {"PATH": f"{folder}{os.pathsep}{fresh.ambient['PATH']}"}
    return folder


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


def previews(checkout: Checkout) -> None:
    """Preview, and again in a shell that took `./mesh env`, and in one that took it twice."""
    for _ in range(3):
        done = checkout.mesh("preview", "--stack", checkout.stack)
        assert done.code == 0, done.text
        assert done.changes()["create"] > 50
        told = checkout.mesh("env")
        assert told.code == 0, told.text
        exports = (shlex.split(line)[1].split("=", 1) for line in told.stdout.splitlines())
        checkout.ambient |= dict(exports)
    by_hand = checkout.run(checkout.pulumi_command("preview"), checkout.ambient)
    assert by_hand.code == 0, by_hand.text


def with_an_engine_that_fits(checkout: Checkout, theirs: Path, cache: Path) -> None:
    """Give the user the engine, and take it out of a copy of the toolchain's cache folder."""
    shelf = checkout.toolchain.bin.parent
    real = (checkout.toolchain.bin / "pulumi").resolve()
    (theirs / "pulumi").symlink_to(shutil.copy2(real, theirs / "the-engine"))
    copy = cache / shelf.name
    shutil.copytree(shelf, copy, symlinks=True, ignore=shutil.ignore_patterns("pulumi", "installed.json"))
    installed = (shelf / "installed.json").read_text(encoding="utf-8").replace(str(shelf), str(copy))
    (copy / "installed.json").write_text(installed, encoding="utf-8")
    checkout.ambient |= {"MESH_CACHE": str(cache)}


def test_an_older_pulumi_with_its_language_host_is_left_alone(fresh: Checkout, theirs: Path) -> None:
    program(theirs / "pulumi", "echo v3.220.0")
    for name in (HOST, f"{HOST}-exec"):
        program(theirs / name, "exit 1")
    previews(fresh)


def test_a_pulumi_that_fits_is_used_with_a_language_host_that_lies_elsewhere(
    fresh: Checkout, theirs: Path, tmp_path: Path
) -> None:
    with_an_engine_that_fits(fresh, theirs, tmp_path / "cache")
    previews(fresh)
    (used,) = (tmp_path / "cache").glob("*/bin/pulumi")
    assert used.resolve().parent == theirs


def test_a_pulumi_that_fits_is_used_with_the_language_host_beside_it(
    fresh: Checkout, theirs: Path, tmp_path: Path
) -> None:
    with_an_engine_that_fits(fresh, theirs, tmp_path / "cache")
    log = tmp_path / "log"
    stand_in = f"PYTHONPATH={fresh.folder} exec {fresh.python} -P -m mesh_federation.toolchain.standins.language"
    program(theirs / HOST, f'echo called >> {log}\n{stand_in} "$@"')
    previews(fresh)
    assert log.exists()
