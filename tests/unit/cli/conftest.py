"""A checkout, a toolchain and an engine of stubs for one test."""

import json
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mesh_federation.cli import __main__ as command
from mesh_federation.cli.surroundings import Surroundings
from mesh_federation.engine.pulumi import Engine
from mesh_federation.engine.workspace import Workspace
from mesh_federation.toolchain.install import Missing, Toolchain
from mesh_federation.toolchain.locate import Located
from tests.unit.command_result import CommandResult

STACK = "dev"
SOUND = (Path(command.__file__).parents[2] / "Pulumi.simulated.yaml").read_text(encoding="utf-8")
DECLARED = "# by hand\nconfig:\n  mesh-federation:federation: {}\n"
PULUMI = """#!/bin/sh
# Records each call, then acts as the files beside it say: NAME.sh for the first word that is not an option.
here='HERE'
printf '%s\\n' "$PWD: $*" >> "$here/../calls"
if [ -f "$here/$1.sh" ]; then . "$here/$1.sh"; fi
"""


ENTRY = """import runpy, sys
from pathlib import Path
runpy.run_path(str(Path(__file__).with_name(sys.argv.pop(1) + ".py")))
"""
"""Runs one of a test's jobs as the product's entry does."""


@dataclass(frozen=True)
class Desk:
    """What a test of the command line works with.

    Attributes:
        root: folder of the test.
        workspace: a checkout in it, with nothing but a stack file.
        toolchain: one whose pulumi is a stub.
    """

    root: Path
    workspace: Workspace
    toolchain: Toolchain

    def ambient(self, **settings: str) -> "Desk":
        """The same, started with another environment."""
        return replace(self, workspace=replace(self.workspace, ambient={"HOME": str(self.root), **settings}))

    @property
    def engine(self) -> Engine:
        """The engine on the only stack, in a prepared workspace."""
        self.workspace.prepare(self.toolchain)
        return Engine(self.workspace, self.toolchain, STACK)

    @property
    def stack_file(self) -> Path:
        """The user's stack file."""
        return self.workspace.stack_file(STACK)

    @property
    def copy(self) -> Path:
        """The engine's copy of it."""
        return self.workspace.projects / self.stack_file.name

    def on(self, command: str, script: str) -> None:
        """Say what the stub does, in shell, for a command of pulumi."""
        (self.toolchain.bin / f"{command}.sh").write_text(script, encoding="utf-8")

    def calls(self) -> list[str]:
        """What pulumi was called with, without the folder."""
        return [line.partition(": ")[2] for line in self.raw_calls()]

    def raw_calls(self) -> list[str]:
        """What pulumi was called with, after the folder it was called in."""
        log = self.root / "calls"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def job(self, name: str, text: str) -> None:
        """Put a job into the checkout in place of the product's own."""
        package = self.workspace.checkout / "mesh_federation" / "jobs"
        package.mkdir(parents=True, exist_ok=True)
        (package / "__main__.py").write_text(ENTRY, encoding="utf-8")
        (package / f"{name}.py").write_text(text, encoding="utf-8")

    def keep_state(self, text: str = '{"version": 3, "checkpoint": {}}', ending: str = ".json") -> Path:
        """Leave what the engine leaves of a stack in the checkout's own state."""
        file = self.workspace.states() / f"{STACK}{ending}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        self.workspace.home.joinpath("passphrase").touch()
        return file

    def log_in(self, where: Path | None = None) -> Path:
        """Leave what `pulumi login` leaves."""
        file = (where or self.root / ".pulumi") / "credentials.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"current": "https://api.example.org"}), encoding="utf-8")
        return file


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A checkout with one stack file and a toolchain with a pulumi that records."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    theirs = ("PULUMI_BACKEND_URL", "PULUMI_HOME", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")
    for name in (*theirs, "MESH_OVERLAY"):
        monkeypatch.delenv(name, raising=False)
    checkout, programs = tmp_path / "checkout", tmp_path / "bin"
    checkout.mkdir()
    programs.mkdir()
    (checkout / "Pulumi.yaml").write_text("name: mesh-federation\nruntime: python\n", encoding="utf-8")
    (checkout / f"Pulumi.{STACK}.yaml").write_text(DECLARED, encoding="utf-8")
    for name in ("pulumi", "pulumi-resource-command"):
        (programs / name).write_text(PULUMI.replace("HERE", str(programs)), encoding="utf-8")
        (programs / name).chmod(stat.S_IRWXU)
    pieces = (
        Located("pulumi", "module", "3.259.0", programs / "pulumi"),
        Located("pulumi-resource-command", "stand-in", "1.2.1", programs / "pulumi-resource-command"),
    )
    toolchain = Toolchain(programs, tmp_path / "charts", checkout / ".mesh" / "bin", pieces)
    return Desk(tmp_path, Workspace(checkout, checkout / ".mesh", {"HOME": str(tmp_path)}), toolchain)


Mesh = Callable[..., CommandResult]


@dataclass
class Fakes:
    """The surroundings of a command in a test, which the test may change.

    Attributes:
        workspace: the checkout.
        ready: looks for the toolchain.
        get: installs the toolchain.
    """

    workspace: Workspace
    ready: Callable[..., Toolchain | Missing]
    get: Callable[..., Toolchain]


@pytest.fixture
def fakes(desk: Desk) -> Fakes:
    """The checkout of the test, and its toolchain, which is complete."""
    return Fakes(desk.workspace, lambda *_, **__: desk.toolchain, lambda *_, **__: pytest.fail("it was installed"))


@pytest.fixture
def mesh(desk: Desk, fakes: Fakes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Mesh:
    """Runs `mesh` in the checkout of the test, with its toolchain."""
    monkeypatch.setenv("COLUMNS", "200")
    desk.stack_file.write_text(SOUND, encoding="utf-8")

    def run(*arguments: str) -> CommandResult:
        monkeypatch.setattr(sys, "argv", ["mesh", *arguments])
        capsys.readouterr()
        try:
            command.main(Surroundings(lambda: fakes.workspace, fakes.ready, fakes.get))
            status = 0
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
        printed = capsys.readouterr()
        return CommandResult(status, printed.out, printed.err)

    return run


CLUSTERS = {
    name: {
        "provisioner": "kwok",
        "name": f"{name}-1a2b3c",
        "kubeconfig": f"kubeconfigs/{STACK}/{name}",
        "gateway": ["10.0.0.1"],
        "trustDomain": f"{name}.local",
    }
    for name in ("east", "west")
}


MADE: dict[str, object] = {"type": "pulumi:pulumi:Stack", "urn": "urn:stack", "outputs": {"clusters": CLUSTERS}}
"""The stack in its state, with the outputs of a run that came to its end."""


@pytest.fixture
def answering(desk: Desk) -> Desk:
    """The engine has a stack and its outputs."""
    desk.keep_state()
    state = {"deployment": {"resources": [MADE]}}
    desk.on("stack", f"case \"$*\" in *export*) echo '{json.dumps(state)}';; esac")
    return desk
