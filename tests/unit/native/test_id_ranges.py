"""Which ids of the machine a sandbox gets."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mesh_federation.native import id_ranges
from mesh_federation.native.id_ranges import NEEDED, ROOTS_FIRST, IdMap, IdRange
from mesh_federation.stack.problem import ProblemError

Given = Callable[[str], Path]


@pytest.fixture
def given(tmp_path: Path) -> Given:
    def write(text: str) -> Path:
        file = tmp_path / "ids"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def test_a_user_is_root_of_the_sandbox_and_gives_it_the_ids_behind(given: Given) -> None:
    file = given("other:100000:65536\nme:165536:65536\n")
    assert id_ranges.of_user(file, "me", 1000, 1000) == (IdRange(0, 1000, 1), IdRange(1, 165536, NEEDED - 1))


def test_a_range_may_be_given_to_a_users_number(given: Given) -> None:
    assert id_ranges.of_user(given("1000:200000:65536\n"), "me", 1000, 1000)[1].outside == 200000


def test_the_group_of_a_user_may_have_another_number(given: Given) -> None:
    assert id_ranges.of_user(given("me:100000:65536\n"), "me", 1000, 50)[0] == IdRange(0, 50, 1)


def test_the_range_that_is_proposed_is_nobody_elses(given: Given) -> None:
    with pytest.raises(ProblemError) as error:
        id_ranges.of_user(given("you:100000:65536\nshe:165536:65536\n"), "me", 1000, 1000)
    assert "--add-subuids 231072-296607 --add-subgids 231072-296607 me" in error.value.problem.fix


@pytest.mark.parametrize("text", ["", "you:1:10\n", "me:1000:10\n", "me:100000\n", "me:x:y\n", "me\n"])
def test_a_user_without_a_range_is_told_the_command_that_gives_one(given: Given, text: str) -> None:
    with pytest.raises(ProblemError) as error:
        id_ranges.of_user(given(text), "me", 1000, 1000)
    assert error.value.problem.fix == "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 me"


def test_a_machine_without_the_file_gives_no_range(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="gives me no 65536 ids"):
        id_ranges.of_user(tmp_path / "subuid", "me", 1000, 1000)


def test_root_takes_ids_that_nobody_else_has(given: Given) -> None:
    assert id_ranges.of_root(given("         0          0 4294967295\n"), "uid") == (IdRange(0, ROOTS_FIRST, NEEDED),)


def test_root_of_a_container_takes_the_containers_own(given: Given) -> None:
    assert id_ranges.of_root(given("0 100000 65536\n"), "uid") == (IdRange(0, 0, NEEDED),)


def test_root_of_a_container_with_few_ids_is_refused(given: Given) -> None:
    with pytest.raises(ProblemError, match="this container has fewer than 65536 uids"):
        id_ranges.of_root(given("0 1000 1\n"), "uid")


def test_the_owner_of_a_sandbox_is_what_its_root_stands_for() -> None:
    ids = IdMap((IdRange(0, 1000, 1), IdRange(1, 100000, 65535)), (IdRange(0, 1001, 1),))
    assert ids.owner == (1000, 1001)


def test_a_user_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unknown = 4_000_000_000
    for helper in ("newuidmap", "newgidmap"):
        (tmp_path / helper).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for function in ("geteuid", "getuid"):
        monkeypatch.setattr(os, function, lambda: unknown)
    with pytest.raises(ProblemError, match=f"gives {unknown} no 65536 ids"):
        id_ranges.of_this_user()


def test_without_newuidmap_a_user_is_told_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProblemError) as error:
        id_ranges.of_this_user()
    assert "newuidmap" in error.value.problem.what and "uidmap" in error.value.problem.fix
