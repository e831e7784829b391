"""Notes of the clusters that scripts began to make, each in the cluster's folder until that is deleted.

The engine knows no cluster whose making was cut short, by Ctrl-C or a kill, so `./mesh` removes those by these notes.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from mesh_federation.clusters import workdir

LAB = "LAB_"
"""How the names of settings begin that tell a script of the lab's Docker network."""


@dataclass(frozen=True)
class Note:
    """What is needed to remove a cluster.

    Attributes:
        name: the cluster's real name.
        job: that makes and deletes it.
        environment: settings of the job, the stack's name among them.
    """

    name: str
    job: str
    environment: Mapping[str, str]


def note(name: str, job: str) -> None:
    """Write down that a job begins to make a cluster."""
    given = {key: value for key, value in os.environ.items() if key in ("CLUSTER", "STACK") or key.startswith(LAB)}
    workdir.write(file(name), json.dumps(asdict(Note(name, job, given))))


def file(name: str) -> Path:
    """Return the file of a cluster's note."""
    return workdir.folder(name) / "begun"


def notes(home: Path, stack: str) -> list[Note]:
    """Return the notes of a stack's clusters."""
    written = (Note(**json.loads(each.read_text(encoding="utf-8"))) for each in sorted(home.glob("clusters/*/begun")))
    return [note for note in written if note.environment.get("STACK") == stack]
