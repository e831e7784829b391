"""What others must have made in a cluster: looked for before anything of the stack is made there."""

import json
from collections.abc import Sequence
from dataclasses import asdict

import pulumi

from mesh_federation.plan.namespaces import Needed
from mesh_federation.resources import job
from mesh_federation.resources.job import JobArgs
from mesh_federation.resources.objects import ClusterTarget


def looked_for(
    needed: Sequence[Needed], kubeconfig: pulumi.Output[str], place: ClusterTarget, parent: pulumi.Resource
) -> ClusterTarget:
    """Return the place of a cluster where everything waits until that was found.

    Args:
        needed: what must be there.
        kubeconfig: of the cluster.
        place: the cluster.
        parent: component that represents the cluster.
    """
    if not needed:
        return place
    looking = JobArgs(
        job="prerequisites",
        environment={"CLUSTER": place.cluster, "NEEDED": json.dumps([asdict(each) for each in needed])},
        triggers=[place.provider.id],
        kubeconfig=kubeconfig,
        place=place,
        after=[place.claim] if place.claim else [],
    )
    return place._replace(claim=job.run(f"{place.cluster}-needs", looking, parent))
