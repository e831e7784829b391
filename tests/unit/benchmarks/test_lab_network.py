import os
from pathlib import Path

import pytest

from benchmarks.lab.network import PREFIX, cleared, new_name
from benchmarks.scratch import BenchError

DOCKER = """#!/bin/sh
cd "$STATE"
case "$1 $2" in
"network ls") ls networks ;;
"network rm") [ ! -e "stuck" ] && rm "networks/$3" || { echo "it has active endpoints" >&2; exit 1; } ;;
"ps --all") ls "containers/${4#--filter=network=}" 2>/dev/null ;;
"rm --force") shift 3; for each in "$@"; do rm containers/*/"$each"; done ;;
esac
"""
"""Stands in for Docker: a folder with a file for each network, and for each container one below its network's name."""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What Docker has: a network of somebody else's with a container in it."""
    program = tmp_path / "docker"
    program.write_text(DOCKER, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("STATE", str(tmp_path))
    begin(tmp_path, "theirs", "a")
    return tmp_path


def begin(docker: Path, network: str, *containers: str) -> None:
    (docker / "networks").mkdir(exist_ok=True)
    (docker / "networks" / network).touch()
    (docker / "containers" / network).mkdir(parents=True)
    for name in containers:
        (docker / "containers" / network / name).touch()


def left(docker: Path) -> tuple[set[str], set[str]]:
    networks = {each.name for each in (docker / "networks").iterdir()}
    return networks, {each.name for each in (docker / "containers").glob("*/*")}


@pytest.mark.parametrize("ending", [KeyboardInterrupt, BenchError, None])
def test_nothing_of_a_run_stays_however_it_ends_and_what_is_others_does(
    docker: Path, ending: type[BaseException] | None
) -> None:
    name = new_name()
    try:
        with cleared(name):
            begin(docker, name, "b", "c")
            if ending:
                raise ending
    except (KeyboardInterrupt, BenchError):
        pass
    assert left(docker) == ({"theirs"}, {"a"})


def test_a_network_that_stays_is_told_with_how_to_remove_it(docker: Path) -> None:
    (docker / "stuck").touch()
    with (
        pytest.raises(BenchError, match="active endpoints\n  -> docker rm .*; docker network rm name"),
        cleared("name"),
    ):
        begin(docker, "name", "b")
    assert left(docker) == ({"theirs", "name"}, {"a"})


def test_what_a_killed_run_left_is_told_and_left_alone(docker: Path) -> None:
    begin(docker, f"{PREFIX}before", "b")
    with pytest.raises(BenchError, match=f"{PREFIX}before"), cleared(new_name()):
        pytest.fail("it went on")
    assert left(docker) == ({"theirs", f"{PREFIX}before"}, {"a", "b"})


def test_a_machine_without_docker_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchError, match="docker is not on PATH"), cleared(new_name()):
        pytest.fail("it went on")
