"""What the conformance cases run against: the stand-ins, and the official plugins where the machine has them."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
STAND_IN = "stand-in"
OFFICIAL = "official"


@dataclass(frozen=True)
class Implementation:
    """One program that serves a provider.

    Attributes:
        origin: `stand-in` or `official`.
        arguments: its command line.
    """

    origin: str
    arguments: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        """Environment to start it in."""
        return os.environ | ({"PYTHONPATH": str(CHECKOUT)} if self.origin == STAND_IN else {})


def stand_in(name: str) -> Implementation:
    """The project's own plugin of that name."""
    return Implementation(STAND_IN, (sys.executable, "-m", f"mesh_federation.toolchain.standins.{name}"))


def official(name: str) -> Implementation | None:
    """The official plugin, on PATH or among the plugins that Pulumi has installed."""
    program = f"pulumi-resource-{name}"
    home = Path(os.environ.get("PULUMI_HOME", Path.home() / ".pulumi"))
    folders = [*map(Path, os.get_exec_path()), *sorted((home / "plugins").glob(f"resource-{name}-v*"))]
    for found in (folder / program for folder in folders):
        if found.is_file() and os.access(found, os.X_OK) and not _launcher(found):
            return Implementation(OFFICIAL, (str(found),))
    return None


def _launcher(program: Path) -> bool:
    """A script starts a stand-in; the official plugins are binaries."""
    with program.open("rb") as stream:
        return stream.read(2) == b"#!"


def found(name: str) -> list[Implementation]:
    """Every implementation of a plugin on this machine."""
    return [each for each in (stand_in(name), official(name)) if each is not None]
