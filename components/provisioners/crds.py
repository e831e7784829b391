"""Applies Istio's custom resource definitions: one server-side apply, as a megabyte a cluster stays out of the state.

usage: python3 -m components.provisioners.crds

Environment:
    CRDS: file with the definitions; variables in it are expanded.
Standard input: the cluster's kubeconfig.
"""

import os
import sys
import tempfile

from components.provisioners import place


def main() -> None:
    """Apply the definitions and wait until the API server serves them."""
    file = os.path.expandvars(os.environ["CRDS"])
    with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig") as kubeconfig:  # mode 0600
        kubeconfig.write(sys.stdin.read())
        kubeconfig.flush()
        kubectl = ["kubectl", f"--kubeconfig={kubeconfig.name}"]
        _run(file, [*kubectl, "apply", "--server-side", "--force-conflicts", f"--filename={file}"])
        wait = ["wait", "--for=condition=Established", "--timeout=60s", f"--filename={file}"]
        _run(file, [*kubectl, *wait])


def _run(file: str, command: list[str]) -> None:
    done = place.ask(command)
    if done.returncode:
        sys.exit(f"{file}: kubectl {command[2]} failed\n{done.stderr}")


if __name__ == "__main__":
    main()
