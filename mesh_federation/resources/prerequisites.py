"""What others must have made in a cluster: looked for before anything of the stack is made there."""

from collections.abc import Sequence

import pulumi

from mesh_federation.jobs.prerequisites import JOB, Prerequisite, PrerequisitesSettings
from mesh_federation.plan.namespaces import Needed
from mesh_federation.resources import job
from mesh_federation.resources.job import JobArgs
from mesh_federation.resources.objects import ClusterTarget


def looked_for(
    needed: Sequence[Needed], kubeconfig: pulumi.Output[str], target: ClusterTarget, parent: pulumi.Resource
) -> ClusterTarget:
    """Return the target with these prerequisites in front of all that is created in it.

    Args:
        needed: what must be there.
        kubeconfig: of the cluster.
        target: the cluster.
        parent: component that represents the cluster.
    """
    if not needed:
        return target
    looking = JobArgs(
        job=JOB,
        settings=PrerequisitesSettings(
            cluster=target.cluster,
            needed=tuple(Prerequisite(each.kind, each.namespace, each.name, each.path) for each in needed),
        ),
        triggers=[target.provider.id],
        kubeconfig=kubeconfig,
        target=target,
        after=[target.claim] if target.claim else [],
    )
    return target._replace(claim=job.run(f"{target.cluster}-needs", looking, parent))
