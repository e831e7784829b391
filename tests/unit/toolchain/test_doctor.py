"""What doctor says, and when it says that the default provider can run."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from mesh_federation.cli.doctor import Machine, doctor, doubtful, lacking
from mesh_federation.clusters.docker import MISSING
from mesh_federation.clusters.machine_limits import GIB, Limits
from mesh_federation.clusters.registry import PROVIDERS
from mesh_federation.stack.problem import Problem
from mesh_federation.toolchain import pins
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.install import install, survey
from tests.unit.toolchain.publisher import TLS, Publisher, program, publish_all

ROOMY = Limits(memory=16 * GIB, instances=8192, watches=1048576)
GOOD = Machine(limits=ROOMY, go=(1, 26, 0))
WITHOUT_DOCKER = replace(GOOD, obstacles={"kind": (MISSING,), "k3d": (MISSING,)})


def lacks(host: Host, machine: Machine, provider: str) -> list[Problem]:
    pinned = pins.load(host)
    return lacking(PROVIDERS[provider], pinned, survey(pinned, pinned.pieces, host), machine)


def shown(host: Host, machine: Machine) -> tuple[int, str]:
    output = io.StringIO()
    return doctor(Console(file=output, width=240), host, machine), output.getvalue()


def test_a_machine_with_everything_is_ready_for_every_provider(host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    install({"kwok"}, lambda _: None, host)
    code, text = shown(host, GOOD)
    assert code == 0
    assert text.count("ready") == len(PROVIDERS) and "missing or low" in text and "->" not in text
    assert "official release" in text and "1.26.0" in text


def test_an_empty_machine_is_told_how_to_get_the_toolchain(host: Host) -> None:
    code, text = shown(host, replace(GOOD, go=None))
    assert code == 1
    assert "-> ./mesh install kwok" in text
    assert "none (only needed where official releases are out of reach)" in text


def test_what_only_another_provider_lacks_is_no_failure(host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    install({"kwok"}, lambda _: None, host)
    code, text = shown(host, WITHOUT_DOCKER)
    assert code == 0
    assert text.count("docker is not on PATH") == 3  # of the machine and of two providers
    assert text.count("install Docker") == 1  # a fix is said once


def test_why_a_piece_is_not_its_publishers_own_is_told(host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    del publisher.files[TLS]
    install({"kwok"}, lambda _: None, host)
    code, text = shown(host, GOOD)
    assert code == 0
    assert "pulumi-resource-tls: not the official release; at installation: " in text
    assert f"{publisher.url}{TLS} is not to be had: its server answers 404" in text


def test_an_official_plugin_that_has_just_arrived_is_not_missing(host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    del publisher.files[TLS]
    install({"kwok"}, lambda _: None, host)
    program(host.pulumi_home / "plugins" / "resource-tls-v5.0.2", "pulumi-resource-tls", "exit 0")
    code, text = shown(host, GOOD)
    assert code == 0
    assert "found on this machine" in text and "stand-in" not in text


@pytest.mark.parametrize("provider", ["k3d", "kind"])
def test_docker_is_named_where_it_is_missing(host: Host, publisher: Publisher, provider: str) -> None:
    publish_all(publisher)
    install({"existing"}, lambda _: None, host)
    assert [lack.what for lack in lacks(host, WITHOUT_DOCKER, provider)] == ["docker is not on PATH"]


def test_a_k3d_that_is_not_there_is_named_with_how_to_get_it(k3d_host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    install({"existing"}, lambda _: None, k3d_host)
    assert lacks(k3d_host, GOOD, "k3d") == [Problem("", "not-installed", "k3d", "./mesh install k3d")]


@pytest.mark.parametrize(("provider", "needed"), [("kwok", "2"), ("kind", "3"), ("k3d", "3")])
def test_too_little_memory_is_named_with_what_is_needed(
    host: Host, publisher: Publisher, provider: str, needed: str
) -> None:
    publish_all(publisher)
    install({"kwok"}, lambda _: None, host)
    tight = replace(GOOD, limits=replace(ROOMY, memory=GIB * 19 // 10))
    assert [lack.what for lack in lacks(host, tight, provider)] == [f"1.9 GiB of memory free, {needed} needed"]


def test_a_machine_that_does_not_tell_its_limits_lacks_none(host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    install({"kwok"}, lambda _: None, host)
    code, text = shown(host, replace(GOOD, limits=Limits()))
    assert code == 0 and text.count("ready") == len(PROVIDERS) and text.count("unknown") == 3


@pytest.mark.parametrize("provider", ["kind", "k3d"])
def test_inotify_limits_too_low_for_any_node_are_missing(host: Host, publisher: Publisher, provider: str) -> None:
    publish_all(publisher)
    install({"existing"}, lambda _: None, host)
    machine = replace(GOOD, limits=replace(ROOMY, instances=64))
    assert [lack.what for lack in lacks(host, machine, provider)] == [
        "fs.inotify.max_user_instances is 64, kind wants 512"
    ]
    assert doubtful(PROVIDERS[provider], machine) == []


def test_inotify_limits_below_what_kind_wants_are_shown_and_no_failure(host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    install({"kwok"}, lambda _: None, host)
    code, text = shown(host, replace(GOOD, limits=replace(ROOMY, instances=128, watches=65536)))
    assert code == 0
    assert "128 instances, 65536 watches" in text
    assert text.count("ready for a small lab") == 2
    assert text.count("fs.inotify.max_user_instances is 128, kind wants 512; fs.inotify.max_user_watches is 65536") == 2
    fix = "-> sudo sysctl -w fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288"
    assert text.count(fix) == 1


def test_simulated_nodes_watch_no_files(host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    install({"kwok"}, lambda _: None, host)
    machine = replace(GOOD, limits=replace(ROOMY, instances=1, watches=1))
    assert lacks(host, machine, "kwok") == doubtful(PROVIDERS["kwok"], machine) == []


def test_pins_that_cannot_be_read_are_an_error_in_words(host: Host) -> None:
    host.pins.write_text("[versions")
    code, text = shown(host, GOOD)
    assert code == 1 and text.startswith("error:")
