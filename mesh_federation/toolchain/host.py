"""The machine that the toolchain is installed on: search path, cache folder, and time limits."""

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

USERS_PULUMI_HOME = "MESH_USERS_PULUMI_HOME"
_ARCH = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def interpreter() -> str:
    """This interpreter under the one name that every program of an environment can agree on.

    `python`, `python3` and `python3.11` lie side by side, and pytest is started with another than `mesh`.
    """
    plain = Path(sys.executable).with_name("python")
    return str(plain) if plain.exists() else sys.executable


@dataclass(frozen=True)
class Patience:
    """How long to wait for a publisher, in seconds.

    Attributes:
        reach: for the first sign of a site, all sites at once.
        stall: for the next bytes of a file.
        attempts: how often a broken download is taken up again.
    """

    reach: float = 3.0
    stall: float = 30.0
    attempts: int = 3


@dataclass(frozen=True)
class Host:
    """Everything that the toolchain reads from its environment.

    Attributes:
        checkout: the project's folder; its pins are the ones that count.
        cache: folder that outlives the checkout.
        path: the search path, as in PATH.
        pulumi_home: the folder in which the user's own Pulumi keeps installed plugins.
        python: interpreter that runs the stand-ins.
        system: Go's name of the operating system.
        arch: Go's name of the processor.
        patience: how long to wait for publishers.
        go: name or path of the Go command.
    """

    checkout: Path
    cache: Path
    path: str
    pulumi_home: Path
    python: str = field(default_factory=interpreter)
    system: str = field(default_factory=lambda: platform.system().lower())
    arch: str = field(default_factory=lambda: _ARCH.get(platform.machine().lower(), platform.machine().lower()))
    patience: Patience = Patience()
    go: str = "go"

    @property
    def pins(self) -> Path:
        """File with every version and checksum."""
        return self.checkout / "mesh_federation" / "toolchain" / "pins.toml"

    @property
    def modules(self) -> Path:
        """Folder with the Go modules that programs are built from."""
        return self.checkout / "mesh_federation" / "toolchain" / "modules"

    @property
    def checksums(self) -> Path:
        """File with the checksum of every official file that was ever used on this machine."""
        return self.cache / "checksums.txt"

    @property
    def launchers(self) -> Path:
        """Folder of this checkout for the executables that start stand-ins."""
        return self.checkout / ".mesh" / "bin"

    @classmethod
    def current(cls, environment: Mapping[str, str] | None = None) -> "Host":
        """Return this machine with this checkout."""
        env = os.environ if environment is None else environment
        checkout = Path(__file__).resolve().parents[2]
        return cls(
            checkout=checkout,
            cache=cache_folder(env),
            path=env.get("PATH", os.defpath),
            pulumi_home=users_pulumi_home({"MESH_HOME": str(checkout / ".mesh"), **env}),
        )


def users_pulumi_home(environment: Mapping[str, str]) -> Path:
    """Return the folder of the user's own Pulumi, never that of a checkout, which `mesh env` sets in a shell."""
    given, mesh = environment.get("PULUMI_HOME"), environment.get("MESH_HOME")
    if not given or (mesh and Path(given) == Path(mesh) / "pulumi"):
        given = environment.get(USERS_PULUMI_HOME)
    return Path(given) if given else Path.home() / ".pulumi"


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return `MESH_CACHE`, or the user's cache folder (XDG Base Directory Specification)."""
    if chosen := environment.get("MESH_CACHE"):
        return Path(chosen).absolute()
    return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "mesh-federation"
