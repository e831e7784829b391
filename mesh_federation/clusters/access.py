"""How scripts reach a cluster: by a kubeconfig that they are handed as text, or by the name of the file that has it.

The kubeconfig of a cluster that exists already is kept in a file, which every run reads anew, and in no state.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mesh_federation.clusters import workdir

FOLDER = "clusters"


def reference(name: str) -> str:
    """Return how the kept kubeconfig of a cluster is called, by its real name; the same in any checkout."""
    return f"{FOLDER}/{name}/kubeconfig"


def kept(kubeconfig: str) -> Path | None:
    """Return the file that a kubeconfig names; None where it is the kubeconfig itself."""
    return workdir.home() / kubeconfig if kubeconfig.startswith(f"{FOLDER}/") else None


def text(kubeconfig: str) -> str:
    """Return the kubeconfig itself."""
    file = kept(kubeconfig)
    return file.read_text(encoding="utf-8") if file else kubeconfig


@contextmanager
def kubectl(kubeconfig: str) -> Iterator[list[str]]:
    """Yield the words that begin a command on the cluster; a text is on disk only meanwhile, mode 0600."""
    if there := kept(kubeconfig):
        yield ["kubectl", f"--kubeconfig={there}"]
        return
    with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig") as file:
        file.write(kubeconfig)
        file.flush()
        yield ["kubectl", f"--kubeconfig={file.name}"]
