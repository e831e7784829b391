"""Where a checkout keeps things, and the environment that it gives to Pulumi."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import pytest

from mesh_federation.engine.workspace import Workspace
from mesh_federation.toolchain.install import Toolchain
from mesh_federation.toolchain.locate import Located
from tests.unit.cli.conftest import DECLARED, Desk


def environment(desk: Desk) -> dict[str, str]:
    return desk.workspace.environment(desk.toolchain)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_state_is_kept_in_the_checkout_by_default(desk: Desk) -> None:
    assert environment(desk)["PULUMI_BACKEND_URL"] == f"file://{desk.workspace.home}/state?metadata=skip"


def test_a_backend_that_is_named_is_used(desk: Desk) -> None:
    named = desk.ambient(PULUMI_BACKEND_URL="s3://states")
    assert not named.workspace.uses_own_state()
    assert "PULUMI_BACKEND_URL" not in environment(named)
    assert named.engine.environment["PULUMI_BACKEND_URL"] == "s3://states"


def test_a_backend_that_somebody_is_logged_in_to_is_used_with_that_login(desk: Desk) -> None:
    credentials = desk.log_in()
    assert "PULUMI_BACKEND_URL" not in environment(desk)
    desk.workspace.prepare(desk.toolchain)
    assert (desk.workspace.pulumi_home / "credentials.json").readlink() == credentials


def test_a_login_in_another_pulumi_home_counts(desk: Desk) -> None:
    credentials = desk.log_in(desk.root / "theirs")
    other = desk.ambient(PULUMI_HOME=str(credentials.parent))
    assert not other.workspace.uses_own_state()


@pytest.mark.parametrize("text", ["", "{", "{}", '{"current": ""}'])
def test_who_has_logged_out_or_has_broken_credentials_is_not_logged_in(desk: Desk, text: str) -> None:
    desk.log_in().write_text(text, encoding="utf-8")
    assert desk.workspace.uses_own_state()
    desk.workspace.prepare(desk.toolchain)
    assert not (desk.workspace.pulumi_home / "credentials.json").exists()


def test_an_engine_that_reads_the_project_meanwhile_finds_it_whole(desk: Desk) -> None:
    """Stacks of a fleet are opened while engines of others run."""
    desk.workspace.prepare(desk.toolchain)
    file, given = desk.workspace.projects / "Pulumi.yaml", desk.workspace.checkout / "Pulumi.yaml"
    before = file.read_text(encoding="utf-8")
    with file.open(encoding="utf-8") as reading:
        given.write_text(f"{before}# changed\n", encoding="utf-8")
        desk.workspace.prepare(desk.toolchain)
        assert reading.read() == before
    assert file.read_text(encoding="utf-8") == given.read_text(encoding="utf-8")


def test_the_engine_finds_no_folder_for_its_log_and_the_log_of_an_earlier_version_goes(desk: Desk) -> None:
    log = desk.workspace.pulumi_home / "logs"
    log.mkdir(parents=True)
    (log / "up.log").write_text("what a provider was told", encoding="utf-8")
    for _ in range(2):
        desk.workspace.prepare(desk.toolchain)
        assert not log.is_dir()
        assert log.readlink() == Path(os.devnull)


def test_a_folder_that_somebody_linked_for_the_log_is_left_as_it_is(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "up.log").write_text("theirs", encoding="utf-8")
    desk.workspace.pulumi_home.mkdir(parents=True)
    log = desk.workspace.pulumi_home / "logs"
    log.symlink_to(tmp_path)
    desk.workspace.prepare(desk.toolchain)
    assert log.readlink() == Path(os.devnull)
    assert (tmp_path / "up.log").read_text(encoding="utf-8") == "theirs"


def test_an_empty_backend_names_none(desk: Desk) -> None:
    assert desk.ambient(PULUMI_BACKEND_URL="").workspace.uses_own_state()


def test_in_a_shell_that_took_this_environment_nothing_changes(desk: Desk) -> None:
    given = environment(desk)
    again = desk.ambient(**given)
    assert again.workspace.uses_own_state()
    for name in ("PULUMI_BACKEND_URL", "PULUMI_HOME", "MESH_HOME"):
        assert again.engine.environment[name] == given[name]
    assert again.engine.environment["PULUMI_CONFIG_PASSPHRASE_FILE"] == given["PULUMI_CONFIG_PASSPHRASE_FILE"]


def test_a_passphrase_is_made_once_and_only_its_owner_reads_it(desk: Desk) -> None:
    desk.workspace.prepare(desk.toolchain)
    file = Path(environment(desk)["PULUMI_CONFIG_PASSPHRASE_FILE"])
    first = file.read_text(encoding="utf-8")
    assert mode(file) == 0o600
    assert len(first) >= 32
    desk.workspace.prepare(desk.toolchain)
    assert file.read_text(encoding="utf-8") == first


def test_several_stacks_may_be_opened_at_once_in_a_new_checkout(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    both = Barrier(2)

    def as_slow_as_possible(size: int) -> str:
        with suppress(BrokenBarrierError):
            both.wait(timeout=0.5)  # until the other one is here too, which must not happen
        return "x" * size

    monkeypatch.setattr("secrets.token_urlsafe", as_slow_as_possible)
    with ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(desk.workspace.prepare, desk.toolchain) for _ in range(2)]:
            each.result()
    assert desk.workspace.passphrase().read_text(encoding="utf-8") == "x" * 32


def test_in_a_shell_that_took_this_environment_a_passphrase_is_made_and_missed_as_elsewhere(desk: Desk) -> None:
    shell = desk.ambient(**environment(desk)).workspace
    shell.prepare(desk.toolchain)
    assert shell.passphrase().read_text(encoding="utf-8")
    desk.keep_state()
    shell.passphrase().unlink()
    shell.prepare(desk.toolchain)
    assert shell.lacks_passphrase()


@pytest.mark.parametrize("name", ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"])
@pytest.mark.parametrize("value", ["theirs", ""])
def test_a_passphrase_that_is_given_is_respected(desk: Desk, name: str, value: str) -> None:
    given = desk.ambient(**{name: value})
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in environment(given)
    assert given.engine.environment[name] == value


def test_only_the_owner_looks_into_the_folder_even_when_the_toolchain_made_it(desk: Desk) -> None:
    (desk.workspace.home / "bin").mkdir(parents=True)
    desk.workspace.home.chmod(0o755)
    desk.workspace.prepare(desk.toolchain)
    assert mode(desk.workspace.home) == 0o700


def test_a_folder_that_is_named_keeps_its_permissions(desk: Desk) -> None:
    shared = desk.root / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    Workspace(desk.workspace.checkout, shared, {}).prepare(desk.toolchain)
    assert mode(shared) == 0o755


def test_plugins_lie_where_the_engine_looks_for_installed_ones(desk: Desk) -> None:
    desk.workspace.prepare(desk.toolchain)
    plugins = desk.workspace.pulumi_home / "plugins"
    link = plugins / "resource-command-v1.2.1" / "pulumi-resource-command"
    assert link.readlink() == desk.toolchain.bin / "pulumi-resource-command"
    assert [folder.name for folder in plugins.iterdir()] == ["resource-command-v1.2.1"]


def test_a_plugin_that_moved_is_linked_anew(desk: Desk) -> None:
    desk.workspace.prepare(desk.toolchain)
    moved = Located("pulumi-resource-command", "official", "1.2.1", desk.root / "elsewhere")
    engine = next(piece for piece in desk.toolchain.pieces if piece.piece == "pulumi")
    desk.workspace.prepare(Toolchain(desk.toolchain.bin, desk.toolchain.charts, None, (engine, moved)))
    folder = desk.workspace.pulumi_home / "plugins" / "resource-command-v1.2.1"
    assert (folder / "pulumi-resource-command").readlink() == desk.root / "elsewhere"


def test_of_language_hosts_only_the_one_that_is_used_lies_where_the_engine_looks(desk: Desk) -> None:
    for version in ("3.259.0", "3.276.0", "3.260.0"):
        host = Located("pulumi-language-python", "found", version, desk.root / version)
        desk.workspace.prepare(Toolchain(desk.toolchain.bin, desk.toolchain.charts, None, (host,)))
        folders = (desk.workspace.pulumi_home / "plugins").glob("language-python-v*")
        (folder,) = (path for path in folders if path.is_dir())
        assert folder.name == f"language-python-v{version}"
        assert (folder / "pulumi-language-python").readlink() == desk.root / version
        folder.with_name(f"{folder.name}.lastused").touch()  # the engine does


def test_the_checkouts_own_programs_come_first_on_the_path(desk: Desk) -> None:
    first, second, third = environment(desk)["PATH"].split(":")[:3]
    assert first == str(desk.workspace.checkout / ".venv" / "bin")
    assert second == str(desk.workspace.home / "bin")
    assert third == str(desk.toolchain.bin)


def test_nothing_beside_the_own_folder_is_written(desk: Desk) -> None:
    before = {path: path.read_bytes() for path in desk.workspace.checkout.iterdir() if path.is_file()}
    desk.workspace.prepare(desk.toolchain)
    assert {path: path.read_bytes() for path in desk.workspace.checkout.iterdir() if path.is_file()} == before
    assert {path.name for path in desk.workspace.checkout.iterdir()} - {".mesh"} == {path.name for path in before}
    assert desk.stack_file.read_text(encoding="utf-8") == DECLARED


def test_two_checkouts_share_nothing(desk: Desk) -> None:
    other = Workspace(desk.root / "second", desk.root / "second" / ".mesh", desk.workspace.ambient)
    one, two = environment(desk), other.environment(desk.toolchain)
    for name in ("MESH_HOME", "PULUMI_HOME", "PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        assert one[name] != two[name]


def test_stacks_are_named_after_their_files(desk: Desk) -> None:
    (desk.workspace.checkout / "Pulumi.eu.prod.yaml").touch()
    assert desk.workspace.stacks() == ["dev", "eu.prod"]


def test_the_current_checkout_is_the_one_that_the_program_lies_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MESH_HOME", raising=False)
    workspace = Workspace.current()
    assert (workspace.checkout / "mesh_federation" / "engine" / "workspace.py").exists()
    assert workspace.home == workspace.checkout / ".mesh"
    monkeypatch.setenv("MESH_HOME", "/somewhere/else")
    assert Workspace.current().home == Path("/somewhere/else")


def test_a_shell_of_another_checkout_does_not_lead_to_its_state(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(desk).items():
        monkeypatch.setenv(name, value)
    ours = Workspace.current()
    assert ours.home == ours.checkout / ".mesh"
    assert not [name for name, value in ours.ambient.items() if str(desk.workspace.home) in value and name != "PATH"]
    assert ours.uses_own_state()
