"""A member of a fleet: the part of a fleet that the stack of one cluster makes, and what it knows of other members.

They become partners: clusters that the stack does not reach, as the file of the fleet declares them, with the
authorities and the gateway that are on their cards. A link waits until the card of its other end is there, and an
import until that card has the export: before, calls would fail that the cluster's own pods may answer today.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from mesh_federation.stack import card, pem
from mesh_federation.stack.config import (
    Card,
    Cluster,
    Export,
    Federation,
    Import,
    ImportedPort,
    Partner,
    Port,
    Revocation,
    Trust,
    by_host,
)
from mesh_federation.stack.fleet import card_file

Given = TypeVar("Given")


def reduced(fleet: Federation) -> Federation:
    """Reduce a fleet to one member: its cluster, and its links with other members.

    Args:
        fleet: with the right types; one that is no member's stack is returned as it is.
    """
    if fleet.member_of is None:
        return fleet
    own, known = fleet.member_of.cluster, _known(fleet)
    waiting = _waiting(fleet, known)
    reached = {own, *known, *fleet.partners}
    exports = [_with_imports(fleet, _to(reached, each)) for each in fleet.exports if each.cluster == own]
    wanted = [each for each in fleet.imports if each.cluster == own and each.source in reached]
    imports = [_on_card(known.get(each.source), fleet, each) for each in wanted if each.path not in waiting]
    linked = {name for each in exports for name in each.consumers} | {each.source for each in imports}
    others = {name: told for name, told in known.items() if name in linked}
    offered = [_theirs(_to([own], each)) for each in fleet.exports if each.cluster != own]
    member = fleet.model_copy(
        update={
            "clusters": {own: fleet.clusters[own], **{name: _of(fleet, name, told) for name, told in others.items()}},
            "partners": {**fleet.partners, **{name: _partner(fleet, name, told) for name, told in others.items()}},
            "exports": (*exports, *(each for each in offered if each.to)),
            "imports": tuple(_rescaled(fleet, imports)),
            "discovery": (),
            "workloads": tuple(each for each in fleet.workloads if each.cluster == own),
            "trust": _trust(fleet.trust, own, others),
        }
    )
    member._awaited = tuple(each for each in fleet.imports if each.path in waiting)
    member._waiting = tuple(f"{path} waits for {reason}" for path, reason in waiting.items())
    return member


def _known(fleet: Federation) -> dict[str, Card]:
    """Return the cards of the members that are as the file of the fleet declares them."""
    assert fleet.member_of
    return {name: told for name, told in fleet.member_of.cards.items() if not _differs(fleet, name, told)}


def _differs(fleet: Federation, name: str, told: Card) -> str:
    """Say what another member was at its last `up` and is not to be any more; empty if there is nothing."""
    declared = fleet.clusters[name]
    if told.trust_domain != declared.trust_domain:
        return f"its card has the trust domain {told.trust_domain}, the file has {declared.trust_domain}"
    if told.network != declared.network:
        return f"its card has the network {told.network}, the file has {declared.network}"
    return "" if any(map(_may_sign, told.roots)) else "the authorities on its card have expired"


def _may_sign(root: str) -> bool:
    """Say whether an authority has not expired; the rules say what else is wrong with it."""
    from mesh_federation.stack import key_material  # cryptography takes time to load

    try:
        return key_material.certificates(root.encode())[0].not_valid_after_utc > datetime.now(UTC)
    except key_material.UnusableMaterial:
        return True


def _waiting(fleet: Federation, known: Mapping[str, Card]) -> dict[str, str]:
    """Return the key paths of a member's links that wait, and for what."""
    assert fleet.member_of
    own, cards = fleet.member_of.cluster, fleet.member_of.cards
    unknown = {
        name: f"{name}: {_differs(fleet, name, cards[name])}" if name in cards else name
        for name in fleet.clusters
        if name not in known and name != own
    }
    callers = (each for export in fleet.exports if export.cluster == own for each in export.to)
    imports = [each for each in fleet.imports if each.cluster == own]
    return {
        **{each.path: unknown[each.cluster] for each in callers if each.cluster in unknown},
        **{each.path: unknown[each.source] for each in imports if each.source in unknown},
        **{
            each.path: _lacking(known[each.source], fleet, each)
            for each in imports
            if each.source in known and not _offers(known[each.source], fleet, each)
        },
    }


def _lacking(told: Card, fleet: Federation, link: Import) -> str:
    """Say what an import waits for of a member that is up."""
    here, there = told.cluster_domain, fleet.clusters[link.source].cluster_domain
    if here != there:
        return f"{link.source}: its card has the cluster domain {here}, the file has {there}"
    return f"{link.source} to export {link.service}"


def _offers(told: Card, fleet: Federation, link: Import) -> bool:
    """Say whether a member that is up exports the service of an import to its cluster."""
    domain = fleet.clusters[link.cluster].trust_domain
    return bool(told.gateway.addresses) and any(
        each.service == link.service
        and link.exported_host in each.hosts
        and any(callers.trust_domain == domain for callers in each.to)
        for each in told.exports
    )


def _to(reached: Collection[str], export: Export) -> Export:
    """Return an export to some clusters alone; where none is left, it stays, but nobody elsewhere may call it."""
    return export.model_copy(update={"to": tuple(each for each in export.to if each.cluster in reached)})


def _with_imports(fleet: Federation, export: Export) -> Export:
    """Return an export with its imports into all clusters, which decide under which names and by which API it is."""
    made, ends = export.model_copy(), (export.cluster, export.service)
    made._imports = tuple(each for each in fleet.imports if (each.source, each.service) == ends)
    return made


def _theirs(export: Export) -> Export:
    """Mark an export as one that another stack makes."""
    made = export.model_copy()
    made._of_card = export.path
    return made


def _of(fleet: Federation, name: str, told: Card) -> Cluster:
    """Describe the cluster of another member."""
    declared = fleet.clusters[name]
    return card.elsewhere(name, told, f"memberOf.cards.{name}", declared.mesh_id, declared.network, declared.locality)


def _partner(fleet: Federation, name: str, told: Card) -> Partner:
    assert fleet.member_of
    file = card_file(fleet.member_of.fleet, name)
    return Partner.model_construct(card=str(file), fingerprint=card.fingerprint(told), mesh=told)


def _on_card(told: Card | None, fleet: Federation, link: Import) -> Import:
    """Return an import of the ports that its exporter has opened already."""
    if told is None:
        return link
    opened = {port.number for each in told.exports if each.service == link.service for port in each.ports}
    ports = link.ports or tuple(map(_imported, fleet.export_of(link).ports))
    ready = tuple(each for each in ports if each.exported_number in opened)
    return link if len(ready) in (0, len(ports)) else link.model_copy(update={"ports": ready})


def _imported(port: Port) -> ImportedPort:
    return ImportedPort.model_construct(**{name: getattr(port, name) for name in Port.model_fields}, exported=None)


def _rescaled(fleet: Federation, imports: Sequence[Import]) -> list[Import]:
    """Give the weights of imports that wait to the others of their host, in proportion."""
    every, ready = by_host(fleet.imports), by_host(imports)
    made: dict[str, int] = {}
    for host, links in ready.items():
        weights = [each.weight or 0 for each in links]
        whole = sum(each.weight or 0 for each in every[host])
        if len(links) < len(every[host]) and sum(weights) < whole:
            made |= dict(zip((each.path for each in links), _shares(weights, whole), strict=True))
    return [each.model_copy(update={"weight": made[each.path]}) if each.path in made else each for each in imports]


def _shares(weights: Sequence[int], whole: int) -> list[int]:
    """Divide a whole in the proportion of some weights; the first gets what rounding leaves."""
    parts = weights if any(weights) else [1] * len(weights)
    shares = [part * whole // sum(parts) for part in parts]
    return [shares[0] + whole - sum(shares), *shares[1:]]


def _trust(trust: Trust, own: str, others: Mapping[str, Card]) -> Trust:
    """Leave out of the trust of a fleet what is about clusters that the member has nothing to do with."""
    rotation = trust.rotation
    if rotation:
        given = {key: _only(own, getattr(rotation, key)) for key in ("intermediates", "provided")}
        rotation = rotation.model_copy(update={key: each for key, each in given.items() if each is not None})
    return trust.model_copy(
        update={
            "intermediates": _only(own, trust.intermediates),
            "provided": _only(own, trust.provided),
            "revoked": tuple(each for given in trust.revoked for each in _revoked(given, others)),
            "rotation": rotation,
        }
    )


def _revoked(given: Revocation, others: Mapping[str, Card]) -> Iterator[Revocation]:
    """Return what a revocation is for a member, which knows authorities of others by their certificates alone."""
    yield given
    if given.authority:
        from mesh_federation.stack.key_material import common_names  # cryptography takes time to load

        texts = (each for told in others.values() for text in told.roots for each in pem.certificates(text))
        for text in texts:
            if given.authority in common_names(text):
                yield Revocation.model_construct(cluster=None, authority=pem.fingerprint(text))


def _only(own: str, given: Mapping[str, Given] | None) -> dict[str, Given] | None:
    return None if given is None else {name: each for name, each in given.items() if name == own}
