"""Waits until istiod has told every namespace which roots are trusted now.

usage: python3 -m mesh_federation.jobs root-distribution

Environment:
    ROOTS: SHA-256 of the bundle.
Standard input: the cluster's kubeconfig.

A restarted istiod writes them a few seconds after it answers. A pod that starts before does not trust it, and hangs
until the kubelet renews its files (44 s were seen). Namespaces that were told nothing yet do not count: their pods wait
by themselves, and on simulated nodes there is nobody to tell them.
"""

import json
import os
import sys
from hashlib import sha256

from mesh_federation.clusters import access, workdir

TIMEOUT = 120
"""Seconds; a few are usual."""

GET = ("get", "configmaps", "--all-namespaces", "--field-selector=metadata.name=istio-ca-root-cert", "--output=json")


def main() -> None:
    """Look until no namespace has other roots, or end with the names of those that have."""
    with access.kubectl(sys.stdin.read()) as kubectl:
        workdir.until_whole(lambda: _untold(kubectl), TIMEOUT)


def _untold(kubectl: list[str]) -> str:
    outdated = ", ".join(_outdated(kubectl))
    return outdated and f"istiod has not told these namespaces which roots are trusted now: {outdated}"


def _outdated(kubectl: list[str]) -> list[str]:
    done = workdir.ask([*kubectl, *GET])
    if done.returncode:
        sys.exit(f"cannot look for istiod's ConfigMaps:\n{done.stderr}")
    maps = json.loads(done.stdout)["items"]
    return sorted(each["metadata"]["namespace"] for each in maps if _hash(each["data"]) != os.environ["ROOTS"])


def _hash(data: dict[str, str]) -> str:
    return sha256(data.get("root-cert.pem", "").encode()).hexdigest()
