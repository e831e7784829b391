"""Waits until an admission webhook answers: a ready Deployment is not yet an endpoint that the API server reaches.

usage: python3 -m components.provisioners.webhook

Environment:
    WHOSE: how people call the webhook's owner. PROBE: JSON of an object that the webhook admits.
Standard input: the cluster's kubeconfig.

Asks the API server to admit the object without keeping it. Where no webhook is registered (simulated nodes run none)
the first answer is yes.
"""

import os
import sys

from components.provisioners import access, place

TIMEOUT = 180
"""Seconds; a few are usual."""


def main() -> None:
    """Ask until the answer is yes, or end with the API server's last words."""
    with access.kubectl(sys.stdin.read()) as kubectl:
        place.until_whole(lambda: _refusal(kubectl), TIMEOUT)


def _refusal(kubectl: list[str]) -> str:
    answer = place.ask([*kubectl, "create", "--dry-run=server", "--filename=-"], os.environ["PROBE"])
    return f"{os.environ['WHOSE']}'s webhook does not answer:\n{answer.stderr}" if answer.returncode else ""


if __name__ == "__main__":
    main()
