"""A job: its name, the type of its settings, and what it can do."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from mesh_federation import document
from mesh_federation.clusters import kubectl
from mesh_federation.clusters.kubectl import Kubectl
from mesh_federation.clusters.workdir import Workdir

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ENTRY = "mesh_federation.jobs"
"""The module that runs every job."""
PREVIOUS = "PULUMI_COMMAND_STDOUT"
"""The variable in which the Command provider gives a job what it printed when it was last run."""

Settings = TypeVar("Settings", bound="DataclassInstance")


@dataclass(frozen=True)
class JobContext:
    """What a job is given beside its settings; the entry makes it from the process.

    Attributes:
        stdin: standard input: a kubeconfig, or what the job says.
        workdir: the folders of this checkout.
        previous: what the last run of the same Command printed; empty if there was none.
        folders: folders and documents of the toolchain, by the variable that names each.
    """

    stdin: str
    workdir: Workdir
    previous: str = ""
    folders: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def kubectl(self) -> Iterator[Kubectl]:
        """Yield kubectl on the cluster whose kubeconfig is on standard input."""
        with kubectl.connected(self.stdin, self.workdir) as connected:
            yield connected


@dataclass(frozen=True)
class Job(Generic[Settings]):
    """One kind of one-shot work.

    Attributes:
        name: the word for it on the command line; it is in users' state and never changes.
        settings: the dataclass that its document is read into.
        actions: what it does, by the word for it; a job that does one thing has the empty word.
    """

    name: str
    settings: type[Settings]
    actions: Mapping[str, Callable[[Settings, JobContext], None]]

    def command(self, action: str = "") -> str:
        """Return the command line of an action, as Command resources have it."""
        assert action in self.actions
        return " ".join(["python3", "-m", ENTRY, self.name, *([action] if action else [])])

    def read(self, text: str) -> Settings:
        """Read the settings from a document.

        Raises:
            DocumentError: the document is not what the job needs.
        """
        return document.read(self.settings, text)


def parse(line: str) -> tuple[str, str] | None:
    """Return the job and the action of a command line; None if it runs no job."""
    words = line.split()
    if words[1:3] != ["-m", ENTRY] or len(words) not in (4, 5):
        return None
    return words[3], words[4] if len(words) == 5 else ""
