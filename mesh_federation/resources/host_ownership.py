"""Who has a host: one object of a cluster at a time, as two of them are undefined in Istio."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import local

from mesh_federation.jobs.host_release import JOB, HostReleaseSettings
from mesh_federation.resources import job
from mesh_federation.resources.job import JobArgs
from mesh_federation.resources.objects import ClusterTarget


@dataclass(frozen=True)
class OwnershipArgs:
    """What must be known to free a host.

    Attributes:
        host: its name.
        service: namespace/name of the Service that would have it; None where no Service can.
        owner: the only object that may have it from now on, as `Kind namespace/name`.
        kubeconfig: of the cluster; secret.
        target: the cluster.
        after: what must exist before: from here until its next owner comes, nobody answers.
    """

    host: str
    service: str | None
    owner: str
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    after: Sequence[pulumi.Resource]


def free(name: str, args: OwnershipArgs, parent: pulumi.Resource) -> local.Command:
    """Take a host from whoever had it, at the last moment."""
    target = args.target

    def settings(owner_id: str) -> HostReleaseSettings:
        return HostReleaseSettings(
            cluster=target.cluster,
            stack=target.stack,
            owner_id=owner_id,
            host=args.host,
            service=args.service or "",
            owner=args.owner,
        )

    freeing = JobArgs(
        job=JOB,
        settings=target.owner.apply(settings) if target.owner else settings(""),
        triggers=[target.provider.id],
        kubeconfig=args.kubeconfig,
        target=target,
        after=args.after,
    )
    return job.run(name, freeing, parent)
