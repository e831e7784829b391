"""Runs the Pulumi engine on one stack, and removes what a killed run left."""

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

from mesh_federation import document, process
from mesh_federation.clusters.registry import PROVIDERS
from mesh_federation.clusters.settings import ClusterSettings, ProviderSettings
from mesh_federation.engine import snapshot
from mesh_federation.engine.snapshot import STACK_TYPE, Snapshot
from mesh_federation.engine.step import Step
from mesh_federation.engine.workspace import PROJECT, SALT, Workspace
from mesh_federation.interruption import Interruption
from mesh_federation.jobs import crds, kubeconfig, remote_reader
from mesh_federation.jobs.cluster import JOBS
from mesh_federation.jobs.crds import CrdsSettings
from mesh_federation.jobs.job import ENTRY, PREVIOUS, Job, parse
from mesh_federation.jobs.remote_reader import RemoteReaderSettings
from mesh_federation.plan.root_identity import VERSION, EarlierVersion
from mesh_federation.process import ProcessResult
from mesh_federation.stack import files, yaml_reader
from mesh_federation.stack.problem import Problem, ProblemError
from mesh_federation.toolchain import launchers
from mesh_federation.toolchain.install import Toolchain

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

STATE_VERSION = 3
"""Of the form in which a file backend keeps a state (pulumi: sdk/go/common/apitype)."""
ANSWER_SECONDS = 300
"""Time limit of a command of the engine; a preview takes seconds on an idle machine, a minute on a busy one."""
SHORT_LIVED = {"GOGC": "300"}
"""Lets engine and plugins, which live for seconds, collect garbage less often: a second of processor time less in a
first `up`, for less than 100 MB. What they start that stays must not have it."""
Settings = TypeVar("Settings", bound="DataclassInstance")
COMMAND_TYPE = "command:local:Command"
EARLIER_JOBS = "components.provisioners."
"""Part of the command lines of jobs before the contract of today."""
WORKERS = ("pulumi-resource-", "pulumi-language-")
"""Prefixes of the names of plugins and language hosts."""


class EngineError(ProblemError):
    """The engine failed."""

    def __init__(self, what: str, fix: str = "") -> None:
        """Keep the error message of the engine, and what to do about it if that is known."""
        super().__init__(Problem("", "engine-failed", what, fix))


@dataclass(frozen=True)
class RecordedCluster:
    """A cluster in the stack's state.

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
        """The declared name."""
        return self.settings.logical

    @property
    def is_existing(self) -> bool:
        """Whether the stack did not create it."""
        return not PROVIDERS[self.job.name].ours


@dataclass(frozen=True)
class RecordedDefinitions:
    """Custom resource definitions of a cluster in the stack's state.

    Attributes:
        urn: of the command that applied them.
        settings: of the job that applies them.
    """

    urn: str
    settings: CrdsSettings


@dataclass(frozen=True)
class RecordedToken:
    """A token in the stack's state, with which istiod of one cluster reads another.

    Attributes:
        urn: URN of the command that requested it.
        settings: settings of the job that requests it.
        made: when it was requested.
    """

    urn: str
    settings: RemoteReaderSettings
    made: datetime


@dataclass(frozen=True)
class Engine:
    """Pulumi for one stack of one checkout.

    Attributes:
        workspace: the checkout.
        toolchain: the installed programs.
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

        Ctrl-C reaches the engine, which completes what it has started, and SIGTERM is passed on to it; this process
        waits for it.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed or SIGTERM sent, and the engine did not complete the run.
        """
        with self._scratch() as scratch:
            return self._streamed(arguments, self._config(), scratch)

    def destroy(self, *flags: str) -> int:
        """Remove what the last run left, with the user's terminal; returns the engine's exit status.

        Only the salt of the stack file is needed, so that a missing or invalid stack file does not prevent it. The
        engine's copy of the stack file stays unchanged, for another attempt if this one does not complete.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed or SIGTERM sent, and the engine did not complete the run.
        """
        with self._scratch() as scratch:
            salts = _salts(_text(self.workspace.stack_file(self.stack))) or _salts(_text(self._config()))
            config = Path(scratch) / self._config().name
            config.write_text("\n".join([*salts, ""]), encoding="utf-8")
            return self._streamed(("destroy", *flags), config, scratch)

    def _streamed(self, arguments: Sequence[str], config: Path, scratch: str) -> int:
        command = ["pulumi", *arguments, f"--stack={self.stack}", f"--config-file={config}"]
        environment = {**SHORT_LIVED, **self.environment, "TMPDIR": scratch}
        with Interruption(signal.SIGINT) as interruption:
            status = interruption.run(command, cwd=self.workspace.checkout, env=environment)
        if status and interruption.asked:
            raise KeyboardInterrupt
        return status

    def _scratch(self) -> "tempfile.TemporaryDirectory[str]":
        """Create a folder that is deleted after the run: the Kubernetes provider leaves kubeconfigs in its TMPDIR."""
        self._scratches().mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=self._scratches(), ignore_cleanup_errors=True)

    def _scratches(self) -> Path:
        return self.workspace.home / "runs" / self.stack

    def ask(self, *arguments: str) -> str:
        """Run Pulumi without a terminal and return its output.

        Raises:
            EngineError: it failed.
        """
        return self._answer(arguments, self.workspace.projects, self.environment)

    def _answer(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
        command = ["pulumi", *arguments, "--non-interactive"]
        try:
            done = process.run(command, environment=environment, folder=folder, timeout=ANSWER_SECONDS)
        except process.ProgramTimeout:
            raise EngineError(f"pulumi {arguments[0]} did not end within {ANSWER_SECONDS} s") from None
        if done.returncode:
            raise EngineError(_reason(done))
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
            _command(job, action),
            environment={**self.environment, document.VARIABLE: document.write(settings), PREVIOUS: previous},
            folder=self.workspace.checkout,
            stdin=stdin,
        )

    def start_job(self, job: Job[Settings], action: str, settings: Settings) -> subprocess.Popen[bytes]:
        """Start a job whose failure does not count, because a Command of the engine will do the same.

        Args:
            job: which.
            action: the word for what it is to do.
            settings: of the job.
        """
        return subprocess.Popen(
            _command(job, action),
            env={**self.environment, document.VARIABLE: document.write(settings)},
            cwd=self.workspace.checkout,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def steps(self, *arguments: str) -> list[Step]:
        """Return the steps of a preview of the stack, which must be open.

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
        """Return whether the backend has the stack."""
        if self.workspace.uses_own_state():
            return self.workspace.own_state(self.stack) is not None
        stacks = json.loads(self.ask("stack", "ls", "--json", f"--project={PROJECT}"))
        return any(entry["name"].split("/")[-1] == self.stack for entry in stacks)

    def open(self) -> None:
        """Create the stack if necessary, and give the engine the current stack file.

        The salt of the stack's secrets is written into the engine's copy, so that the checkout stays unchanged.
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
        """Delete the stack, with what the engine and killed runs left of it."""
        self.ask("stack", "rm", self.stack, "--yes", "--preserve-config")
        self.forsake()

    def forsake(self) -> None:
        """Delete a stack without the engine, which may be unable to read its state."""
        self._config().unlink(missing_ok=True)
        self.workspace.backend_note(self.stack).unlink(missing_ok=True)
        self.workspace.applied_note(self.stack).unlink(missing_ok=True)
        shutil.rmtree(self._scratches(), ignore_errors=True)
        if self.workspace.uses_own_state():
            for copy in self.workspace.states().glob(f"{self.stack}.json*"):
                copy.unlink()

    def _config(self) -> Path:
        return self.workspace.projects / f"Pulumi.{self.stack}.yaml"

    def clear_stale_lock(self) -> list[int]:
        """Cancel the locks of engines that no longer run; returns their process ids.

        A killed engine leaves its lock in a file backend, which would refuse every later run.
        """
        holders = self._holders()
        if not holders or any(runs for _, runs in holders):  # cancelling drops all locks, a live engine's too
            return []
        self.ask("cancel", "--yes", f"--stack={self.stack}")
        self.forget_pending_creates()
        return [pid for pid, _ in holders]

    def at_work(self) -> list[int]:
        """Return the process ids of engines that are changing the stack."""
        return [pid for pid, runs in self._holders() if runs]

    def end_workers(self) -> None:
        """End the plugins and language hosts that a killed engine of this checkout left.

        Workers of running engines are spared: they have the engine among their parents.
        """
        left = [worker for worker in psutil.process_iter() if _is_left(worker, str(self.workspace.pulumi_home))]
        for worker in left:
            with contextlib.suppress(psutil.Error):
                worker.kill()
        psutil.wait_procs(left, timeout=ANSWER_SECONDS)

    def _holders(self) -> list[tuple[int, bool]]:
        holders = []
        for lock in self._locks():
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # acquired or released just now
                holders.append(_holder(lock))
        return holders

    def _locks(self) -> Sequence[Path]:
        if not self.workspace.uses_own_state():
            return []
        return list((self.workspace.state() / ".pulumi" / "locks").glob(f"**/{PROJECT}/{self.stack}/*.json"))

    def recorded_clusters(self) -> list[RecordedCluster]:
        """Return the clusters in the stack's state, including old generations."""
        commands = self._commands()
        written = [_settings(kubeconfig.JOB, command) for command in commands if _writes_kubeconfig(command)]
        by_cluster = {settings.name: settings for settings in written}
        made = ((command, _cluster_job(command)) for command in commands)
        return [_recorded(command, job, by_cluster) for command, job in made if job]

    def snapshot(self) -> Snapshot:
        """Return the stack's state, with its secrets.

        Raises:
            EngineError: it cannot be read, or an earlier version of this program left it.
        """
        deployment = self._export("--show-secrets")["deployment"]
        _refuse_earlier_version(deployment.get("resources", []))
        return snapshot.read(deployment)

    def saved(self) -> str:
        """Return when the engine saved the stack's state; every change of the state has another time."""
        return snapshot.saved(self._export()["deployment"])

    def outputs(self) -> Mapping[str, Any]:
        """Return the outputs of the stack; those that are secret are encrypted."""
        return snapshot.outputs(self._export()["deployment"])

    def recorded_tokens(self) -> list[RecordedToken]:
        """Return the tokens of endpoint discovery in the stack's state."""
        return [_token(command) for command in self._commands() if _asks_for_token(command)]

    def recorded_definitions(self) -> list[RecordedDefinitions]:
        """Return the definitions in the stack's state, except those of clusters that are being deleted."""
        return [_definitions(command) for command in self._commands() if _applies_definitions(command)]

    def forget(self, cluster: RecordedCluster) -> None:
        """Remove a missing cluster and its contents from the state: the next run recreates them.

        Resources elsewhere that depend on it are removed too, and adopted again by that run.
        """
        self.ask("state", "delete", cluster.urn, "--target-dependents", "--yes", f"--stack={self.stack}")

    def forget_pending_creates(self) -> None:
        """Remove interrupted creations from the state: they are repeatable, and every run would warn of them."""
        state = self._export()
        pending = state["deployment"].get("pending_operations") or []
        kept = [operation for operation in pending if operation["type"] != "creating"]
        if len(kept) < len(pending):
            state["deployment"]["pending_operations"] = kept
            self._import(state)

    def _commands(self) -> list[dict[str, Any]]:
        return [resource for resource in self._resources() if resource["type"] == COMMAND_TYPE]

    def _resources(self) -> list[dict[str, Any]]:
        resources: list[dict[str, Any]] = self._export()["deployment"].get("resources", [])
        _refuse_earlier_version(resources)
        return resources

    def _import(self, state: dict[str, Any]) -> None:
        with tempfile.NamedTemporaryFile("w", dir=self.workspace.home, suffix=".json") as file:  # mode 0600
            json.dump(state, file)
            file.flush()
            self.ask("stack", "import", f"--file={file.name}", f"--stack={self.stack}")

    def _export(self, *flags: str) -> dict[str, Any]:
        own = None if flags else self._own_state()
        state: dict[str, Any] = own or json.loads(self.ask("stack", "export", *flags, f"--stack={self.stack}"))
        return state

    def _own_state(self) -> dict[str, Any] | None:
        """Read the state from the checkout's own backend; None where only the engine can.

        `pulumi stack export` prints the same, and takes half a second of processor time.
        """
        file = self.workspace.own_state(self.stack) if self.workspace.uses_own_state() else None
        if file is None or file.suffix != ".json":
            return None
        saved = json.loads(file.read_text(encoding="utf-8"))
        latest = saved["checkpoint"].get("latest") if saved.get("version") == STATE_VERSION else None
        return {"version": STATE_VERSION, "deployment": latest} if latest else None


def _command(job: Job[Settings], action: str) -> list[str]:
    return [sys.executable, "-m", ENTRY, job.name, *([action] if action else [])]


def _reason(failed: ProcessResult) -> str:
    """Return why a command of the engine failed; a preview as JSON has its errors in its document."""
    told = failed.stderr.strip() or failed.stdout.strip()
    with contextlib.suppress(ValueError, AttributeError):
        found = json.loads(failed.stdout[failed.stdout.index("{") :]).get("diagnostics") or []
        errors = [str(each.get("message", "")).strip() for each in found if each.get("severity") == "error"]
        told = "\n".join(errors) or told
    return told.removeprefix("error: ")


def _step(told: dict[str, Any]) -> Step:
    fields = sorted({*(told.get("detailedDiff") or {}), *(told.get("diffReasons") or [])})
    return Step(told["op"], told["urn"].rpartition("::")[2], tuple(fields))


def _cluster_job(command: dict[str, Any]) -> Job[ProviderSettings] | None:
    """Return the job by which a command makes a cluster; None if it makes none."""
    name, action = _creates(command["inputs"])
    return JOBS.get(name) if action == "create" else None


def _refuse_earlier_version(resources: Sequence[dict[str, Any]]) -> None:
    if any(map(_is_of_earlier_version, resources)):
        raise EngineError(str(EarlierVersion()))


def _is_of_earlier_version(resource: dict[str, Any]) -> bool:
    """Say whether an earlier version of this program made a resource, or left the stack's outputs."""
    if resource["type"] == STACK_TYPE:
        records = ((resource.get("outputs") or {}).get("trust") or {}).values()
        return any(record.get("version") != VERSION for record in records)
    if resource["type"] != COMMAND_TYPE:
        return False
    inputs = resource.get("inputs") or {}
    line = str(inputs.get("create", ""))
    return EARLIER_JOBS in line or bool(parse(line) and document.VARIABLE not in (inputs.get("environment") or {}))


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
    """Return the process of a lock, and whether it still runs: its id may have been reused."""
    pid = int(json.loads(lock.read_text(encoding="utf-8"))["pid"])
    try:
        return pid, psutil.Process(pid).create_time() <= lock.stat().st_mtime + 1
    except psutil.NoSuchProcess:
        return pid, False


def _is_left(worker: psutil.Process, pulumi_home: str) -> bool:
    """Return whether a process is a worker of an engine of that home that no longer runs.

    Judged by its program, not by its arguments: an editor that shows a plugin is no worker.
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
    return launchers.MARK in word or Path(word).name.startswith(WORKERS)


def _text(file: Path) -> str:
    """Return the text of a file; empty if it cannot be read."""
    try:
        return files.head(file, yaml_reader.MAX_BYTES).decode(errors="replace")
    except files.NotRead:
        return ""


def _salts(stack_file: str) -> list[str]:
    """Return the line with the salt, found as text: the stack file may be invalid YAML."""
    return [line for line in stack_file.splitlines() if line.startswith(SALT)]
