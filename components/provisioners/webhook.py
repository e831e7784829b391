"""Waits until istiod's webhooks answer: a ready Deployment is not yet an endpoint that the API server reaches.

usage: python3 -m components.provisioners.webhook

Standard input: the cluster's kubeconfig.

Asks the API server to validate an object without keeping it. Where no webhook is registered (simulated nodes run no
istiod) the first answer is yes.
"""

import json
import subprocess
import sys
import tempfile
import time

from components.provisioners import place

TIMEOUT = 180
"""Seconds; a few are usual."""

PROBE = {
    "apiVersion": "security.istio.io/v1",
    "kind": "PeerAuthentication",
    "metadata": {"name": "mesh-federation-probe", "namespace": "istio-system"},
    "spec": {"mtls": {"mode": "STRICT"}},
}


def main() -> None:
    """Ask until the answer is yes, or end with the API server's last words."""
    with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig") as kubeconfig:  # mode 0600
        kubeconfig.write(sys.stdin.read())
        kubeconfig.flush()
        deadline = time.monotonic() + TIMEOUT
        while (answer := _ask(kubeconfig.name)).returncode:
            if time.monotonic() > deadline:
                sys.exit(f"istiod's webhook does not answer:\n{answer.stderr}")
            time.sleep(0.5)


def _ask(kubeconfig: str) -> "subprocess.CompletedProcess[str]":
    command = ["kubectl", f"--kubeconfig={kubeconfig}", "create", "--dry-run=server", "--filename=-"]
    return place.ask(command, json.dumps(PROBE))


if __name__ == "__main__":
    main()
