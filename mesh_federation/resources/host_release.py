"""Host release: one object of a cluster owns a host at a time, as the behaviour of two is undefined in Istio."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import local

from mesh_federation.jobs.host_release import JOB, HostReleaseSettings
from mesh_federation.resources import job
from mesh_federation.resources.job import JobArgs
from mesh_federation.resources.objects import ClusterTarget


@dataclass(frozen=True)
class HostReleaseArgs:
    """A host and its next owner.

    Attributes:
        host: its name.
        service: namespace/name of the Service that would have it; None where no Service can.
        owner: the only object that may have it from now on, as `Kind namespace/name`.
        kubeconfig: of the cluster; secret.
        target: the cluster.
        after: resources that must exist before: nobody answers from here until the next owner exists.
    """

    host: str
    service: str | None
    owner: str
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    after: Sequence[pulumi.Resource]


def release_host(name: str, args: HostReleaseArgs, parent: pulumi.Resource) -> local.Command:
    """Delete the stack's objects that own a host, at the last moment."""
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

    arguments = JobArgs(
        job=JOB,
        settings=target.owner.apply(settings) if target.owner else settings(""),
        triggers=[target.provider.id],
        kubeconfig=args.kubeconfig,
        target=target,
        after=args.after,
    )
    return job.run(name, arguments, parent)
