"""The picture of a certificate hierarchy: the roots, and for each cluster its authorities and its workloads.

Solid lines sign. Dashed lines lead from a root to the clusters that trust it beside their own.
"""

from collections.abc import Iterator
from itertools import chain, pairwise
from urllib.parse import quote

from mesh_federation.diagrams.drawing import Column, Drawing, Edge, Network, Node, NodeKind, Panel
from mesh_federation.diagrams.topology import WORDS, wrapped
from mesh_federation.plan.hierarchy import Certificate, Change, Cluster, Hierarchy, Root

MANY = 24
"""With more dashed lines than this, a picture of them would show nothing, so they are left out."""
WIDTH = 2.6
"""Least width of a node, in inches."""
ROOTS = {Change.STAYS: NodeKind.ROOT, Change.COMES: NodeKind.NEW_ROOT, Change.GOES: NodeKind.OLD_ROOT}


def drawing(hierarchy: Hierarchy) -> Drawing:
    """Draw a certificate hierarchy."""
    trusts = [
        Edge(_id("root", name), _id(cluster.name), NodeKind.TRUSTED_BY)
        for cluster in hierarchy.clusters
        for name in cluster.trusts
        if name != cluster.root
    ]
    signs = [edge for cluster in hierarchy.clusters for edge in _signs(cluster)]
    roots, panels = tuple(map(_root, hierarchy.roots)), tuple(map(_panel, hierarchy.clusters))
    return Drawing(
        title=f"Trust of {hierarchy.stack}",
        notes=tuple(_notes(hierarchy, len(trusts))),
        networks=tuple(Network(f"network/{panel.id}", "", (panel,)) for panel in panels),
        edges=(*signs, *([] if len(trusts) > MANY else trusts)),
        columns=tuple(_columns(roots, panels)),
        shared=roots,
    )


def _columns(roots: tuple[Node, ...], panels: tuple[Panel, ...]) -> Iterator[Column]:
    """Align the authorities of all clusters by their distance from the workloads."""
    yield Column(tuple(root.id for root in roots), WIDTH)
    yield Column(tuple(panel.id for panel in panels), WORDS)
    for distance in range(max(len(panel.nodes) for panel in panels), 0, -1):
        ids = (panel.nodes[-distance].id for panel in panels if len(panel.nodes) >= distance)
        yield Column(tuple(ids), WIDTH)


def _notes(hierarchy: Hierarchy, trusts: int) -> Iterator[str]:
    phase = f", rotation in phase {hierarchy.rotation.phase}" if hierarchy.rotation else ""
    roots = {1: "the one root", 2: "both roots"}.get(len(hierarchy.roots), f"all {len(hierarchy.roots)} roots")
    if hierarchy.scope == "link":
        yield f"Trust model {hierarchy.model}{phase}: every cluster trusts its own root alone"
        yield "Exported workloads and callers of imports accept other clusters, each under its own authority"
    else:
        yield f"Trust model {hierarchy.model}{phase}: every cluster trusts {roots}"
    if hierarchy.scope == "mesh" and len(hierarchy.clusters) > 1:
        yield "Istio binds no root to a trust domain: a trusted root can mint any accepted identity"
    if trusts > MANY:
        yield "Lines to the roots that clusters trust beside their own are left out"
    elif trusts:
        yield "Solid lines sign; dashed lines lead from a root to the other clusters that trust it"


def _root(root: Root) -> Node:
    return Node(_id("root", root.name), ROOTS[root.change], root.name, tuple(_details(root.certificate)))


def _panel(cluster: Cluster) -> Panel:
    authorities = [
        Node(id, NodeKind.INTERMEDIATE, certificate.name, tuple(_details(certificate)))
        for id, certificate in zip(_authorities(cluster), (*cluster.chain[::-1], cluster.intermediate), strict=True)
    ]
    domain = (f"trust domain {cluster.trust_domain}",)
    workloads = Node(_id(cluster.name, "workloads"), NodeKind.WORKLOADS, cluster.identities, domain)
    accepts = f"accepts {', '.join(cluster.accepts)}" if cluster.accepts else "accepts no foreign trust domain"
    return Panel(_id(cluster.name), cluster.name, tuple(wrapped(accepts)), (*authorities, workloads))


def _details(certificate: Certificate) -> Iterator[str]:
    if certificate.is_encrypted:
        yield "encrypted in the stack file"
        return
    yield str(certificate.subject)
    yield certificate.life


def _signs(cluster: Cluster) -> Iterator[Edge]:
    """Lead from the root to the workloads."""
    path = chain([_id("root", cluster.root)], _authorities(cluster), [_id(cluster.name, "workloads")])
    yield from (Edge(above, below, NodeKind.SIGNS) for above, below in pairwise(path))


def _authorities(cluster: Cluster) -> Iterator[str]:
    """Return the ids of a cluster's authorities, the one that the root signs first."""
    return (_id(cluster.name, "authority", str(place)) for place in range(len(cluster.chain), -1, -1))


def _id(*parts: str) -> str:
    """Build an id out of characters that are allowed in every format."""
    return "/".join(quote(part, safe="") for part in parts)
