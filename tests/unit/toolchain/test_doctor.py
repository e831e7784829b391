"""What doctor says, and when it says that the default provisioner can run."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from cli import doctor
from cli.doctor import GIB, Lack, Machine, lacking
from tests.unit.toolchain.publisher import Publisher, program, publish_all
from toolchain import pins
from toolchain.host import Host
from toolchain.install import install, survey

GOOD = Machine(
    memory=16 * GIB, docker=None, go=(1, 26, 0), tools={"docker": "/bin/docker", "kind": "/bin/kind", "k3d": "/bin/k3d"}
)


def lacks(host: Host, machine: Machine, provisioner: str) -> list[Lack]:
    pinned = pins.load(host)
    return lacking(provisioner, pinned, survey(pinned, pinned.pieces, host), machine)


def shown(host: Host, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.setattr(Host, "current", lambda: host)
    monkeypatch.setattr(doctor, "look", lambda _: machine)
    output = io.StringIO()
    return doctor.doctor(Console(file=output, width=240)), output.getvalue()


def test_a_machine_with_everything_is_ready_for_every_provisioner(
    host: Host, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_all(publisher)
    install({"kwok"}, lambda _: None, host)
    code, text = shown(host, GOOD, monkeypatch)
    assert code == 0
    assert text.count("ready") == 4 and "missing" in text and "->" not in text
    assert "official release" in text and "1.26.0" in text


def test_an_empty_machine_is_told_how_to_get_the_toolchain(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    code, text = shown(host, replace(GOOD, go=None), monkeypatch)
    assert code == 1
    assert "-> get it: python -m toolchain kwok" in text
    assert "none (only needed where official releases are out of reach)" in text


def test_what_only_another_provisioner_lacks_is_no_failure(
    host: Host, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_all(publisher)
    install({"kwok"}, lambda _: None, host)
    code, text = shown(host, replace(GOOD, tools={"docker": None, "kind": None, "k3d": None}), monkeypatch)
    assert code == 0
    assert text.count("docker is not on PATH") == 2
    assert text.count("install Docker") == 1  # a fix is said once


@pytest.mark.parametrize(("provisioner", "tool"), [("kind", "kind"), ("k3d", "k3d"), ("kind", "docker")])
def test_a_tool_that_the_toolchain_does_not_install_is_named(
    host: Host, publisher: Publisher, provisioner: str, tool: str
) -> None:
    publish_all(publisher)
    install({"existing"}, lambda _: None, host)
    machine = replace(GOOD, tools={**GOOD.tools, tool: None})
    assert [lack.what for lack in lacks(host, machine, provisioner)] == [f"{tool} is not on PATH"]


def test_too_little_memory_is_named_with_what_is_needed(host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    install({"kwok"}, lambda _: None, host)
    assert [lack.what for lack in lacks(host, replace(GOOD, memory=GIB), "kwok")] == [
        "1.0 GiB of memory free, 2 needed"
    ]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 28.2.2", None),
        ("echo 'Cannot connect to the Docker daemon' >&2; exit 1", "Docker does not run"),
        ("echo 'permission denied while trying' >&2; exit 1", "Docker refuses this user"),
    ],
)
def test_docker_is_asked_whether_it_can_be_used(host: Host, script: str, why: str | None) -> None:
    program(Path(host.path), "docker", script)
    seen = doctor.look(host).docker
    assert (seen.what if seen else None) == why


def test_pins_that_cannot_be_read_are_an_error_in_words(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.pins.write_text("[versions")
    code, text = shown(host, GOOD, monkeypatch)
    assert code == 1 and text.startswith("error:")
