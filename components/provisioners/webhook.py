"""Waits until an admission webhook answers: a ready Deployment is not yet an endpoint that the API server reaches.

usage: python3 -m components.provisioners.webhook

Environment:
    WHOSE: how people call the webhook's owner. PROBE: JSON of an object that the webhook admits.
Standard input: the cluster's kubeconfig.

Asks the API server to admit the object without keeping it. Where no webhook is registered (simulated nodes run none)
the first answer is yes.
"""

import os
import subprocess
import sys
import time

from components.provisioners import access, place

TIMEOUT = 180
"""Seconds; a few are usual."""


def main() -> None:
    """Ask until the answer is yes, or end with the API server's last words."""
    with access.kubectl(sys.stdin.read()) as kubectl:
        deadline = time.monotonic() + TIMEOUT
        while (answer := _ask(kubectl)).returncode:
            if time.monotonic() > deadline:
                sys.exit(f"{os.environ['WHOSE']}'s webhook does not answer:\n{answer.stderr}")
            time.sleep(0.5)


def _ask(kubectl: list[str]) -> "subprocess.CompletedProcess[str]":
    return place.ask([*kubectl, "create", "--dry-run=server", "--filename=-"], os.environ["PROBE"])


if __name__ == "__main__":
    main()
