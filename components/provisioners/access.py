"""How scripts reach a cluster whose kubeconfig they are handed as text."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kubectl(kubeconfig: str) -> Iterator[list[str]]:
    """Yield the words that begin a command on the cluster; the kubeconfig is on disk only meanwhile, mode 0600."""
    with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig") as file:
        file.write(kubeconfig)
        file.flush()
        yield ["kubectl", f"--kubeconfig={file.name}"]
