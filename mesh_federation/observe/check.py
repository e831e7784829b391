"""The check that a mesh of others is still what was observed."""

from collections.abc import Iterator
from functools import partial

from mesh_federation.observe import contents
from mesh_federation.observe.facts import Unobservable, chosen, differences, observation
from mesh_federation.stack.config import ObservedMesh
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.verdict import Verdict, failed, passed

AGAIN = "run mesh observe, look at what changed in its file, then ./mesh up"


def checks(context: Context) -> Iterator[Check]:
    """Return one check for each mesh of others."""
    for cluster in context.clusters.values():
        if mesh := cluster.plan.declared.observed:
            about, what = (cluster.path,), f"{cluster.name}: its mesh, which belongs to others, is as it was observed"
            yield Check("control-planes.observed", about, what, partial(is_current, cluster, mesh))


def is_current(cluster: ClusterUnderTest, declared: ObservedMesh) -> Verdict:
    """Observe a mesh again, and compare."""
    try:
        choose = partial(chosen, revision=declared.revision, namespace=declared.namespace)
        found = observation(contents.read(cluster.kubectl, choose)).mesh
    except Unobservable as reason:
        return failed(reason.problem, f"{reason.fix}; {AGAIN}")
    if changed := list(differences(declared, found)):
        return failed("; ".join(changed), AGAIN)
    return passed(f"Istio {found.version}, trust domain {found.trust_domain}, {len(found.roots)} root(s)")
