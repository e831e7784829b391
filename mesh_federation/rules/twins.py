"""Twins of authorities of others: certificates that sign themselves, each for one mesh.

Where two meshes have one root, neither may be known by it: it vouches for both. The twin of the authority that signs
for a mesh vouches for that mesh alone.
"""

from collections.abc import Iterator
from pathlib import Path

from mesh_federation.rules import anchors
from mesh_federation.rules.observed import key_of
from mesh_federation.stack.config import Federation
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule

WITHOUT_EFFECT = "has no effect: this stack makes twins of the authorities that it has by itself"
MAKE = "let the owner of the mesh make it from certificate and key of its authority: ./mesh twin ca-cert.pem ca-key.pem"


def check(federation: Federation, base: Path) -> Iterator[Problem]:
    """A twin vouches for one mesh alone, and proxies take only certificates that sign themselves for anchors.

    Args:
        federation: the model.
        base: the folder that paths are relative to.
    """
    taken: dict[bytes, str] = {}
    for cluster in federation.clusters.values():
        where = f"{cluster.path}.istio.twin"
        if cluster.istio.twin is None:
            continue
        if cluster.istio.install:
            yield Problem(where, FederationRule.KEY_WITHOUT_EFFECT, WITHOUT_EFFECT, "remove it")
            continue
        from mesh_federation.stack import key_material  # takes longer to load than all other checks together

        taken = taken or {key_of(root): name for name, roots in federation.roots_of_others.items() for root in roots}
        try:
            material = key_material.content(cluster.istio.twin, base)
        except key_material.UnusableMaterial as unusable:
            yield unusable.problem_at(where)
            continue
        if unfit := next(anchors.problems(material, cluster.trust_domain), None):
            yield Problem(where, FederationRule.OBSERVED_TWIN, unfit.what, MAKE)
            continue
        [found] = key_material.certificates(material)
        own = key_material.key_of(found)
        if own in taken:
            problem = f"the key of this certificate vouches for {taken[own]} already, as its root or its twin"
            yield Problem(where, FederationRule.OBSERVED_TWIN, problem, MAKE)
        taken[own] = cluster.name
