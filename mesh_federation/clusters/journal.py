"""Journal of the clusters that jobs began to make: an entry in each cluster's folder until that is deleted.

The engine does not know a cluster whose creation was cut short, by Ctrl-C or a kill, so `./mesh` deletes those by
these entries.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from mesh_federation.clusters import workdir
from mesh_federation.clusters.local_cluster import LocalCluster

FILE = "journal.json"


@dataclass(frozen=True)
class JournalEntry:
    """What is needed to delete a cluster.

    Attributes:
        job: that makes and deletes it.
        settings: of the job, as its document has them.
    """

    job: str
    settings: Mapping[str, object]

    @property
    def name(self) -> str:
        """The cluster's real name."""
        return str(self.settings["name"])


def record(cluster: LocalCluster, job: str) -> None:
    """Record that a job begins to make a cluster."""
    workdir.write(file(cluster), json.dumps({"job": job, "settings": asdict(cluster.settings)}, sort_keys=True))


def file(cluster: LocalCluster) -> Path:
    """Return the file of a cluster's entry."""
    return cluster.folder / FILE


def entries(home: Path, stack: str) -> list[JournalEntry]:
    """Return the entries of a stack's clusters.

    Args:
        home: folder for everything that runs.
        stack: name of the Pulumi stack.
    """
    files = sorted(home.glob(f"clusters/*/{FILE}"))
    found = [JournalEntry(**json.loads(each.read_text(encoding="utf-8"))) for each in files]
    return [entry for entry in found if entry.settings.get("stack") == stack]
