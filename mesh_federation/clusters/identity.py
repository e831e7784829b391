"""Which cluster a kubeconfig leads to: the UID of namespace kube-system is made with a cluster and ends with it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from mesh_federation.clusters.kubectl import Kubectl

UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SECRETS = {"token", "password", "client-key-data", "client-certificate-data", "value"}
"""Keys of a kubeconfig whose values are never shown; `value` is what a plugin gets in its environment."""
SILENT = 4
"""Exit status by which a job says that its cluster does not answer."""
SHORTEST = 6
"""Characters: shorter values are in ordinary words too."""


class Silent(Exception):
    """A cluster that does not say which one it is; the text has kubectl's words."""


def ask(kubeconfig: Path, seconds: int = 20) -> str:
    """Return the UID of the cluster that a kubeconfig leads to.

    Raises:
        Silent: it does not answer, or not to us.
    """
    words = ("get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}", f"--request-timeout={seconds}s")
    done = Kubectl(kubeconfig).run(*words)
    if done.returncode:
        raise Silent(masked(done.stderr.strip(), kubeconfig))
    return done.stdout.strip()


def masked(text: str, kubeconfig: Path) -> str:
    """Take the credentials of a kubeconfig, JSON, out of a text: a plugin may say what it was given."""
    try:
        given = json.loads(kubeconfig.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return text
    for secret in sorted(set(_secrets(given)), key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    return text


def _secrets(tree: object) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key in SECRETS and isinstance(value, str) and len(value) >= SHORTEST:
                yield value
            yield from _secrets(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _secrets(value)
