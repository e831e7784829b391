"""Applies Istio's custom resource definitions: one server-side apply, as a megabyte a cluster stays out of the state.

usage: python3 -m components.provisioners.crds

Environment:
    CRDS: file with the definitions.
Standard input: the cluster's kubeconfig.
"""

import os
import sys
import tempfile

from components.provisioners import place


def main() -> None:
    """Apply the definitions and wait until the API server serves them."""
    with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig") as kubeconfig:  # mode 0600
        kubeconfig.write(sys.stdin.read())
        kubeconfig.flush()
        kubectl = ["kubectl", f"--kubeconfig={kubeconfig.name}"]
        _run([*kubectl, "apply", "--server-side", "--force-conflicts", f"--filename={os.environ['CRDS']}"])
        wait = ["wait", "--for=condition=Established", "--timeout=60s", f"--filename={os.environ['CRDS']}"]
        _run([*kubectl, *wait])


def _run(command: list[str]) -> None:
    done = place.ask(command)
    if done.returncode:
        sys.exit(f"{os.environ['CRDS']}: kubectl {command[2]} failed\n{done.stderr}")


if __name__ == "__main__":
    main()
