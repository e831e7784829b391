"""The command `mesh` as a person meets it: what it starts, what it says, and that it never shows a traceback."""

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from mesh_federation.cli import __main__ as command
from mesh_federation.clusters import docker
from mesh_federation.engine import clusters
from mesh_federation.engine.pulumi import Engine
from mesh_federation.plan.provisioning import Provision
from mesh_federation.toolchain.errors import ToolchainError
from mesh_federation.toolchain.install import Choice, Missing, Progress, Toolchain
from mesh_federation.toolchain.pins import Pins
from tests.unit.cli.conftest import STACK, Desk, Fakes, Mesh

CHECKOUT = Path(command.__file__).resolve().parents[2]
KIND = (CHECKOUT / "Pulumi.east-west.yaml").read_text(encoding="utf-8")
CORPUS = sorted((CHECKOUT / "tests" / "unit" / "stack" / "corpus").glob("*.yaml"))
OF_EACH_KIND = list({file.stem.partition("-")[0]: file for file in CORPUS}.values())
"""One file for each first word of their names; tests/unit/stack/test_corpus.py reads all of them."""


def test_up_runs_the_engine_and_ends_with_a_table_and_what_to_try_next(mesh: Mesh, answering: Desk) -> None:
    done = mesh("up", "--yes", "--stack", STACK)
    assert done.status == 0
    (run,) = [call for call in answering.calls() if call.startswith("up")]
    assert run.startswith(f"up --yes --skip-preview --stack={STACK}")
    for word in ("east-1a2b3c", "west-1a2b3c", "east.local", f"kubeconfigs/{STACK}/east", "Try next:", "./mesh down"):
        assert word in done.out


def test_nothing_is_begun_where_docker_is_needed_and_missing(
    mesh: Mesh, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "obstacles", lambda: (docker.MISSING,))
    desk.stack_file.write_text(KIND, encoding="utf-8")
    done = mesh("up", "--yes", "--stack", STACK)
    assert (done.status, desk.calls()) == (1, [])
    assert f"{STACK} cannot run on this machine: 1 problem" in done.err
    assert docker.MISSING.what in done.err and docker.MISSING.fix in done.err


@pytest.mark.parametrize(
    ("words", "known", "begun"), [("up --yes", [], ["east", "west"]), ("up", [], []), ("up --yes", ["east"], [])]
)
def test_clusters_are_begun_before_the_engine_only_where_nobody_is_asked_and_the_state_has_none(
    mesh: Mesh, answering: Desk, monkeypatch: pytest.MonkeyPatch, words: str, known: list[str], begun: list[str]
) -> None:
    early: list[str] = []

    @contextmanager
    def begin(_: Engine, clusters: Collection[Provision]) -> Iterator[None]:
        early.extend(each.cluster for each in clusters)
        yield

    monkeypatch.setattr(clusters, "begun", begin)
    monkeypatch.setattr(clusters, "start_all", lambda *_: known)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert mesh(*words.split(), "--stack", STACK).status == 0
    assert early == begun


@pytest.mark.parametrize(("words", "started"), [("up --yes", "up"), ("preview", "preview"), ("down", "destroy")])
def test_the_exit_status_of_the_engine_is_the_commands(mesh: Mesh, answering: Desk, words: str, started: str) -> None:
    answering.on(started, "exit 42")
    done = mesh(*words.split(), "--stack", STACK)
    assert done.status == 42
    assert "nothing is left" not in done.out and "Try next" not in done.out


def test_preview_shows_bodies_when_asked(mesh: Mesh, answering: Desk) -> None:
    mesh("preview", "--stack", STACK)
    mesh("preview", "--diff", "--stack", STACK)
    plain, full = [call for call in answering.calls() if call.startswith("preview")]
    assert "--diff" not in plain
    assert full.startswith("preview --diff ")


def test_down_removes_the_stack_and_its_kubeconfigs(mesh: Mesh, answering: Desk) -> None:
    ours, others = (answering.workspace.home / "kubeconfigs" / stack for stack in (STACK, "other"))
    for folder in (ours, others):
        folder.mkdir(parents=True)
    done = mesh("down", "--yes", "--stack", STACK)
    assert (done.status, done.out) == (0, f"{STACK}: nothing is left\n")
    assert [call.split()[0] for call in answering.calls()][-2:] == ["destroy", "stack"]
    assert f"stack rm {STACK}" in answering.calls()[-1]
    assert not ours.exists() and others.exists()


@pytest.mark.parametrize("text", ["", "a: [\n", "config: {}\n"])
def test_down_works_on_a_stack_file_that_is_not_sound(mesh: Mesh, answering: Desk, text: str) -> None:
    answering.stack_file.write_text(text, encoding="utf-8")
    assert mesh("down", "--yes", "--stack", STACK).status == 0
    assert any(call.startswith("destroy") for call in answering.calls())


def test_a_stack_that_is_not_there_is_answered_with_those_that_are(mesh: Mesh, desk: Desk) -> None:
    for words in ("up", "preview", "down"):
        done = mesh(words, "--stack", "prod")
        assert (done.status, done.out) == (1, "")
        assert done.err == f"error: there is no Pulumi.prod.yaml\n  -> choose one of: {STACK}\n"
    assert desk.calls() == []


def test_a_verification_that_cannot_begin_ends_otherwise_than_one_that_fails(mesh: Mesh, desk: Desk) -> None:
    assert mesh("verify", "--stack", "prod").status == 2
    desk.stack_file.write_text("", encoding="utf-8")
    done = mesh("verify", "--stack", STACK)
    assert (done.status, "declares nothing" in done.err) == (2, True), done.err


@pytest.mark.parametrize("file", OF_EACH_KIND, ids=lambda file: file.stem)
def test_a_bad_stack_file_never_reaches_the_engine(mesh: Mesh, desk: Desk, file: Path) -> None:
    desk.stack_file.write_bytes(file.read_bytes())
    (desk.stack_file.parent / "cards").symlink_to(file.parent / "cards")
    golden = file.with_suffix(".txt").read_text(encoding="utf-8").replace(file.name, desk.stack_file.name)
    for words in ("up", "preview"):
        done = mesh(words, "--stack", STACK)
        assert (done.status, done.out) == (1, "")
        assert done.err == golden
    assert desk.calls() == []
    assert not desk.workspace.home.exists()


def test_there_is_a_corpus_of_bad_stack_files() -> None:
    assert len(CORPUS) >= 120


def test_validate_needs_neither_engine_nor_toolchain(mesh: Mesh, desk: Desk, fakes: Fakes) -> None:
    fakes.ready = lambda *_, **__: pytest.fail("the toolchain was looked for")
    sound = mesh("validate", "--stack", STACK)
    assert (sound.status, sound.out.partition(" (")[0]) == (0, f"{desk.stack_file.name}: no problems")
    desk.stack_file.write_text("", encoding="utf-8")
    assert mesh("validate", "--stack", STACK).status == 1
    assert desk.calls() == []


def test_a_lock_of_a_killed_run_is_cleared_and_said_so(
    mesh: Mesh, answering: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh_federation.engine.pulumi.Engine.clear_stale_lock", lambda _: [4711])
    done = mesh("preview", "--stack", STACK)
    assert done.err == f"removed the lock of {STACK} that a killed run (process 4711) left\n"


def test_what_the_engine_refuses_is_told_in_its_words(mesh: Mesh, desk: Desk) -> None:
    desk.on("stack", "echo 'error: [curly] passphrase is wrong' >&2; exit 255")
    done = mesh("up", "--yes", "--stack", STACK)
    assert (done.status, done.err) == (1, "error: [curly] passphrase is wrong\n")


def test_what_the_toolchain_lacks_is_told_with_the_fix(mesh: Mesh, desk: Desk, fakes: Fakes) -> None:
    def fails(*_: object, **__: object) -> NoReturn:
        raise ToolchainError("etcd cannot be built", "no Go on this machine", "install Go 1.26")

    fakes.ready = lambda *_, **__: Missing(("etcd",))
    fakes.get = fails
    done = mesh("up", "--yes", "--stack", STACK)
    assert done.status == 1
    assert done.err.startswith("Installing missing programs")
    assert done.err.endswith("error: etcd cannot be built\n  no Go on this machine\n  -> install Go 1.26\n")
    assert desk.calls() == []


def test_down_of_a_stack_of_which_nothing_is_up_needs_no_program(mesh: Mesh, desk: Desk, fakes: Fakes) -> None:
    fakes.ready = lambda *_, **__: Missing(("etcd",))
    done = mesh("down", "--yes", "--stack", STACK)
    assert (done.status, done.out, done.err) == (0, f"{STACK}: nothing of it is up\n", "")


@pytest.mark.parametrize(("command", "chosen"), [("preview", Pins.previewed), ("up", Pins.needed)])
def test_a_toolchain_that_is_not_there_is_got_before_anything_starts(
    mesh: Mesh, answering: Desk, fakes: Fakes, command: str, chosen: Choice
) -> None:
    asked: list[tuple[set[str], Choice]] = []

    def gets(providers: set[str], _: object, pieces: Choice) -> Toolchain:
        asked.append((providers, pieces))
        return answering.toolchain

    fakes.ready = lambda *_, **__: Missing(("etcd",))
    fakes.get = gets
    assert mesh(command, "--stack", STACK).status == 0
    assert asked == [({"kwok"}, chosen)]


def test_who_stops_it_is_told_that_it_goes_on_where_it_stopped(mesh: Mesh, fakes: Fakes) -> None:
    def stopped(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    fakes.ready = stopped
    done = mesh("preview", "--stack", STACK)
    assert done.status == 130
    assert done.err == "stopped; run it again to continue\n"


def test_an_option_that_does_not_exist_is_a_usage_error(mesh: Mesh) -> None:
    done = mesh("up", "--force")
    assert done.status == 2
    assert "--force" in done.err and "Traceback" not in done.err


# Help.


def test_help_lists_every_command_with_what_it_does(mesh: Mesh) -> None:
    done = mesh("--help")
    assert done.status == 0
    for name in ("up", "preview", "down", "validate", "doctor", "install", "env"):
        assert f" {name} " in done.out
    assert "Bring the federation up" in done.out


def test_help_is_what_a_bare_mesh_shows(mesh: Mesh) -> None:
    assert "preview" in mesh().out + mesh().err


# The environment for a shell.


def exported(text: str) -> dict[str, str]:
    """What a POSIX shell has in its environment after it evaluated the text."""
    show = 'eval "$1"; exec "$2" -c "import json, os; print(json.dumps(dict(os.environ)))"'
    shell = ["/bin/sh", "-euc", show, "sh", text, sys.executable]
    done = subprocess.run(shell, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return dict(json.loads(done.stdout))


def test_env_prints_only_exports_that_a_shell_takes_as_they_are(mesh: Mesh, desk: Desk, fakes: Fakes) -> None:
    odd = replace(desk.workspace, home=desk.root / 'it\'s a "$HOME" `folder`; exit 1')
    fakes.workspace = odd
    done = mesh("env")
    assert (done.status, done.err) == (0, "")
    assert all(line.startswith("export ") for line in done.out.splitlines())
    shell = exported(done.out)
    expected = odd.environment(desk.toolchain)
    assert {name: shell[name] for name in expected} == expected


def test_what_env_names_is_there(mesh: Mesh, desk: Desk) -> None:
    shell = exported(mesh("env").out)
    assert Path(shell["PULUMI_CONFIG_PASSPHRASE_FILE"]).read_text(encoding="utf-8")
    assert Path(shell["PULUMI_BACKEND_URL"].removeprefix("file://").partition("?")[0]).is_dir()
    assert Path(shell["PULUMI_HOME"]).is_dir()


def test_env_gets_a_toolchain_that_is_not_there_and_still_prints_only_exports(
    mesh: Mesh, desk: Desk, fakes: Fakes
) -> None:
    def gets(_: object, show: Callable[[Progress], None], **__: object) -> Toolchain:
        show(Progress("etcd", "v3.6.16", "ready", "module", 12.0))
        return desk.toolchain

    fakes.ready = lambda *_, **__: Missing(("etcd",))
    fakes.get = gets
    done = mesh("env")
    assert done.status == 0
    assert all(line.startswith("export ") for line in done.out.splitlines())
    assert "etcd" in done.err and "12.0 s" in done.err


def test_env_without_a_toolchain_to_be_had_prints_nothing_to_evaluate(mesh: Mesh, fakes: Fakes) -> None:
    def fails(*_: object, **__: object) -> NoReturn:
        raise ToolchainError("etcd cannot be built", "no Go on this machine", "install Go 1.26")

    fakes.ready = lambda *_, **__: Missing(("etcd",))
    fakes.get = fails
    done = mesh("env")
    assert (done.status, done.out) == (1, "")


# What a command loads.

ENGINE = ("pulumi", "pulumi_kubernetes", "pulumi_command", "grpc", "google.protobuf")


def loaded(code: str) -> set[str]:
    """Modules of the heavy packages that a fresh interpreter has loaded after the code."""
    show = f"import sys\n{code}\nprint([name for name in {(*ENGINE, 'pydantic')!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", show], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return set(ast.literal_eval(done.stdout.splitlines()[-1]))


def test_the_command_line_loads_no_engine() -> None:
    assert loaded("import pulumi") >= {"pulumi"}
    assert loaded("import mesh_federation.cli.__main__") == set()


def test_a_command_that_reads_no_stack_file_loads_no_model() -> None:
    assert "pydantic" in loaded("import mesh_federation.stack.config")
    assert loaded("import mesh_federation.cli.__main__ as m; m.CURRENT.get().workspace().overlay") == set()


def test_validate_loads_no_engine() -> None:
    assert not loaded("import mesh_federation.cli.__main__ as m; m.app(['validate'], standalone_mode=False)") & set(
        ENGINE
    )


def test_running_the_engine_loads_none_of_its_libraries() -> None:
    assert not loaded(
        "import mesh_federation.engine.pulumi, mesh_federation.engine.clusters, mesh_federation.cli.summary"
    ) & set(ENGINE)
