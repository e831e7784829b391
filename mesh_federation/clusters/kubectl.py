"""kubectl on one cluster, by a kubeconfig that is given as text or by the name of the file that holds it.

The kubeconfig of a cluster that exists already is kept in a file, which every run writes anew, and in no state.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mesh_federation import process
from mesh_federation.clusters.workdir import Workdir
from mesh_federation.process import ProcessResult

FOLDER = "clusters"


@dataclass(frozen=True)
class Kubectl:
    """Runs kubectl on one cluster, for jobs and providers: the result is returned as it is, and nothing is cached.

    Checks use `mesh_federation.verify.kubectl.CachedKubectl` instead, which adds cached reads, time
    limits, and types that need packages outside the standard library.

    Attributes:
        kubeconfig: file that leads to the cluster.
    """

    kubeconfig: Path

    def run(self, *words: str, stdin: str = "") -> ProcessResult:
        """Run one command.

        Raises:
            ProgramMissing: there is no kubectl.
        """
        return process.run(["kubectl", f"--kubeconfig={self.kubeconfig}", *words], stdin=stdin)


def reference(name: str) -> str:
    """Return the name of the kept kubeconfig of a cluster, by its real name; the same in any checkout."""
    return f"{FOLDER}/{name}/kubeconfig"


def kept(kubeconfig: str, workdir: Workdir) -> Path | None:
    """Return the file that a kubeconfig names; None if it is the kubeconfig itself."""
    return workdir.home / kubeconfig if kubeconfig.startswith(f"{FOLDER}/") else None


def text(kubeconfig: str, workdir: Workdir) -> str:
    """Return the kubeconfig itself."""
    file = kept(kubeconfig, workdir)
    return file.read_text(encoding="utf-8") if file else kubeconfig


@contextmanager
def connected(kubeconfig: str, workdir: Workdir) -> Iterator[Kubectl]:
    """Yield kubectl on a cluster; a kubeconfig given as text is on disk only meanwhile, mode 0600."""
    if file := kept(kubeconfig, workdir):
        yield Kubectl(file)
        return
    with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig") as written:
        written.write(kubeconfig)
        written.flush()
        yield Kubectl(Path(written.name))
