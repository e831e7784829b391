"""Waits until istiod has written the trusted roots of now into every namespace.

A restarted istiod writes them a few seconds after it answers. A pod that starts before does not trust it, and hangs
until the kubelet renews its files (44 s were seen). Namespaces without these roots do not count: their pods wait by
themselves, and on simulated nodes nothing reads them.
"""

import json
import sys
from dataclasses import dataclass
from hashlib import sha256

from mesh_federation.clusters.kubectl import Kubectl
from mesh_federation.clusters.workdir import wait_until_complete
from mesh_federation.jobs.job import Job, JobContext

TIMEOUT = 120
"""Seconds; a few are usual."""

GET = ("get", "configmaps", "--all-namespaces", "--field-selector=metadata.name=istio-ca-root-cert", "--output=json")


@dataclass(frozen=True)
class RootDistributionSettings:
    """What every namespace must have.

    Attributes:
        bundle: SHA-256 of the trusted roots.
    """

    bundle: str


def run(settings: RootDistributionSettings, context: JobContext, timeout: float = TIMEOUT) -> None:
    """Look until no namespace has other roots, or end with the names of those that have."""
    with context.kubectl() as kubectl:
        wait_until_complete(lambda: _described(_outdated(settings, kubectl)), timeout)


def _described(outdated: list[str]) -> str:
    names = ", ".join(outdated)
    return names and f"istiod has not written the roots that are trusted now into these namespaces: {names}"


def _outdated(settings: RootDistributionSettings, kubectl: Kubectl) -> list[str]:
    done = kubectl.run(*GET)
    if done.returncode:
        sys.exit(f"cannot look for istiod's ConfigMaps:\n{done.stderr}")
    maps = json.loads(done.stdout)["items"]
    return sorted(each["metadata"]["namespace"] for each in maps if _hash(each["data"]) != settings.bundle)


def _hash(data: dict[str, str]) -> str:
    return sha256(data.get("root-cert.pem", "").encode()).hexdigest()


JOB = Job("root-distribution", RootDistributionSettings, {"": run})
