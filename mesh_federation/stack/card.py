"""Cards: what a mesh tells its partners, who run stacks of their own.

Each partner becomes a cluster of the model that this stack neither makes nor reaches, with the exports that its card
has for clusters of this stack.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from mesh_federation.stack import pem, yaml_writer
from mesh_federation.stack.config import (
    Card,
    CardCallers,
    CardExport,
    Cluster,
    ClusterIstio,
    Consumer,
    Export,
    Federation,
    NamespacedName,
)
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.tree import Tree

KEY = "mesh"
HEAD = """# Written by `mesh card`: what the mesh of {cluster} tells its partners. Nothing in it is secret.
# Fingerprint, which partners compare by another channel: {fingerprint}
"""
PREFIX = "sha256:"
_ASK = "ask the partner for the file that mesh card wrote"


def fingerprint(card: Card) -> str:
    """Return what partners compare: of the trust domain and of what vouches for it, and of nothing else.

    Services come and go; who vouches for a mesh is a decision of people.
    """
    prints = sorted({_print(each) for text in card.roots for each in pem.certificates(text)})
    canonical = json.dumps({"roots": prints, "trustDomain": card.trust_domain}, sort_keys=True)
    return PREFIX + sha256(canonical.encode()).hexdigest()


def _print(certificate: str) -> str:
    try:
        return pem.fingerprint(certificate)
    except ValueError:  # damaged: the rules say so, and nothing else has this fingerprint
        return sha256(certificate.encode()).hexdigest()


def written(card: Card) -> str:
    """Return the text of a card, the same each time."""
    head = HEAD.format(cluster=card.cluster, fingerprint=fingerprint(card))
    return head + yaml_writer.write(card.model_dump(mode="json", by_alias=True, exclude_none=True))


def load(file: Path) -> tuple[Tree, list[Problem]]:
    """Read the file of a card, unchecked.

    Returns:
        The card and the problems of the file; one of the two is empty.
    """
    from mesh_federation.stack import yaml_reader  # every command loads this module, and PyYAML takes time

    return yaml_reader.mapping(file, "a card", _ASK, _ASK)


def with_partners(federation: Federation) -> Federation:
    """Add the partners of a federation: each is a cluster, with the exports on its card that this stack imports.

    What nobody here imports may be as it likes. Meshes and networks get names that only this stack uses: two partners
    may both call theirs network1, as Istio's guides do.
    """
    cards = {name: each.mesh for name, each in federation.partners.items() if each.mesh}
    clusters = {
        name: elsewhere(name, card, f"partners.{name}.{KEY}", f"{name}-mesh", f"{name}-network", name)
        for name, card in cards.items()
        if name not in federation.clusters
    }
    exports = [each for name in clusters for each in _exports(federation, name, cards[name])]
    if not clusters:
        return federation
    return federation.joined(clusters, exports)


def elsewhere(name: str, card: Card, path: str, mesh_id: str, network: str, locality: str) -> Cluster:
    """Describe a cluster of another stack; what only its own stack needs keeps its default.

    Args:
        name: by which this stack calls it.
        card: what it tells of itself.
        path: key path of the card.
        mesh_id: of its mesh.
        network: of its cluster.
        locality: of its endpoints.
    """
    tree = {
        "provisioner": "existing",
        "trustDomain": card.trust_domain,
        "clusterDomain": card.cluster_domain,
        "network": network,
        "meshID": mesh_id,
        "locality": locality,
        "loadBalancer": "none",
    }
    cluster = Cluster.model_validate(tree).model_copy(
        update={"gateway": card.gateway, "istio": ClusterIstio(install=False)}
    )
    cluster._name, cluster._path = name, path
    return cluster


def _exports(federation: Federation, name: str, card: Card) -> Iterator[Export]:
    """Return the exports of a card that clusters of this stack import, and may call."""
    imported = {link.service for link in federation.imports if link.source == name}
    for index, each in enumerate(card.exports):
        if each.service not in imported:
            continue
        where = f"partners.{name}.{KEY}.exports[{index}]"
        to = tuple(
            _consumer(cluster.name, _calling(federation, cluster.name, name, each, callers), f"{where}.to[{number}]")
            for number, callers in enumerate(each.to)
            for cluster in federation.clusters.values()
            if cluster.trust_domain == callers.trust_domain
        )
        if to:
            export = Export.model_construct(
                cluster=name,
                service=each.service,
                ports=each.ports,
                to=to,
                selector={},
                service_account=each.service_account,
            )
            export._form = federation.global_host_form
            export._hosts, export._of_card = each.hosts, where
            yield export


def _calling(
    federation: Federation, cluster: str, partner: str, export: CardExport, admitted: CardCallers
) -> tuple[NamespacedName, ...] | None:
    """Return who of a cluster calls an export: whom the card admits, as far as the imports name their callers."""
    ends = (cluster, partner, export.service)
    links = [link for link in federation.imports if (link.cluster, link.source, link.service) == ends]
    named = {account for link in links for account in link.callers or ()}
    if not links or any(link.callers is None for link in links):
        return admitted.service_accounts
    if admitted.service_accounts is None:
        return tuple(sorted(named))
    # If the card admits none of them, the rules say so.
    return tuple(each for each in admitted.service_accounts if each in named) or admitted.service_accounts


def _consumer(cluster: str, accounts: tuple[NamespacedName, ...] | None, path: str) -> Consumer:
    made = Consumer.model_construct(cluster=cluster, service_accounts=accounts)
    made._path = path
    return made
