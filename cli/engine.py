"""Runs the Pulumi engine on one stack, and clears what a killed run leaves in its way."""

import contextlib
import json
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from checks.step import Step
from cli.workspace import PROJECT, Workspace
from components.provisioners.place import SCRIPT_PREFIX
from toolchain.install import Toolchain

ANSWER_SECONDS = 300
"""For an answer of the engine; a preview takes a few on an idle machine, and a minute on a very busy one."""
STATE_FILES = (".json", ".json.gz")
"""How the names of a stack's state end in a file backend; its copy of the state before is no state (`.bak`)."""


class EngineError(Exception):
    """The engine could not do what it was asked for; its own words say why."""


@dataclass(frozen=True)
class RecordedCluster:
    """A cluster as the stack's state has it.

    Attributes:
        urn: of the command that made it.
        name: the real name.
        script: module that makes and starts it.
        config: what the script reads on standard input.
        environment: settings of the script.
        outgoing: a newer generation has taken its place, and the next run deletes it.
        printed: what the script said when it was last run; of an existing cluster, which one it is.
    """

    urn: str
    name: str
    script: str
    config: str
    environment: dict[str, str]
    outgoing: bool = False
    printed: str = ""

    @property
    def logical(self) -> str:
        """The name under which people declared it."""
        return self.environment.get("CONTEXT") or self.name.rpartition("-")[0]

    @property
    def is_existing(self) -> bool:
        """Say whether somebody else made it."""
        return self.script == f"{SCRIPT_PREFIX}existing"


@dataclass(frozen=True)
class RecordedToken:
    """A token with which one cluster's istiod reads another, as the stack's state has it.

    Attributes:
        urn: of the command that asked for it.
        cluster: which is read.
        reader: whose istiod reads.
        hours: its lifetime.
        made: when.
    """

    urn: str
    cluster: str
    reader: str
    hours: int
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
        command = ["pulumi", *arguments, f"--stack={self.stack}", f"--config-file={self._config()}"]
        with self._scratch() as scratch:
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
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, timeout=ANSWER_SECONDS,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise EngineError(f"pulumi {arguments[0]} did not come to an end in {ANSWER_SECONDS} s") from None
        if done.returncode:
            raise EngineError(done.stderr.strip() or done.stdout.strip())
        return done.stdout

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
            return any((self._states() / f"{self.stack}{ending}").exists() for ending in STATE_FILES)
        stacks = json.loads(self.ask("stack", "ls", "--json", f"--project={PROJECT}"))
        return any(entry["name"].split("/")[-1] == self.stack for entry in stacks)

    def open(self) -> None:
        """Make the stack if there is none, and give the engine the stack file as it is now.

        The salt of the stack's secrets goes into the engine's copy: a checkout stays as it was committed.
        """
        self._open(self.workspace.stack_file(self.stack).read_text(encoding="utf-8"))

    def reopen(self) -> None:
        """Open the stack as its last run left it: to remove it, only the salt matters of what the stack file says.

        So a stack file that is broken by now, YAML or not, keeps nothing alive.
        """
        declared = self.workspace.stack_file(self.stack).read_text(encoding="utf-8", errors="replace")
        self._open("\n".join(_salts(declared)))

    def _open(self, declared: str) -> None:
        copy = self._config()
        if _salts(declared):
            copy.write_text(declared, encoding="utf-8")
        if not self.exists():
            self.ask("stack", "init", self.stack, "--no-select")
        kept = copy.read_text(encoding="utf-8") if copy.exists() else ""
        lines = [line for line in declared.splitlines() if line not in _salts(declared)]
        copy.write_text("\n".join([*lines, *_salts(kept), ""]), encoding="utf-8")

    def close(self) -> None:
        """Forget the stack, with what the engine and runs that were killed leave of it."""
        self.ask("stack", "rm", self.stack, "--yes", "--preserve-config")
        self._config().unlink(missing_ok=True)
        shutil.rmtree(self._scratches(), ignore_errors=True)
        for copy in self._states().glob(f"{self.stack}.json*"):
            copy.unlink()

    def _states(self) -> Path:
        return self.workspace.state() / ".pulumi" / "stacks" / PROJECT

    def _config(self) -> Path:
        return self.workspace.projects / f"Pulumi.{self.stack}.yaml"

    def clear_stale_lock(self) -> list[int]:
        """Cancel the locks of engines that are gone; returns their process ids.

        A killed engine keeps its lock in a file backend, and every later run would be refused.
        """
        holders = []
        for lock in self._locks():
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # taken or given back just now
                holders.append(_holder(lock))
        if not holders or any(runs for _, runs in holders):  # cancelling drops all locks, a live engine's too
            return []
        self.ask("cancel", "--yes", f"--stack={self.stack}")
        self.forget_pending_creates()
        return [pid for pid, _ in holders]

    def _locks(self) -> Sequence[Path]:
        if not self.workspace.uses_own_state():
            return []
        return list((self.workspace.state() / ".pulumi" / "locks").glob(f"**/{PROJECT}/{self.stack}/*.json"))

    def recorded_clusters(self) -> list[RecordedCluster]:
        """Return the clusters that the stack's state has, old generations among them."""
        return [_recorded(command) for command in self._commands() if _makes_cluster(command["inputs"])]

    def recorded_tokens(self) -> list[RecordedToken]:
        """Return the tokens of endpoint discovery that the stack's state has."""
        return [_token(command) for command in self._commands() if _asks_for_token(command)]

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
            with tempfile.NamedTemporaryFile("w", dir=self.workspace.home, suffix=".json") as file:  # mode 0600
                json.dump(state, file)
                file.flush()
                self.ask("stack", "import", f"--file={file.name}", f"--stack={self.stack}")

    def _commands(self) -> list[dict[str, Any]]:
        resources = self._export()["deployment"].get("resources", [])
        return [resource for resource in resources if resource["type"] == "command:local:Command"]

    def _export(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.ask("stack", "export", f"--stack={self.stack}"))
        return state


def _step(told: dict[str, Any]) -> Step:
    fields = sorted({*(told.get("detailedDiff") or {}), *(told.get("diffReasons") or [])})
    return Step(told["op"], told["urn"].rpartition("::")[2], tuple(fields))


def _makes_cluster(inputs: dict[str, str]) -> bool:
    words = str(inputs.get("create", "")).split()
    return len(words) == 4 and words[2].startswith(SCRIPT_PREFIX) and "stdin" in inputs and words[3] == "create"


def _recorded(command: dict[str, Any]) -> RecordedCluster:
    inputs = command["inputs"]
    return RecordedCluster(
        urn=command["urn"],
        name=inputs["environment"]["CLUSTER"],
        script=inputs["create"].split()[2],
        config=inputs["stdin"],
        environment=inputs["environment"],
        outgoing=bool(command.get("delete")),
        printed=str(command.get("outputs", {}).get("stdout") or ""),
    )


def _asks_for_token(command: dict[str, Any]) -> bool:
    """A command of an old generation of its cluster goes by itself."""
    return str(command["inputs"].get("create", "")).endswith(f" {SCRIPT_PREFIX}reader") and not command.get("delete")


def _token(command: dict[str, Any]) -> RecordedToken:
    """Read when it was last run: a changed lifetime asks for another token without a new resource."""
    environment = command["inputs"]["environment"]
    return RecordedToken(
        urn=command["urn"],
        cluster=environment["CLUSTER"],
        reader=environment["READER"],
        hours=int(environment["HOURS"]),
        made=datetime.fromisoformat(command["modified"]),
    )


def _holder(lock: Path) -> tuple[int, bool]:
    """Return the process that took a lock, and whether it still runs: its number may be another's since."""
    pid = int(json.loads(lock.read_text(encoding="utf-8"))["pid"])
    try:
        return pid, psutil.Process(pid).create_time() <= lock.stat().st_mtime + 1
    except psutil.NoSuchProcess:
        return pid, False


def _salts(stack_file: str) -> list[str]:
    """Return the line with the salt, read as text: a stack file may be no YAML any more."""
    return [line for line in stack_file.splitlines() if line.startswith("encryptionsalt:")]
