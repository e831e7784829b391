"""Whoever has Pulumi already: any mix of what a machine has and what can be got is put before the engine as a whole."""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mesh_federation.engine.workspace import Workspace
from mesh_federation.toolchain import launchers, pins
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.install import Missing, Toolchain, install, ready
from mesh_federation.toolchain.locate import Route, StoreEntry, files, shelf, stamps
from tests.unit.toolchain.publisher import ENGINE, TLS, Publisher, archive, program, publish_all

HOST = "pulumi-language-python"
PLUGIN = "pulumi-resource-tls"
ENGINES = ["older on PATH", "fits on PATH", "official in the cache", "built in the cache"]
HOSTS = ["beside the engine on PATH", "elsewhere on PATH", "official in the cache", "stand-in"]
SUMS, TLS_SUMS = "/sdk/pulumi-3.9.1-checksums.txt", "/tls/pulumi-tls_5.0.2_checksums.txt"
PLUGINS = ["in the user's home", "on PATH", "official", "stand-in"]


@dataclass(frozen=True)
class Person:
    """Somebody who has a checkout, and perhaps a Pulumi of their own.

    Attributes:
        host: their machine.
        ambient: the environment that they call `mesh` in.
    """

    host: Host
    ambient: Mapping[str, str]

    def mesh(self) -> tuple[Toolchain, dict[str, str]]:
        """Do what every command does before it calls the engine; returns what the engine is called with."""
        seen = Host.current({**self.ambient, "MESH_CACHE": str(self.host.cache)})
        host = replace(self.host, path=seen.path, pulumi_home=seen.pulumi_home)
        found = ready({"kwok"}, host)
        toolchain = install({"kwok"}, lambda _: None, host) if isinstance(found, Missing) else found
        assert ready({"kwok"}, host) == toolchain
        workspace = Workspace(host.checkout, host.checkout / ".mesh", self.ambient)
        workspace.prepare(toolchain)
        with pytest.MonkeyPatch.context() as process:
            process.setenv("PATH", self.ambient["PATH"])
            return toolchain, {**self.ambient, **workspace.environment(toolchain)}

    def after(self, environment: Mapping[str, str]) -> "Person":
        """The same person in a shell that took this environment."""
        return replace(self, ambient=environment)


@pytest.fixture
def person(host: Host, publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Somebody with nothing but a checkout, whose publishers have all but Pulumi and its plugin."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("PULUMI_HOME", "PULUMI_BACKEND_URL", "MESH_HOME", "MESH_CHECKOUT", "MESH_USERS_PULUMI_HOME"):
        monkeypatch.delenv(name, raising=False)
    publish_all(publisher)
    for path in (ENGINE, TLS):
        del publisher.files[path]
    (host.checkout / "Pulumi.yaml").write_text("name: mesh-federation\nruntime: python\n")
    path = os.pathsep.join([str(tmp_path / "theirs"), str(tmp_path / "other"), host.path])
    return Person(host, {"HOME": str(tmp_path / "home"), "PATH": path})


def kept(host: Host, name: str, route: Route) -> None:
    """Have a piece in the cache already."""
    pinned = pins.load(host)
    piece = next(piece for piece in pinned.pieces if piece.name == name)
    store = shelf(pinned, host)
    for executable in piece.executables:
        program(store.bin, executable, f"# {route}")
    found = stamps(files(piece, store))
    assert found is not None
    store.remember(name, StoreEntry(route, piece.version, found))


def taken(environment: Mapping[str, str], name: str, version: str | None = None) -> Path:
    """The plugin that the engine takes, by its own rules: beside itself what it is bundled with, then PULUMI_HOME."""
    assert environment["PULUMI_IGNORE_AMBIENT_PLUGINS"] == "true"
    called = shutil.which("pulumi", path=environment["PATH"])
    assert called is not None
    beside = Path(called).resolve().parent / name
    if name == HOST and os.access(beside, os.X_OK):
        return beside.resolve()
    kind = name.removeprefix("pulumi-")
    folders = (Path(environment["PULUMI_HOME"]) / "plugins").glob(f"{kind}-v*")
    found = {folder.name.rpartition("-v")[2]: folder for folder in folders if not folder.is_symlink()}
    newest = max(found, key=lambda text: [int(part) for part in re.findall(r"\d+", text)])
    program = found[version or newest] / name
    assert os.access(program, os.X_OK), f"{program} leads to nothing"
    return program.resolve()


def arrange(person: Person, publisher: Publisher, engine: str, language: str, plugin: str) -> None:
    """Give a person an engine, a language host and a plugin."""
    theirs, other = (Path(folder) for folder in person.ambient["PATH"].split(os.pathsep)[:2])
    if "on PATH" in engine:
        program(theirs, "pulumi", f"echo v{'3.8.0' if 'older' in engine else '3.10.0'} # theirs")
    if "on PATH" in language:
        for name in (HOST, f"{HOST}-exec"):
            program(theirs if "beside" in language else other, name, "# theirs")
    if language != "stand-in":
        names = [f"pulumi/{name}" for name in ("pulumi", HOST, f"{HOST}-exec")]
        publisher.offer(
            ENGINE, archive({name: b"#!/bin/sh\necho v3.9.1 # official\n" for name in names}), checksums=SUMS
        )
    if engine == "official in the cache":
        kept(person.host, "pulumi", "official")
    elif engine == "built in the cache" or (engine, language) == ("older on PATH", "stand-in"):
        kept(person.host, "pulumi", "module")
    if plugin == "in the user's home":
        program(Path(person.ambient["HOME"]) / ".pulumi" / "plugins" / "resource-tls-v5.0.2", PLUGIN, "# theirs")
    elif plugin == "on PATH":
        program(other, PLUGIN, "echo 5.0.2 # theirs")
    elif plugin == "official":
        publisher.offer(TLS, archive({PLUGIN: b"#!/bin/sh\necho 5.0.2 # official\n"}), checksums=TLS_SUMS)


def origin(path: Path) -> str:
    """Where a fake program came from."""
    return "stand-in" if launchers.is_launcher(path) else path.read_text().rpartition("# ")[2].strip()


def expected(engine: str, language: str, plugin: str) -> dict[str, str]:
    """The best of what there is, by program."""
    cached = (
        "official" if engine == "official in the cache" or "older" in engine and language != "stand-in" else "module"
    )
    beside = engine == "fits on PATH" and language == "beside the engine on PATH"
    return {
        "pulumi": "theirs" if engine == "fits on PATH" else cached,
        HOST: "theirs" if beside else "stand-in" if language == "stand-in" else "official",
        PLUGIN: plugin if plugin in ("official", "stand-in") else "theirs",
    }


def put_before_the_engine(environment: Mapping[str, str]) -> dict[str, str]:
    """Where each program came from that runs, by program."""
    engine = shutil.which("pulumi", path=environment["PATH"])
    assert engine is not None
    programs = {
        "pulumi": Path(engine).resolve(),
        HOST: taken(environment, HOST),
        PLUGIN: taken(environment, PLUGIN, "5.0.2"),
    }
    if origin(programs[HOST]) != "stand-in":
        assert os.access(programs[HOST].with_name(f"{HOST}-exec"), os.X_OK)
    return {name: origin(path) for name, path in programs.items()}


@pytest.mark.parametrize("plugin", PLUGINS)
@pytest.mark.parametrize("language", HOSTS)
@pytest.mark.parametrize("engine", ENGINES)
def test_every_mix_is_whole_and_the_best_there_is_also_in_a_shell_of_its_own(
    person: Person, publisher: Publisher, engine: str, language: str, plugin: str
) -> None:
    arrange(person, publisher, engine, language, plugin)
    first, environment = person.mesh()
    assert put_before_the_engine(environment) == expected(engine, language, plugin)
    for _ in range(2):  # `eval "$(./mesh env)"`, then commands in that shell
        again, environment = person.after(environment).mesh()
        assert again == first
        assert put_before_the_engine(environment) == expected(engine, language, plugin)


def test_a_plugin_of_another_version_on_the_path_is_left_alone(person: Person, publisher: Publisher) -> None:
    arrange(person, publisher, "official in the cache", "official in the cache", "stand-in")
    _, other = (Path(folder) for folder in person.ambient["PATH"].split(os.pathsep)[:2])
    for said in ("echo 5.0.1", "echo hello", "exit 1", "echo 5.0.2-alpha.1"):
        program(other, PLUGIN, said)
        _, environment = person.mesh()
        assert put_before_the_engine(environment)[PLUGIN] == "stand-in"


def test_a_plugin_on_the_path_may_lie_in_a_folder_that_says_its_version(
    person: Person, publisher: Publisher, tmp_path: Path
) -> None:
    """Not every official plugin answers when it is asked."""
    arrange(person, publisher, "official in the cache", "official in the cache", "stand-in")
    real = program(tmp_path / "opt" / "resource-tls-v5.0.2", PLUGIN, "exit 2 # theirs")
    link = Path(person.ambient["PATH"].split(os.pathsep)[1]) / PLUGIN
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(real)
    assert put_before_the_engine(person.mesh()[1])[PLUGIN] == "theirs"


@pytest.mark.parametrize("plugin", ["in the user's home", "on PATH"])
def test_an_official_plugin_that_comes_later_wins_over_the_stand_in(
    person: Person, publisher: Publisher, plugin: str
) -> None:
    arrange(person, publisher, "official in the cache", "official in the cache", "stand-in")
    assert put_before_the_engine(person.mesh()[1])[PLUGIN] == "stand-in"
    arrange(person, publisher, "official in the cache", "official in the cache", plugin)
    assert put_before_the_engine(person.mesh()[1])[PLUGIN] == "theirs"


def test_a_program_that_was_asked_and_does_not_fit_is_asked_once(person: Person, publisher: Publisher) -> None:
    arrange(person, publisher, "official in the cache", "official in the cache", "stand-in")
    _, other = (Path(folder) for folder in person.ambient["PATH"].split(os.pathsep)[:2])
    program(other, PLUGIN, f"echo asked >> {other}/log; echo 5.0.1")
    for _ in range(3):
        person.mesh()
    assert (other / "log").read_text() == "asked\n"


def test_the_host_of_an_engine_that_was_used_before_is_not_taken_for_another(
    person: Person, publisher: Publisher
) -> None:
    arrange(person, publisher, "fits on PATH", "beside the engine on PATH", "stand-in")
    assert put_before_the_engine(person.mesh()[1])[HOST] == "theirs"
    theirs = Path(person.ambient["PATH"].split(os.pathsep)[0])
    shutil.rmtree(theirs)
    _, environment = person.mesh()
    assert put_before_the_engine(environment) == expected("older on PATH", "official in the cache", "stand-in")
    hosts = (Path(environment["PULUMI_HOME"]) / "plugins").glob("language-python-v*")
    assert [folder.name for folder in hosts] == ["language-python-v3.9.1"]


def test_a_host_that_is_damaged_in_the_cache_does_not_lie_in_the_way_of_its_stand_in(
    person: Person, publisher: Publisher
) -> None:
    arrange(person, publisher, "official in the cache", "official in the cache", "stand-in")
    toolchain, _ = person.mesh()
    program(toolchain.bin, HOST, "# damaged")
    publisher.files.pop(ENGINE)
    assert put_before_the_engine(person.mesh()[1])[HOST] == "stand-in"


def test_a_program_of_the_user_that_changes_in_a_shell_of_ours_is_taken_from_where_it_lies(
    person: Person, publisher: Publisher
) -> None:
    arrange(person, publisher, "fits on PATH", "beside the engine on PATH", "on PATH")
    theirs, other = (Path(folder) for folder in person.ambient["PATH"].split(os.pathsep)[:2])
    _, environment = person.mesh()
    program(theirs, "pulumi", "echo v3.11.0; exit 0 # theirs")
    program(other, PLUGIN, "echo 5.0.2; exit 0 # theirs")
    toolchain, environment = person.after(environment).mesh()
    assert put_before_the_engine(environment) == dict.fromkeys(("pulumi", HOST, PLUGIN), "theirs")
    assert {place.piece: place.version for place in toolchain.pieces}["pulumi"] == "3.11.0"


def test_a_cache_behind_a_link_is_still_known_as_ours(person: Person, publisher: Publisher, tmp_path: Path) -> None:
    arrange(person, publisher, "older on PATH", "official in the cache", "official")
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    person = replace(person, host=replace(person.host, cache=tmp_path / "link" / "cache"))
    toolchain, environment = person.mesh()
    (toolchain.bin.parent / "installed.json").unlink()
    _, environment = person.after(environment).mesh()
    assert put_before_the_engine(environment) == dict.fromkeys(("pulumi", HOST, PLUGIN), "official")


def test_a_link_that_an_earlier_release_left_in_a_circle_is_mended(person: Person, publisher: Publisher) -> None:
    arrange(person, publisher, "official in the cache", "official in the cache", "in the user's home")
    link = person.host.checkout / ".mesh" / "pulumi" / "plugins" / "resource-tls-v5.0.2" / PLUGIN
    link.parent.mkdir(parents=True)
    link.symlink_to(link)
    _, environment = person.mesh()
    assert put_before_the_engine(environment)[PLUGIN] == "theirs"
    link.unlink()
    link.symlink_to(link)
    assert put_before_the_engine(person.after(environment).mesh()[1])[PLUGIN] == "theirs"


def test_a_home_of_pulumi_in_another_place_is_still_theirs_in_a_shell_of_ours(
    person: Person, publisher: Publisher, tmp_path: Path
) -> None:
    arrange(person, publisher, "official in the cache", "official in the cache", "stand-in")
    elsewhere = tmp_path / "their home of pulumi"
    program(elsewhere / "plugins" / "resource-tls-v5.0.2", PLUGIN, "# theirs")
    (elsewhere / "credentials.json").write_text('{"current": "https://api.example.org"}')
    shell = person.after({**person.ambient, "PULUMI_HOME": str(elsewhere)})
    for _ in range(3):
        _, environment = shell.mesh()
        assert put_before_the_engine(environment)[PLUGIN] == "theirs"
        assert "PULUMI_BACKEND_URL" not in environment
        shell = person.after(environment)
