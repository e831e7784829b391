"""What vouches for the mesh of others at our proxies: a certificate that Envoy takes for an anchor, and cannot misread.

Envoy (BoringSSL) verifies what such an anchor signs, and names it to every caller of an exported workload. Istiod does
not sign with it here, so keys that istiod cannot use are no problem.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import AuthorityRule, FederationRule

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MOST_BYTES = 16 * 1024
"""Of a certificate as DER: real roots have one or two thousand."""
MOST_BYTES_OF_NAME = 512
"""Of a subject as DER. Envoy sends the names of all anchors of a workload in one list of at most 64 KiB (RFC 8446,
4.2.4); a longer one breaks the handshake of each of its callers, those of the own mesh too."""
OUTDATED = (AuthorityRule.PROVIDED_EXPIRED, AuthorityRule.PROVIDED_NOT_YET_VALID)


def problems(material: bytes, trust_domain: str) -> Iterator[Problem]:
    """Yield why no proxy would accept what an authority signs for a mesh; each without a place, which the caller knows.

    Args:
        material: PEM text, or the content of a DER file.
        trust_domain: of the mesh.
    """
    from mesh_federation.rules import name_constraints  # cryptography takes time to load
    from mesh_federation.stack import certificates, key_material

    try:
        found = key_material.certificates(material)
    except key_material.UnusableMaterial as unusable:
        yield _problem(f"this is not one certificate: {unusable.problem}")
        return
    if len(found) != 1:
        yield _problem(f"this is not one certificate, but {len(found)}")
        return
    [anchor] = found
    yield from map(_problem, _oversized(anchor))
    if anchor.issuer != anchor.subject:
        issuer = certificates.distinguished_name(anchor.issuer)
        yield _problem(f"this certificate is signed by {issuer} and not by itself, so no proxy takes it for an anchor")
    elif named := certificates.identifier_mismatch(anchor, anchor):
        yield _problem(
            f"this certificate names {named} than its own for its issuer, so no proxy takes it for an anchor"
        )
    yield from certificates.problems_of_anchor("", anchor)
    yield from name_constraints.problems([("", anchor)], [name_constraints.workloads_of(trust_domain)])


def _problem(what: str) -> Problem:
    return Problem("", FederationRule.OBSERVED_ROOT, what, "")


def _oversized(anchor: "Certificate") -> Iterator[str]:
    from cryptography.hazmat.primitives.serialization import Encoding

    sizes = (
        (len(anchor.public_bytes(Encoding.DER)), MOST_BYTES, "bytes"),
        (len(anchor.subject.public_bytes()), MOST_BYTES_OF_NAME, "bytes of subject"),
    )
    for size, most, of in sizes:
        if size > most:
            yield f"this certificate has {size:,} {of}, and the limit is {most:,}"


def read_alike(text: str) -> bool:
    """Say whether every program reads the same certificate out of a PEM text that `problems` finds nothing wrong with.

    Fingerprints and filters are made from the text itself, which Envoy reads more strictly than Python.
    """
    from mesh_federation.stack import key_material, pem

    return pem.certificates(text) == pem.certificates(key_material.written(key_material.certificates(text.encode())))
