"""Twins of authorities of others: certificates that sign themselves, each for one mesh.

Where two meshes have one root, neither may be known by it: it vouches for both. The twin of the authority that signs
for a mesh vouches for that mesh alone.
"""

from collections.abc import Iterator
from pathlib import Path

from mesh_federation.rules.observed import key_of, unfit
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
        if problem := unfit(material) or _signed_by_another(material):
            yield Problem(where, FederationRule.OBSERVED_TWIN, problem, MAKE)
            continue
        [found] = key_material.certificates(material)
        own = key_material.key_of(found)
        if own in taken:
            problem = f"the key of this certificate vouches for {taken[own]} already, as its root or its twin"
            yield Problem(where, FederationRule.OBSERVED_TWIN, problem, MAKE)
        taken[own] = cluster.name


def _signed_by_another(material: bytes) -> str:
    """Say that a certificate is not one that signs itself; empty if it is."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    from mesh_federation.stack import certificates, key_material

    [found] = key_material.certificates(material)
    try:
        found.verify_directly_issued_by(found)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return f"this certificate is signed by {certificates.distinguished_name(found.issuer)} and not by itself"
    named = {each.oid: each.value for each in found.extensions}
    issuer = named.get(x509.AuthorityKeyIdentifier.oid)
    subject = named.get(x509.SubjectKeyIdentifier.oid)
    if isinstance(issuer, x509.AuthorityKeyIdentifier) and issuer.key_identifier != getattr(subject, "digest", None):
        return (
            "this certificate names another key than its own as that of its issuer, so no proxy takes it for an anchor"
        )
    return ""
