"""What others must have made in a cluster: looked for before anything of the stack is made there."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from components import script
from components.cluster import Cluster
from components.objects import Place
from components.script import ScriptArgs
from model.namespaces import Needed


def looked_for(needed: Sequence[Needed], cluster: Cluster) -> Place:
    """Return the place of a cluster where everything waits until that was found.

    Args:
        needed: what must be there.
        cluster: in which.
    """
    place = cluster.place
    if not needed:
        return place
    looking = ScriptArgs(
        module="needs",
        environment={"CLUSTER": place.cluster, "NEEDED": json.dumps([asdict(each) for each in needed])},
        triggers=[place.provider.id],
        kubeconfig=cluster.kubeconfig,
        place=place,
        after=[place.claim] if place.claim else [],
    )
    return place._replace(claim=script.run(f"{place.cluster}-needs", looking, cluster))
