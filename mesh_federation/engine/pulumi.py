"""Runs the Pulumi engine on one stack, and clears what a killed run leaves in its way."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psutil

from mesh_federation import process
from mesh_federation.clusters.registry import PROVIDERS
from mesh_federation.clusters.settings import ClusterSettings, ProviderSettings
from mesh_federation.engine.step import Step
from mesh_federation.engine.workspace import PROJECT, SALT, Workspace
from mesh_federation.jobs import crds, document, kubeconfig, remote_reader
from mesh_federation.jobs.cluster import JOBS
from mesh_federation.jobs.crds import CrdsSettings
from mesh_federation.jobs.job import ENTRY, PREVIOUS, Job, parse
from mesh_federation.jobs.remote_reader import RemoteReaderSettings
from mesh_federation.process import ProcessResult
from mesh_federation.stack import files, yaml_reader
from mesh_federation.stack.problem import Problem, ProblemError
from mesh_federation.toolchain.install import Toolchain

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ANSWER_SECONDS = 300
"""For an answer of the engine; a preview takes a few on an idle machine, and a minute on a very busy one."""
Settings = TypeVar("Settings", bound="DataclassInstance")
WORKERS = ("pulumi-resource-", "pulumi-language-")
"""How the names begin of what an engine starts and talks to."""


class EngineError(ProblemError):
    """The engine failed."""

    def __init__(self, what: str, fix: str = "") -> None:
        """Keep the error message of the engine, and what to do about it if that is known."""
        super().__init__(Problem("", "engine-failed", what, fix))


@dataclass(frozen=True)
class RecordedCluster:
    """A cluster as the stack's state has it.

    Attributes:
        urn: of the command that made it.
        job: that makes and starts it.
        settings: of that job.
        outgoing: a newer generation has taken its place, and the next run deletes it.
        kubeconfig: settings of the job that writes its kubeconfig for people; None if a run was cut short.
        printed: what the job printed when it was last run; of an existing cluster, which one it is.
    """

    urn: str
    job: Job[ProviderSettings]
    settings: ProviderSettings
    outgoing: bool = False
    kubeconfig: ClusterSettings | None = None
    printed: str = ""

    @property
    def name(self) -> str:
        """The real name."""
        return self.settings.name

    @property
    def logical(self) -> str:
        """The name under which people declared it."""
        return self.settings.logical

    @property
    def is_existing(self) -> bool:
        """Say whether somebody else made it."""
        return not PROVIDERS[self.job.name].ours


@dataclass(frozen=True)
class RecordedDefinitions:
    """Custom resource definitions that were applied to a cluster, as the stack's state has it.

    Attributes:
        urn: of the command that applied them.
        settings: of the job that applies them.
    """

    urn: str
    settings: CrdsSettings


@dataclass(frozen=True)
class RecordedToken:
    """A token with which one cluster's istiod reads another, as the stack's state has it.

    Attributes:
        urn: of the command that asked for it.
        settings: of the job that requests it.
        made: when.
    """

    urn: str
    settings: RemoteReaderSettings
    made: datetime


@dataclass(frozen=True)
class Engine:
    """Pulumi, for one stack of one checkout.

    Attributes:
        workspace: the checkout.
        toolchain: where its programs are.
        stack: name of the stack.
    """

    workspace: Workspace
    toolchain: Toolchain
    stack: str

    @property
    def environment(self) -> dict[str, str]:
        """Environment of every process that works on this stack."""
        return {**self.workspace.ambient, **self.workspace.environment(self.toolchain)}

    def stream(self, *arguments: str) -> int:
        """Run Pulumi on the stack with the user's terminal; returns its exit status.

        Ctrl-C reaches the engine, which ends what it has begun; this process waits for it.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed, and the engine did not come to its end.
        """
        with self._scratch() as scratch:
            return self._streamed(arguments, self._config(), scratch)

    def destroy(self, *flags: str) -> int:
        """Remove what the last run left, with the user's terminal; returns the engine's exit status.

        Only the salt matters of what the stack file says, so one that is broken or gone by now keeps nothing alive. The
        engine's copy of it stays as it is, for what follows if this does not come to its end.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed, and the engine did not come to its end.
        """
        with self._scratch() as scratch:
            salts = _salts(_text(self.workspace.stack_file(self.stack))) or _salts(_text(self._config()))
            config = Path(scratch) / self._config().name
            config.write_text("\n".join([*salts, ""]), encoding="utf-8")
            return self._streamed(("destroy", *flags), config, scratch)

    def _streamed(self, arguments: Sequence[str], config: Path, scratch: str) -> int:
        command = ["pulumi", *arguments, f"--stack={self.stack}", f"--config-file={config}"]
        environment = {**self.environment, "TMPDIR": scratch}
        pressed: list[int] = []
        before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
        try:
            status = subprocess.Popen(command, cwd=self.workspace.checkout, env=environment).wait()
        finally:
            signal.signal(signal.SIGINT, before)
        if status and pressed:
            raise KeyboardInterrupt
        return status

    def _scratch(self) -> "tempfile.TemporaryDirectory[str]":
        """Make a folder that goes with the run: the Kubernetes provider leaves kubeconfigs in its TMPDIR."""
        self._scratches().mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=self._scratches(), ignore_cleanup_errors=True)

    def _scratches(self) -> Path:
        return self.workspace.home / "runs" / self.stack

    def ask(self, *arguments: str) -> str:
        """Run Pulumi quietly and return what it prints.

        Raises:
            EngineError: it failed.
        """
        return self._answer(arguments, self.workspace.projects, self.environment)

    def _answer(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
        command = ["pulumi", *arguments, "--non-interactive"]
        try:
            done = process.run(command, environment=environment, folder=folder, timeout=ANSWER_SECONDS)
        except process.ProgramTimeout:
            raise EngineError(f"pulumi {arguments[0]} did not come to an end in {ANSWER_SECONDS} s") from None
        if done.returncode:
            raise EngineError((done.stderr.strip() or done.stdout.strip()).removeprefix("error: "))
        return done.stdout

    def run_job(
        self, job: Job[Settings], action: str, settings: Settings, stdin: str = "", previous: str = ""
    ) -> ProcessResult:
        """Run a job as the engine's Commands do.

        Args:
            job: which.
            action: the word for what it is to do; empty for a job that does one thing.
            settings: of the job.
            stdin: its standard input.
            previous: what it printed when it was last run.
        """
        return process.run(
            [sys.executable, "-m", ENTRY, job.name, *([action] if action else [])],
            environment={**self.environment, document.VARIABLE: document.write(settings), PREVIOUS: previous},
            folder=self.workspace.checkout,
            stdin=stdin,
        )

    def steps(self, *arguments: str) -> list[Step]:
        """Return what a preview of the stack would do, resource by resource; the stack must be open.

        Raises:
            EngineError: it failed.
        """
        command = ["preview", "--json", *arguments, f"--stack={self.stack}", f"--config-file={self._config()}"]
        with self._scratch() as scratch:
            environment = {**self.environment, "TMPDIR": scratch}
            told = self._answer(command, self.workspace.checkout, environment)
        # The engine prints warnings before it.
        found = json.loads(told[told.index("{") :]).get("steps") or []
        return [_step(each) for each in found]

    def exists(self) -> bool:
        """Say whether the backend has the stack."""
        if self.workspace.uses_own_state():
            return self.workspace.own_state(self.stack) is not None
        stacks = json.loads(self.ask("stack", "ls", "--json", f"--project={PROJECT}"))
        return any(entry["name"].split("/")[-1] == self.stack for entry in stacks)

    def open(self) -> None:
        """Make the stack if there is none, and give the engine the stack file as it is now.

        The salt of the stack's secrets goes into the engine's copy: a checkout stays as it was committed.
        """
        declared = self.workspace.stack_file(self.stack).read_text(encoding="utf-8")
        copy = self._config()
        if _salts(declared):
            copy.write_text(declared, encoding="utf-8")
        if not self.exists():
            self.ask("stack", "init", self.stack, "--no-select")
        self.workspace.backend_note(self.stack).write_text(self.workspace.backend(), encoding="utf-8")
        lines = [line for line in declared.splitlines() if line not in _salts(declared)]
        copy.write_text("\n".join([*lines, *_salts(_text(copy)), ""]), encoding="utf-8")

    def close(self) -> None:
        """Forget the stack, with what the engine and runs that were killed leave of it."""
        self.ask("stack", "rm", self.stack, "--yes", "--preserve-config")
        self.forsake()

    def forsake(self) -> None:
        """Forget a stack without asking the engine, which may not be able to read its state."""
        self._config().unlink(missing_ok=True)
        self.workspace.backend_note(self.stack).unlink(missing_ok=True)
        shutil.rmtree(self._scratches(), ignore_errors=True)
        if self.workspace.uses_own_state():
            for copy in self.workspace.states().glob(f"{self.stack}.json*"):
                copy.unlink()

    def _config(self) -> Path:
        return self.workspace.projects / f"Pulumi.{self.stack}.yaml"

    def clear_stale_lock(self) -> list[int]:
        """Cancel the locks of engines that are gone; returns their process ids.

        A killed engine keeps its lock in a file backend, and every later run would be refused.
        """
        holders = self._holders()
        if not holders or any(runs for _, runs in holders):  # cancelling drops all locks, a live engine's too
            return []
        self.ask("cancel", "--yes", f"--stack={self.stack}")
        self.forget_pending_creates()
        return [pid for pid, _ in holders]

    def at_work(self) -> list[int]:
        """Return the process ids of engines that change the stack now."""
        return [pid for pid, runs in self._holders() if runs]

    def end_workers(self) -> None:
        """End what a killed engine of this checkout left: plugins and language hosts, which nobody talks to any more.

        A worker of an engine that lives, of this stack or another, has it among its parents.
        """
        left = [worker for worker in psutil.process_iter() if _is_left(worker, str(self.workspace.pulumi_home))]
        for worker in left:
            with contextlib.suppress(psutil.Error):
                worker.kill()
        psutil.wait_procs(left, timeout=ANSWER_SECONDS)

    def _holders(self) -> list[tuple[int, bool]]:
        holders = []
        for lock in self._locks():
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # taken or given back just now
                holders.append(_holder(lock))
        return holders

    def _locks(self) -> Sequence[Path]:
        if not self.workspace.uses_own_state():
            return []
        return list((self.workspace.state() / ".pulumi" / "locks").glob(f"**/{PROJECT}/{self.stack}/*.json"))

    def recorded_clusters(self) -> list[RecordedCluster]:
        """Return the clusters that the stack's state has, old generations among them."""
        commands = self._commands()
        written = [_settings(kubeconfig.JOB, command) for command in commands if _writes_kubeconfig(command)]
        by_cluster = {settings.name: settings for settings in written}
        made = ((command, _cluster_job(command)) for command in commands)
        return [_recorded(command, job, by_cluster) for command, job in made if job]

    def recorded_uids(self, namespace: str) -> dict[str, str]:
        """Return, by cluster, the UID of a namespace that the stack's state has."""
        names = {resource["urn"].rpartition("::")[2]: resource for resource in self._resources()}
        uids = {name: (each.get("outputs") or {}).get("metadata", {}).get("uid", "") for name, each in names.items()}
        ending = f":{namespace}"
        return {name.removesuffix(ending): uid for name, uid in uids.items() if name.endswith(ending) and uid}

    def recorded_tokens(self) -> list[RecordedToken]:
        """Return the tokens of endpoint discovery that the stack's state has."""
        return [_token(command) for command in self._commands() if _asks_for_token(command)]

    def recorded_definitions(self) -> list[RecordedDefinitions]:
        """Return the definitions that the stack's state has, but for those of clusters that are on their way out."""
        return [_definitions(command) for command in self._commands() if _applies_definitions(command)]

    def forget(self, cluster: RecordedCluster) -> None:
        """Drop a cluster that is gone, and all that was in it, from the state: the next run makes both anew.

        What depends on it elsewhere is dropped too, and taken up again by that run.
        """
        self.ask("state", "delete", cluster.urn, "--target-dependents", "--yes", f"--stack={self.stack}")

    def forget_pending_creates(self) -> None:
        """Drop what a killed engine had begun to create: creating is repeatable here, and each run would warn of it."""
        state = self._export()
        pending = state["deployment"].get("pending_operations") or []
        kept = [operation for operation in pending if operation["type"] != "creating"]
        if len(kept) < len(pending):
            state["deployment"]["pending_operations"] = kept
            self._import(state)

    def _commands(self) -> list[dict[str, Any]]:
        return [resource for resource in self._resources() if resource["type"] == "command:local:Command"]

    def _resources(self) -> list[dict[str, Any]]:
        resources: list[dict[str, Any]] = self._export()["deployment"].get("resources", [])
        return resources

    def _import(self, state: dict[str, Any]) -> None:
        with tempfile.NamedTemporaryFile("w", dir=self.workspace.home, suffix=".json") as file:  # mode 0600
            json.dump(state, file)
            file.flush()
            self.ask("stack", "import", f"--file={file.name}", f"--stack={self.stack}")

    def _export(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.ask("stack", "export", f"--stack={self.stack}"))
        return state


def _step(told: dict[str, Any]) -> Step:
    fields = sorted({*(told.get("detailedDiff") or {}), *(told.get("diffReasons") or [])})
    return Step(told["op"], told["urn"].rpartition("::")[2], tuple(fields))


def _cluster_job(command: dict[str, Any]) -> Job[ProviderSettings] | None:
    """Return the job by which a command makes a cluster; None if it makes none."""
    name, action = _creates(command["inputs"])
    return JOBS.get(name) if action == "create" else None


def _creates(inputs: dict[str, str]) -> tuple[str, str]:
    """Return the job and the action that a command runs when it is made; empty if it runs no job."""
    return parse(str(inputs.get("create", ""))) or ("", "")


def _settings(job: Job[Settings], command: dict[str, Any]) -> Settings:
    return job.read(command["inputs"]["environment"][document.VARIABLE])


def _writes_kubeconfig(command: dict[str, Any]) -> bool:
    """A command of an old generation of its cluster would write where the new one has."""
    return _creates(command["inputs"]) == (kubeconfig.JOB.name, "create") and not command.get("delete")


def _recorded(
    command: dict[str, Any], job: Job[ProviderSettings], kubeconfigs: Mapping[str, ClusterSettings]
) -> RecordedCluster:
    settings = _settings(job, command)
    return RecordedCluster(
        urn=command["urn"],
        job=job,
        settings=settings,
        outgoing=bool(command.get("delete")),
        kubeconfig=kubeconfigs.get(settings.name),
        printed=str(command.get("outputs", {}).get("stdout") or ""),
    )


def _asks_for_token(command: dict[str, Any]) -> bool:
    """A command of an old generation of its cluster goes by itself."""
    return _creates(command["inputs"]) == (remote_reader.JOB.name, "") and not command.get("delete")


def _applies_definitions(command: dict[str, Any]) -> bool:
    return _creates(command["inputs"]) == (crds.JOB.name, "") and not command.get("delete")


def _definitions(command: dict[str, Any]) -> RecordedDefinitions:
    return RecordedDefinitions(command["urn"], _settings(crds.JOB, command))


def _token(command: dict[str, Any]) -> RecordedToken:
    """Read when it was last run: a changed lifetime asks for another token without a new resource."""
    made = datetime.fromisoformat(command["modified"])
    return RecordedToken(command["urn"], _settings(remote_reader.JOB, command), made)


def _holder(lock: Path) -> tuple[int, bool]:
    """Return the process that took a lock, and whether it still runs: its number may be another's since."""
    pid = int(json.loads(lock.read_text(encoding="utf-8"))["pid"])
    try:
        return pid, psutil.Process(pid).create_time() <= lock.stat().st_mtime + 1
    except psutil.NoSuchProcess:
        return pid, False


def _is_left(worker: psutil.Process, pulumi_home: str) -> bool:
    """Say whether a process works for an engine of that home which is gone.

    By its program, not by its words: an editor that shows a plugin is none.
    """
    try:
        program, words = Path(worker.exe()).name, worker.cmdline()[1:5]
        in_python = program.startswith("python") and any(map(_is_worker, words))
        if not (program.startswith(WORKERS) or in_python) or worker.environ().get("PULUMI_HOME") != pulumi_home:
            return False
        return not any(parent.name() == "pulumi" for parent in worker.parents())
    except (psutil.Error, OSError):  # it has just ended, or is another user's
        return False


def _is_worker(word: str) -> bool:
    return word.startswith("toolchain.standins.") or Path(word).name.startswith(WORKERS)


def _text(file: Path) -> str:
    """Return what a file says; nothing where there is none that can be read."""
    try:
        return files.head(file, yaml_reader.MAX_BYTES).decode(errors="replace")
    except files.NotRead:
        return ""


def _salts(stack_file: str) -> list[str]:
    """Return the line with the salt, read as text: a stack file may be no YAML any more."""
    return [line for line in stack_file.splitlines() if line.startswith(SALT)]
