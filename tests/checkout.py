"""A checkout of the project with a home of its own: what it makes never meets what another one made."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml

from mesh_federation.clusters import journal
from mesh_federation.native.sandbox import Sandbox
from mesh_federation.toolchain.install import Toolchain
from tests.events import Event, read

PROJECT = Path(__file__).resolve().parents[1]
STACK = "simulated"
FEDERATION = "mesh-federation:federation"
DEADLINE_SECONDS = 900
"""Bounds a run that hangs; on simulated clusters none takes a tenth of it."""

IN_CONTAINERS = ("kind", "k3d")
"""Providers whose clusters do not end with their processes."""
OF_A_STACK = ("up", "preview", "call", "verify", "down", "validate", "topology", "trust")
"""Commands that choose a stack by themselves if none is named."""

OPENING = """
import sys
from mesh_federation.cli import stacks
from mesh_federation.toolchain.pins import Pins
workspace, federation = stacks.declared(sys.argv[1], None)
stacks.opened(workspace, sys.argv[1], stacks.toolchain(stacks.providers(federation), Pins.previewed))
"""
"""What every command does first: hand the stack file of its stack to the engine."""

FOREIGN = (
    "PULUMI_",
    "MESH_HOME",
    "MESH_USERS",
    "MESH_CHARTS",
    "MESH_MANIFESTS",
    "MESH_IMAGES",
    "MESH_OVERLAY",
    "KUBECONFIG",
    "PYTHONDONTWRITEBYTECODE",
)
"""Settings of the person who runs the tests that would lead a checkout to another's state, or slow it down."""


@dataclass(frozen=True)
class Result:
    """A command that has ended.

    Attributes:
        code: its exit status.
        stdout: what it printed.
        stderr: what it complained of.
    """

    code: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """Everything that a person saw."""
        return self.stdout + self.stderr

    def changes(self) -> dict[str, int]:
        """Read the engine's summary: how many resources were created, updated, unchanged and so on."""
        summary = self.stdout.rpartition("Resources:")[2].partition("Duration:")[0]
        return {word: int(count) for count, word in re.findall(r"(\d+) (?:to )?([a-z]+)", summary)}


@dataclass
class Checkout:
    """One checkout.

    Attributes:
        folder: where it is.
        toolchain: the machine's.
        ambient: the environment that its commands are started in.
        stack: the one that it is about.
    """

    folder: Path
    toolchain: Toolchain
    ambient: dict[str, str]
    stack: str = STACK
    _pulumi: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """Folder for everything that runs."""
        return self.folder / ".mesh"

    @property
    def python(self) -> str:
        """The project's interpreter, by the checkout's own name of it."""
        return str(self.folder / ".venv" / "bin" / "python")

    def stack_file(self, stack: str = "") -> Path:
        """The file that a user edits."""
        return self.folder / f"Pulumi.{stack or self.stack}.yaml"

    def declared(self, stack: str = "") -> dict[str, object]:
        """What the stack file declares."""
        document = yaml.safe_load(self.stack_file(stack).read_text(encoding="utf-8"))
        federation = document["config"][FEDERATION]
        assert isinstance(federation, dict)
        return federation

    @contextmanager
    def edited(self) -> Iterator[dict[str, object]]:
        """Change what the stack file declares."""
        federation = self.declared()
        yield federation
        self.declare(federation)

    def declare(self, federation: object) -> None:
        """Write the stack file."""
        self.stack_file().write_text(yaml.safe_dump({"config": {FEDERATION: federation}}), encoding="utf-8")

    def command(self, *arguments: str) -> list[str]:
        """Command line of `mesh`."""
        return [self.python, "-m", "mesh_federation.cli", *arguments]

    def mesh(self, *arguments: str, **environment: str) -> Result:
        """Run `mesh` to its end, on this checkout's stack unless the arguments name one."""
        names_none = arguments[0] in OF_A_STACK and not any(word.startswith("--stack") for word in arguments)
        stack = [f"--stack={self.stack}"] if names_none else []
        return self.run(self.command(*arguments, *stack), self.ambient | environment)

    def up(self, *arguments: str, **environment: str) -> Result:
        """Bring the federation up; it must come up."""
        done = self.mesh("up", "--yes", f"--stack={self.stack}", *arguments, **environment)
        assert done.code == 0, done.text
        return done

    def down(self) -> Result:
        """Remove everything; it must go."""
        done = self.mesh("down", "--yes", f"--stack={self.stack}")
        assert done.code == 0, done.text
        return done

    def environment(self) -> dict[str, str]:
        """Environment of a shell after `eval "$(./mesh env)"`."""
        if not self._pulumi:
            done = self.mesh("install")
            assert done.code == 0, done.text
            done = self.mesh("env")
            assert done.code == 0, done.text
            exports = (shlex.split(line)[1].split("=", 1) for line in done.stdout.splitlines())
            self._pulumi = dict(exports)
        # The engine hides the event log and plans behind these.
        return self.ambient | self._pulumi | {"PULUMI_DEBUG_COMMANDS": "true", "PULUMI_EXPERIMENTAL": "true"}

    def pulumi_command(self, verb: str, *arguments: str, stack: str = "") -> list[str]:
        """Command line of the engine, as README tells people to call it."""
        stack = stack or self.stack
        config = self.home / "project" / f"Pulumi.{stack}.yaml"
        return ["pulumi", verb, *arguments, f"--stack={stack}", f"--config-file={config}", "--non-interactive"]

    def pulumi(self, verb: str, *arguments: str, stack: str = "", **environment: str) -> Result:
        """Run the engine by hand; the stack must have been opened since its file was edited."""
        return self.run(self.pulumi_command(verb, *arguments, stack=stack), self.environment() | environment)

    def ask(self, *arguments: str) -> Result:
        """Ask the engine about the stack."""
        return self.run(["pulumi", *arguments, f"--stack={self.stack}", "--non-interactive"], self.environment())

    def opening_command(self, stack: str = "") -> list[str]:
        """Command line that hands the stack file to the engine, and runs nothing."""
        return [self.python, "-c", OPENING, stack or self.stack]

    def open(self, stack: str = "") -> None:
        """Hand the stack file to the engine."""
        opened = self.run(self.opening_command(stack), self.ambient)
        assert opened.code == 0, opened.text

    def preview(self, stack: str = "", *arguments: str) -> list[dict[str, object]]:
        """Every step that the engine would take."""
        self.open(stack)
        done = self.pulumi("preview", "--json", *arguments, stack=stack)
        assert done.code == 0, done.text
        return steps(done.stdout)

    def events(self, *arguments: str, **environment: str) -> tuple[Result, list[Event]]:
        """Bring the federation up by hand and return what the engine says that it did, in order."""
        self.open()
        log = self.folder.with_name(f"{self.folder.name}.events")
        try:
            done = self.pulumi("up", "--yes", "--skip-preview", f"--event-log={log}", *arguments, **environment)
            return done, read(log)
        finally:
            log.unlink(missing_ok=True)

    def state(self) -> dict[str, dict[str, object]]:
        """Resources in state, by URN; secrets as the backend keeps them."""
        file = self.home / "state" / ".pulumi" / "stacks" / "mesh-federation" / f"{self.stack}.json"
        deployment = json.loads(file.read_text(encoding="utf-8"))["checkpoint"]["latest"]
        return {resource["urn"]: resource for resource in deployment.get("resources", [])}

    def clusters(self) -> dict[str, dict[str, object]]:
        """The stack's output: what a person needs to use each cluster."""
        [stack] = [resource for resource in self.state().values() if resource["type"] == "pulumi:pulumi:Stack"]
        outputs = stack["outputs"]
        assert isinstance(outputs, dict)
        clusters = outputs["clusters"]
        assert isinstance(clusters, dict)
        return clusters

    def real_name(self, cluster: str) -> str:
        """Name of a cluster's processes and folders."""
        return str(self.clusters()[cluster]["name"])

    def kubectl(self, cluster: str, *arguments: str, kubeconfig: Path | None = None) -> Result:
        """Ask a cluster's API server."""
        file = kubeconfig or self.home / "kubeconfigs" / self.stack / cluster
        command = [str(self.toolchain.bin / "kubectl"), f"--kubeconfig={file}", "--request-timeout=10s"]
        return self.run([*command, *arguments], self.ambient)

    def get(self, cluster: str, kind: str, name: str, namespace: str = "istio-system") -> dict[str, object]:
        """One object, as its API server has it."""
        done = self.kubectl(cluster, "get", kind, name, f"--namespace={namespace}", "--output=json")
        assert done.code == 0, done.text
        found = json.loads(done.stdout)
        assert isinstance(found, dict)
        return found

    def imported_addresses(self) -> list[str]:
        """Where east sends its calls of httpbin."""
        spec = self.get("east", "serviceentries.networking.istio.io", "import-httpbin-httpbin")["spec"]
        assert isinstance(spec, dict)
        return [endpoint["address"] for endpoint in spec["endpoints"]]

    def gateway_address(self, cluster: str) -> str:
        """Address that the load balancer gave to a cluster's east-west gateway."""
        status = self.get(cluster, "service", "istio-eastwestgateway")["status"]
        assert isinstance(status, dict)
        return str(status["loadBalancer"]["ingress"][0]["ip"])

    def processes(self, part: str = "") -> list[psutil.Process]:
        """Processes that this checkout started, control planes and engines alike, and that still run."""
        return [process for process in psutil.process_iter() if _belongs(process, f"{self.home}/{part}")]

    def control_planes(self) -> list[psutil.Process]:
        """Processes of simulated clusters."""
        return self.processes("kwok/")

    def reservations(self) -> list[Path]:
        """Port reservations of this checkout's clusters."""
        cache = Path(self.ambient.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        slots = (cache / "mesh-federation" / "ports").glob("[0-9]*")
        return [slot for slot in slots if Path(os.readlink(slot)).is_relative_to(self.home)]

    def git_status(self) -> str:
        """What git calls changed."""
        return self.run(["git", "status", "--porcelain"], self.ambient).stdout

    def run(self, command: list[str], environment: Mapping[str, str]) -> Result:
        """Run any command in the checkout."""
        done = subprocess.run(
            command, cwd=self.folder, env=dict(environment), capture_output=True, text=True, timeout=DEADLINE_SECONDS,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start `mesh` in a process group of its own, as a shell does."""
        return subprocess.Popen(
            self.command(*arguments), cwd=self.folder, env=self.ambient, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def engines(self) -> list[psutil.Process]:
        """Engines at work on this checkout."""
        return [process for process in self.processes() if _name(process) == "pulumi"]

    def kill(self, processes: list[psutil.Process]) -> None:
        """End processes at once, as a reboot does."""
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=30)

    def remove(self) -> None:
        """Take everything away, however a test ended: processes are killed, and containers removed by the product."""
        try:
            for stack in self._stacks_with_containers():
                self.mesh("down", "--yes", f"--stack={stack}")
        finally:
            for record in self.home.glob("native/*/sandbox.json"):
                Sandbox(record.parent).stop()
            self.kill(self.processes())
            for folder in (self.home / "native").glob("*"):
                Sandbox(folder).stop()
            for slot in self.reservations():
                slot.unlink()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _stacks_with_containers(self) -> list[str]:
        stacks = [file.stem.removeprefix("Pulumi.") for file in self.folder.glob("Pulumi.*.yaml")]
        return [each for each in stacks if any(e.job in IN_CONTAINERS for e in journal.entries(self.home, each))]

    def stack_exists(self) -> bool:
        """Say whether a stack was brought up and not removed."""
        return any((self.home / "state").glob(".pulumi/stacks/mesh-federation/*.json"))


@contextmanager
def checkout(toolchain: Toolchain, stack: str = STACK) -> Iterator[Checkout]:
    """Copy the project, edits included, to a short path; sockets below it have room for 100 characters."""
    folder = Path(tempfile.mkdtemp(prefix="mesh-"))
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", ".", ":!tests"]
    names = subprocess.run(listed, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    ambient = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    made = Checkout(folder, toolchain, ambient | {"PYTHONPATH": str(folder)}, stack)
    try:
        _commit(made)
        yield made
    finally:
        made.remove()


def _commit(made: Checkout) -> None:
    """Give the checkout a history, so that git can say what a run left in it."""
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "--quiet"], ["add", "."], [*identity, "commit", "--quiet", "--message=all"]):
        if arguments[0] == "add":  # the link is no folder, which is what .gitignore names
            (made.folder / ".git" / "info" / "exclude").write_text("/.venv\n", encoding="utf-8")
        done = made.run(["git", *arguments], made.ambient)
        assert done.code == 0, done.text


def steps(preview: str) -> list[dict[str, object]]:
    """Read the JSON of a preview; the engine prints warnings before it."""
    document = json.loads(preview[preview.index("{") :])
    found = document.get("steps") or []
    assert isinstance(found, list)
    return found


def eventually(what: Callable[[], bool], seconds: float = 60) -> None:
    """Ask until it is so."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to be in time"
        time.sleep(0.1)


def interrupt(group: "subprocess.Popen[str]") -> None:
    """Press Ctrl-C in the terminal of a process group."""
    os.killpg(group.pid, signal.SIGINT)


def _belongs(process: psutil.Process, path: str) -> bool:
    try:
        if any(path in word for word in process.cmdline()):
            return process.status() != psutil.STATUS_ZOMBIE
        home = process.environ().get("MESH_HOME", "")
        return bool(home) and f"{home}/" == path and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return False


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""
