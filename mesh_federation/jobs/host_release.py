"""Frees the host of an import for its next owner: Istio does not define a host with both a Service and a ServiceEntry.

Owners that this stack made are deleted; the job ends with the names of others, and then changes nothing. Source:
walk-through pitfall 14. The engine deletes after it has created, so without this step both would be there for seconds.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from mesh_federation.clusters.kubectl import Kubectl
from mesh_federation.jobs.job import Job, JobContext
from mesh_federation.jobs.ownership_check import Found, is_ours

KINDS = {"Service": "services", "ServiceEntry": "serviceentries.networking.istio.io"}


class Owner(NamedTuple):
    """An object that has the host."""

    kind: str
    namespace: str
    name: str
    ours: bool

    def __str__(self) -> str:
        """Return it as the settings write an owner."""
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class HostReleaseSettings:
    """Which host, and whose it is to be.

    Attributes:
        cluster: where, by the logical name.
        stack: name of the Pulumi stack.
        owner_id: in a cluster that is not ours, the label of this stack's objects; else empty.
        host: the host.
        service: namespace/name of the Service that would have it; empty if none can.
        owner: the only object that may have it from now on, as `Kind namespace/name`.
    """

    cluster: str
    stack: str
    owner_id: str
    host: str
    service: str
    owner: str


def run(settings: HostReleaseSettings, context: JobContext) -> None:
    """Delete every other owner of the host, or end with the names of those that are not ours to delete."""
    with context.kubectl() as kubectl:
        others = [owner for owner in _owners(settings, kubectl) if str(owner) != settings.owner]
        _refuse_foreign(settings, [owner for owner in others if not owner.ours])
        for owner in others:
            which = (KINDS[owner.kind], owner.name, f"--namespace={owner.namespace}")
            _kubectl(settings, kubectl, "delete", *which, "--ignore-not-found")


def _owners(settings: HostReleaseSettings, kubectl: Kubectl) -> Iterator[Owner]:
    namespace, _, name = settings.service.partition("/")
    if name:
        which = (f"--namespace={namespace}", f"--field-selector=metadata.name={name}")
        services = json.loads(_kubectl(settings, kubectl, "get", "services", *which, "-o=json"))["items"]
        yield from (_owner(settings, "Service", service) for service in services)
    listed = _kubectl(settings, kubectl, "get", KINDS["ServiceEntry"], "--all-namespaces", "-o=json")
    entries = (entry for entry in json.loads(listed)["items"] if settings.host in entry["spec"]["hosts"])
    yield from (_owner(settings, "ServiceEntry", entry) for entry in entries)


def _owner(settings: HostReleaseSettings, kind: str, found: Found) -> Owner:
    metadata = found["metadata"]
    return Owner(kind, metadata["namespace"], metadata["name"], is_ours(found, settings.stack, settings.owner_id))


def _refuse_foreign(settings: HostReleaseSettings, foreign: list[Owner]) -> None:
    if foreign:
        cluster, host, owner = settings.cluster, settings.host, settings.owner
        named = ", ".join(map(str, foreign))
        here = any(each.kind == "Service" for each in foreign)
        fix = "write `as: local`, so that calls go to its pods too, or remove it" if here else "remove it"
        sys.exit(
            f"{cluster} already has {named}, which this stack did not make. {host} would belong to that and to {owner},"
            f" which Istio leaves undefined.\n-> {fix}"
        )


def _kubectl(settings: HostReleaseSettings, kubectl: Kubectl, *words: str) -> str:
    done = kubectl.run(*words)
    if done.returncode:
        sys.exit(f"cannot {words[0]} the owners of {settings.host} in {settings.cluster}:\n{done.stderr}")
    return done.stdout


JOB = Job("host-release", HostReleaseSettings, {"": run})
