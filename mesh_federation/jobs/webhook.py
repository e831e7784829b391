"""Waits until an admission webhook answers: a ready Deployment is not yet an endpoint that the API server reaches.

usage: python3 -m mesh_federation.jobs webhook

Environment:
    WHOSE: how people call the webhook's owner. PROBE: JSON of an object that the webhook admits.
Standard input: the cluster's kubeconfig.

Asks the API server to admit the object without keeping it. Where no webhook is registered (simulated nodes run none)
the first answer is yes.
"""

import os
import sys

from mesh_federation.clusters import access, workdir

TIMEOUT = 180
"""Seconds; a few are usual."""


def main() -> None:
    """Ask until the answer is yes, or end with the API server's last words."""
    with access.kubectl(sys.stdin.read()) as kubectl:
        workdir.until_whole(lambda: _refusal(kubectl), TIMEOUT)


def _refusal(kubectl: list[str]) -> str:
    answer = workdir.ask([*kubectl, "create", "--dry-run=server", "--filename=-"], os.environ["PROBE"])
    return f"{os.environ['WHOSE']}'s webhook does not answer:\n{answer.stderr}" if answer.returncode else ""
