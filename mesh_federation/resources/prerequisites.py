"""Prerequisites: objects of others that a cluster must have before the stack creates anything there."""

from collections.abc import Sequence

import pulumi

from mesh_federation.jobs.prerequisites import JOB, Prerequisite, PrerequisitesSettings
from mesh_federation.resources import job
from mesh_federation.resources.job import JobArgs
from mesh_federation.resources.objects import ClusterTarget


def check_prerequisites(
    needed: Sequence[Prerequisite], kubeconfig: pulumi.Output[str], target: ClusterTarget, parent: pulumi.Resource
) -> ClusterTarget:
    """Check them, and return a target in which everything waits for that check.

    Args:
        needed: objects that must exist.
        kubeconfig: of the cluster.
        target: the cluster.
        parent: component that represents the cluster.
    """
    if not needed:
        return target
    arguments = JobArgs(
        job=JOB,
        settings=PrerequisitesSettings(cluster=target.cluster, needed=tuple(needed)),
        triggers=[target.provider.id],
        kubeconfig=kubeconfig,
        target=target,
        after=[target.claim] if target.claim else [],
    )
    return target._replace(claim=job.run(f"{target.cluster}-needs", arguments, parent))
