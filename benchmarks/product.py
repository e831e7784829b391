"""The product, run as a person runs it, in a checkout of its own."""

import compileall
import json
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from benchmarks import events
from benchmarks.follow import following
from benchmarks.scratch import CHECKOUT, BenchError, clean_environment, printed, run
from mesh_federation.engine.pulumi import Engine
from mesh_federation.engine.workspace import Workspace
from mesh_federation.stack.overlay import VARIABLE as OVERLAY
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.install import Missing, Toolchain, ready

PROGRAM = ("Pulumi.yaml", "__main__.py", "requirements.txt", "components", "mesh_federation")
_SECRET = "4dabf18193072939515e22adb298388d"
"""Key by which the engine marks a secret in its state."""

Body = dict[str, object]


@dataclass(frozen=True)
class Product:
    """One stack in a fresh checkout.

    Attributes:
        checkout: the checkout.
        stack: name of the stack.
        provider: what makes its clusters.
        environment: what its commands are started with.
    """

    checkout: Path
    stack: str
    provider: str
    environment: Mapping[str, str]

    @classmethod
    def fresh(cls, folder: Path, stack: str, provider: str = "kwok") -> "Product":
        """Make a checkout in a folder, compiled as `./mesh` does with its packages, and link the toolchain into it."""
        checkout = folder / "checkout"
        checkout.mkdir()
        for name in (*PROGRAM, f"Pulumi.{stack}.yaml"):
            source = CHECKOUT / name
            if source.is_dir():
                shutil.copytree(source, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, checkout / name)
        (checkout / ".venv").symlink_to(sys.prefix)
        for package in ("mesh_federation", "components"):
            compileall.compile_dir(checkout / package, quiet=1)
        product = cls(checkout, stack, provider, {**clean_environment(folder), "PYTHONPATH": str(checkout)})
        product._mesh("install", provider)
        return product

    def laying(self, overlay: Path) -> "Product":
        """Return the same checkout, run with another overlay."""
        return replace(self, environment={**self.environment, OVERLAY: str(overlay)})

    @cached_property
    def toolchain(self) -> Toolchain:
        """The toolchain, as this checkout finds it."""
        found = ready([self.provider], replace(Host.current(self.environment), checkout=self.checkout))
        if isinstance(found, Missing):
            raise BenchError(str(found))
        return found

    @property
    def engine(self) -> Engine:
        """The engine, to ask about the stack."""
        workspace = Workspace(self.checkout, self.checkout / ".mesh", self.environment)
        return Engine(workspace, self.toolchain, self.stack)

    def up(self) -> tuple[float, list[events.Event]]:
        """Bring the stack up; returns seconds and the engine's events."""
        log = self.checkout / "events.json"
        with following(log) as seen:
            seconds = self.timed("up", "--yes", PULUMI_DEBUG_COMMANDS="true", PULUMI_OPTION_EVENT_LOG=str(log))
        log.unlink()
        if not seen:
            raise BenchError("the engine wrote no event log")
        return seconds, seen

    def answered(self) -> tuple[float, float]:
        """Bring the stack up as `make up` does; returns seconds until the first answered call, and until the end.

        Raises:
            BenchError: it fails, or no call is answered.
        """
        begun = time.monotonic()
        answers = [
            time.monotonic() - begun
            for line in printed(*self._command("up", "--yes", "--call", f"--stack={self.stack}"))
            if line.strip().startswith("200 from ")
        ]
        if not answers:
            raise BenchError("`up --call` told of no call that was answered")
        return answers[0], time.monotonic() - begun

    def preview(self) -> float:
        """Show what an up would do; returns seconds."""
        return self.timed("preview")

    def down(self) -> float:
        """Remove everything; returns seconds."""
        return self.timed("down", "--yes")

    def objects(self) -> dict[str, list[Body]]:
        """Return the bodies of all Kubernetes objects in the stack's state, by cluster."""
        state = json.loads(self.engine.ask("stack", "export", "--show-secrets", f"--stack={self.stack}"))
        made: dict[str, list[Body]] = {}
        for resource in state["deployment"]["resources"]:
            if resource["type"].startswith("kubernetes:"):
                cluster = resource["urn"].split("::")[3].split(":")[0]
                made.setdefault(cluster, []).append(_body(resource["inputs"]))
        return made

    def kubeconfigs(self) -> dict[str, Path]:
        """Return the kubeconfig file of each cluster."""
        folder = self.checkout / ".mesh" / "kubeconfigs" / self.stack
        return {path.name: path for path in sorted(folder.glob("[!.]*"))}

    def timed(self, *command: str, **environment: str) -> float:
        """Run a command of the product on the stack; returns seconds.

        Raises:
            BenchError: it fails.
        """
        begun = time.monotonic()
        self._mesh(*command, f"--stack={self.stack}", **environment)
        return time.monotonic() - begun

    def _mesh(self, *command: str, **environment: str) -> None:
        run(*self._command(*command, **environment))

    def _command(self, *command: str, **environment: str) -> tuple[list[str], Path, dict[str, str]]:
        """Return the command line, the folder and the environment of a command."""
        line = [sys.executable, "-m", "mesh_federation.cli", *command]
        return line, self.checkout, {**self.environment, **environment}


def _body(inputs: Mapping[str, object]) -> Body:
    body = _opened(inputs)
    assert isinstance(body, dict)
    return {key: value for key, value in body.items() if not key.startswith("__")}


def _opened(value: object) -> object:
    """Return a value of the state without the marks of secrets."""
    if isinstance(value, dict):
        if _SECRET in value:
            return json.loads(value["plaintext"])
        return {key: _opened(below) for key, below in value.items()}
    return [_opened(entry) for entry in value] if isinstance(value, list) else value
