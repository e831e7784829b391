"""A checkout's own folder: where its state, control planes and plugins are, and the environment that Pulumi needs.

Everything that `mesh` makes in a checkout is below one ignored folder, so two checkouts never meet.
"""

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mesh_federation.clusters import workdir
from mesh_federation.stack import stack_file
from mesh_federation.stack.overlay import VARIABLE as OVERLAY
from mesh_federation.stack.overlay import chosen
from mesh_federation.toolchain.host import USERS_PULUMI_HOME, users_pulumi_home

if TYPE_CHECKING:
    from mesh_federation.toolchain.install import Toolchain
    from mesh_federation.toolchain.locate import Located

PROJECT = "mesh-federation"
BACKEND = "PULUMI_BACKEND_URL"
PASSPHRASE = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")
STATE_FILES = (".json", ".json.gz")
"""Suffixes of a stack's state in a file backend; `.bak` is the state before."""
OWN_STATE = "this checkout's own state"
SALT = "encryptionsalt:"
"""Prefix of the line of a stack file that holds the salt of its secrets."""


@dataclass(frozen=True)
class Workspace:
    """One checkout.

    Attributes:
        checkout: the project's folder.
        home: folder for everything that runs; MESH_HOME.
        ambient: the environment that `mesh` was started with.
    """

    checkout: Path
    home: Path
    ambient: Mapping[str, str]

    @classmethod
    def current(cls) -> "Workspace":
        """Return the checkout that contains this program."""
        checkout = Path(__file__).resolve().parents[2]
        ambient = _without_other_checkout(os.environ, checkout)
        home = Path(ambient.get("MESH_HOME") or checkout / ".mesh").resolve()
        return cls(checkout, home, ambient)

    def is_checkout(self) -> bool:
        """Return whether this is a checkout with the Pulumi program, and not an installed package."""
        return (self.checkout / "Pulumi.yaml").exists()

    @property
    def pulumi_home(self) -> Path:
        """PULUMI_HOME: plugins and the default stack."""
        return self.home / "pulumi"

    @property
    def projects(self) -> Path:
        """Folder with the engine's copies of the stack files, which also hold the salts of their secrets."""
        return self.home / "project"

    @property
    def overlay(self) -> Path | None:
        """The overlay of every stack file; None if there is none."""
        return chosen(self.ambient)

    def laying(self, file: Path | None) -> "Workspace":
        """Return the checkout with this overlay, or with the environment's if no file is given."""
        return replace(self, ambient={**self.ambient, OVERLAY: str(file)}) if file else self

    def stack_file(self, stack: str) -> Path:
        """The stack file that the user edits."""
        return stack_file.path(self.checkout, stack)

    def stacks(self) -> list[str]:
        """Names of the checkout's stack files."""
        return sorted(path.stem.removeprefix("Pulumi.") for path in self.checkout.glob("Pulumi.*.yaml"))

    def stack_files(self) -> dict[str, Path]:
        """The checkout's stack files, by the names of the stacks."""
        return {stack: self.stack_file(stack) for stack in self.stacks()}

    def uses_own_state(self) -> bool:
        """Return whether the state is in the checkout: no backend is configured, nor is the user logged in to one."""
        backend = self.ambient.get(BACKEND)
        if not backend:
            return not self._logged_in()
        return backend == self._backend()  # named by `mesh env`

    def backend_note(self, stack: str) -> Path:
        """The file that records which backend has a stack's state."""
        return self.projects / f"{stack}.backend"

    def applied_note(self, stack: str) -> Path:
        """The file that records which declaration a stack's state has in full."""
        return self.projects / f"{stack}.applied"

    def with_own_state(self) -> "Workspace":
        """Return the checkout with its own state, even if the user is logged in to another backend."""
        return replace(self, ambient={**self.ambient, BACKEND: self._backend()})

    def backend(self) -> str:
        """Return the backend in use, without credentials; the checkout's own has a fixed name, as it may move."""
        if self.uses_own_state():
            return OWN_STATE
        url = urlsplit(self.ambient.get(BACKEND) or self._login())
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"

    def state(self) -> Path:
        """Folder of the checkout's own state backend."""
        return self.home / "state"

    def states(self) -> Path:
        """Folder of the states of this project's stacks in it."""
        return self.state() / ".pulumi" / "stacks" / PROJECT

    def own_state(self, stack: str) -> Path | None:
        """The file of a stack's state in the checkout's own backend; None if there is none."""
        files = (self.states() / f"{stack}{ending}" for ending in STATE_FILES)
        return next((file for file in files if file.exists()), None)

    def environment(self, toolchain: "Toolchain") -> dict[str, str]:
        """Return the environment in which `pulumi` works in this checkout.

        The folders and the passphrase it names are made by `prepare`.
        """
        python = self.checkout / ".venv" / "bin"
        tools = toolchain.environment()
        launchers = [str(toolchain.launchers)] if toolchain.launchers else []
        own = {
            **tools,
            "PATH": os.pathsep.join([str(python), *launchers, tools["PATH"]]),
            "MESH_CHECKOUT": str(self.checkout),
            "MESH_HOME": str(self.home),
            "PULUMI_HOME": str(self.pulumi_home),
            USERS_PULUMI_HOME: str(self._their_home()),
            # All plugins are in PULUMI_HOME; the engine warns of each one that it meets on PATH.
            "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
            "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
        }
        if self.overlay:
            own[OVERLAY] = str(self.overlay)
        if self.uses_own_state():
            own[BACKEND] = self._backend()
        if not any(name in self.ambient for name in PASSPHRASE):
            own["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(self.passphrase())
        return own

    def prepare(self, toolchain: "Toolchain") -> None:
        """Create what `environment` names, readable only by its owner."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.home.parent == self.checkout:
            self.home.chmod(0o700)  # the toolchain may have made it
        with workdir.locked(self.home / "prepare.lock"):  # several stacks may be opened at once
            self._prepare(toolchain)

    def _prepare(self, toolchain: "Toolchain") -> None:
        self.state().mkdir(exist_ok=True)
        self.projects.mkdir(exist_ok=True)
        project = (self.checkout / "Pulumi.yaml").read_text(encoding="utf-8")
        workdir.write(self.projects / "Pulumi.yaml", project)  # in one step: engines of other stacks read it
        if self.lacks_passphrase() and not self._has_stacks():
            _write_secret(self.passphrase(), secrets.token_urlsafe(32))
        self._link_credentials()
        self._keep_no_log()
        for piece in toolchain.pieces:
            if piece.piece.startswith(("pulumi-resource-", "pulumi-language-")):
                self._offer_plugin(piece)

    def _backend(self) -> str:
        """Return the URL of the state folder.

        Without metadata: it is written beside each file in two steps, and an engine killed between them leaves a state
        that no engine loads ("failed to load checkpoint: EOF").
        """
        return f"{self.state().as_uri()}?metadata=skip"

    def passphrase(self) -> Path:
        """File of the checkout's own passphrase."""
        return self.home / "passphrase"

    def lacks_passphrase(self) -> bool:
        """Return whether the checkout's own passphrase is needed but missing."""
        named = {name: self.ambient[name] for name in PASSPHRASE if name in self.ambient}
        own = {"PULUMI_CONFIG_PASSPHRASE_FILE": str(self.passphrase())}  # named by `mesh env`
        return named in ({}, own) and not self.passphrase().exists()

    def _has_stacks(self) -> bool:
        """Return whether something is already encrypted with a passphrase, which a new one could not decrypt."""
        copies = (file.read_text(encoding="utf-8", errors="replace") for file in self.projects.glob("Pulumi.*.yaml"))
        return any(self.states().glob("*.json*")) or any(f"\n{SALT}" in f"\n{copy}" for copy in copies)

    def _offer_plugin(self, piece: "Located") -> None:
        """Link a plugin or a language host into the folder in which the engine looks for installed ones."""
        kind = piece.piece.removeprefix("pulumi-")
        folder = self.pulumi_home / "plugins" / f"{kind}-v{piece.version}"
        if kind.startswith("language-"):  # of these the engine asks for no version: it takes the newest
            for other in folder.parent.glob(f"{kind}-v*"):
                if other != folder and other.is_dir():  # the engine keeps files beside them
                    shutil.rmtree(other)
        folder.mkdir(parents=True, exist_ok=True)
        _symlink(piece.path, folder / piece.piece)

    def _link_credentials(self) -> None:
        """Link the user's login into our PULUMI_HOME."""
        theirs = self._their_home() / "credentials.json"
        self.pulumi_home.mkdir(exist_ok=True)
        if theirs.exists() and not self.uses_own_state():
            _symlink(theirs, self.pulumi_home / "credentials.json")

    def _keep_no_log(self) -> None:
        """Put /dev/null where the engine makes a folder for the log of every command; it goes on without.

        The log repeats all that providers are told, and writing it takes a fifth of the processor time of an `up` that
        changes nothing.
        """
        log = self.pulumi_home / "logs"
        if log.is_dir() and not log.is_symlink():  # of an earlier version of this program
            shutil.rmtree(log)
        _symlink(Path(os.devnull), log)

    def _logged_in(self) -> bool:
        return bool(self._login())

    def _login(self) -> str:
        """Return the backend that the user is logged in to; empty if there is none."""
        try:
            credentials = json.loads((self._their_home() / "credentials.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return ""
        return str(credentials.get("current") or "")

    def _their_home(self) -> Path:
        return users_pulumi_home({**self.ambient, "MESH_HOME": str(self.home)})


def _without_other_checkout(ambient: Mapping[str, str], checkout: Path) -> dict[str, str]:
    """Remove what `mesh env` of another checkout set, as this checkout has another state."""
    other, home = ambient.get("MESH_CHECKOUT"), ambient.get("MESH_HOME")
    if not other or not home or Path(other) == checkout:
        return dict(ambient)
    return {name: value for name, value in ambient.items() if home not in value and other != value}


def _symlink(target: Path, link: Path) -> None:
    if target != link and not (link.is_symlink() and link.readlink() == target):
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def _write_secret(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
