"""Notes of the clusters that scripts began to make, each in the cluster's folder until that is deleted.

The engine knows no cluster whose making was cut short, by Ctrl-C or a kill, so `./mesh` removes those by these notes.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from components.provisioners import place

LAB = "LAB_"
"""How the names of settings begin that tell a script of the lab's Docker network."""


@dataclass(frozen=True)
class Note:
    """What is needed to remove a cluster.

    Attributes:
        name: the cluster's real name.
        script: module that makes and deletes it.
        environment: settings of the script, the stack's name among them.
    """

    name: str
    script: str
    environment: Mapping[str, str]


def note(name: str, script: str) -> None:
    """Write down that a script begins to make a cluster."""
    given = {key: value for key, value in os.environ.items() if key in ("CLUSTER", "STACK") or key.startswith(LAB)}
    place.write(file(name), json.dumps(asdict(Note(name, script, given))))


def file(name: str) -> Path:
    """Return the file of a cluster's note."""
    return place.folder(name) / "begun"


def notes(home: Path, stack: str) -> list[Note]:
    """Return the notes of a stack's clusters."""
    written = (Note(**json.loads(each.read_text(encoding="utf-8"))) for each in sorted(home.glob("clusters/*/begun")))
    return [note for note in written if note.environment.get("STACK") == stack]
