"""The checkout and the toolchain that commands work with: those of this process, or a test's own."""

from collections.abc import Callable, Collection
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mesh_federation.engine.workspace import Workspace

if TYPE_CHECKING:
    from mesh_federation.toolchain.install import Choice, Missing, Report, Toolchain


class Ready(Protocol):
    """Looks for a complete toolchain."""

    def __call__(self, providers: Collection[str], *, pieces: "Choice") -> "Toolchain | Missing":
        """Return the toolchain, or what is missing."""


class Get(Protocol):
    """Installs a toolchain."""

    def __call__(self, providers: Collection[str], report: "Report", *, pieces: "Choice") -> "Toolchain":
        """Install what is missing, and return the toolchain."""


def _ready(providers: Collection[str], *, pieces: "Choice") -> "Toolchain | Missing":
    from mesh_federation.toolchain.install import ready  # few commands need it

    return ready(providers, pieces=pieces)


def _get(providers: Collection[str], report: "Report", *, pieces: "Choice") -> "Toolchain":
    from mesh_federation.toolchain.install import install

    return install(providers, report, pieces=pieces)


@dataclass(frozen=True)
class Surroundings:
    """What commands find around them.

    Attributes:
        workspace: returns the checkout.
        ready: looks for the toolchain.
        get: installs the toolchain.
    """

    workspace: Callable[[], Workspace] = Workspace.current
    ready: Ready = _ready
    get: Get = _get


CURRENT: ContextVar[Surroundings] = ContextVar("CURRENT", default=Surroundings())  # noqa: B039 - it is frozen
"""Set by `main` for the command that it runs: Typer calls commands with the words of the command line alone."""
