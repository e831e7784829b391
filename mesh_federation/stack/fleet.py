"""Fleets: one file declares many clusters and their links, and each cluster has a stack of its own.

So the stack of a member needs credentials for its own cluster alone. The other clusters of the fleet are its partners:
`mesh up` writes the card of each member into the folder cards/<fleet>, which is committed like the stack files. Whoever
can change these cards can change the stack files too, so they need no fingerprint that people compare.

A link with a member whose card is missing is left out until it is there, so the first `up` needs no other member.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mesh_federation.stack import card, stack_file
from mesh_federation.stack.config import Card, Export, Federation, FleetMember, Import, Partner, Trust
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule
from mesh_federation.stack.text import excerpt, kind_of, nearest
from mesh_federation.stack.tree import Tree, merged

KEY = "memberOf"
FOLDER = "cards"
Given = TypeVar("Given")
UNCOMPARED = "of a member"
"""In place of the fingerprint of a card that nobody has to compare."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What may be a part of a file's name: the rules check names of clusters later."""


@dataclass(frozen=True)
class Laid:
    """The declaration of a member's stack.

    Attributes:
        tree: the fleet's file, with the stack file merged over it, and with the cards of other members as partners.
        file: name of the fleet's file; empty where no such file was read.
        problems: why the fleet declares nothing for the member.
    """

    tree: Tree
    file: str = ""
    problems: tuple[Problem, ...] = ()


def lay(federation: Tree, folder: Path) -> Laid:
    """Lay the file of a fleet under the stack file of a member.

    Args:
        federation: of the stack file, unchecked.
        folder: the folder of the stack files.
    """
    member = _member(federation)
    if member is None:
        return Laid(federation)
    file = stack_file.path(folder, member.fleet)
    if not (_NAME.fullmatch(member.fleet) and file.exists()):
        return Laid({}, problems=(_no_file(member),))
    fleet, problems = stack_file.load(file)
    if problems or not isinstance(fleet, Mapping):
        return Laid({}, file.name, tuple(problems) or (_no_fleet(fleet),))
    if found := [*_no_member(member, fleet), *stack_file.encrypted(fleet)]:
        return Laid({}, file.name, tuple(found))
    members = {"partners": _members(member, fleet, folder)}
    return Laid(merged(merged(members, fleet), federation), file.name)


def _member(federation: Tree) -> FleetMember | None:
    """Return what a stack is a member of; None if it is none, or if the key has a wrong type, which is told later."""
    given = federation.get(KEY)
    texts = (given.get("fleet"), given.get("cluster")) if isinstance(given, Mapping) else ()
    if not (texts and all(isinstance(each, str) and each for each in texts)):
        return None
    fleet, cluster = map(str, texts)
    return FleetMember(fleet=fleet, cluster=cluster)


def _no_file(member: FleetMember) -> Problem:
    return Problem(
        f"{KEY}.fleet",
        FederationRule.FLEET_FILE,
        f"there is no {excerpt(f'Pulumi.{member.fleet}.yaml')} beside this stack file",
        "write the name of a stack whose file declares the clusters of all members and their links",
    )


def _no_fleet(found: object) -> Problem:
    return Problem(
        "", FederationRule.FLEET_FILE, f"the federation is {kind_of(found)}, not a mapping", "declare the fleet here"
    )


def _no_member(member: FleetMember, fleet: Tree) -> Iterator[Problem]:
    """Yield why a fleet's file has nothing for a member."""
    if KEY in fleet:
        yield Problem(
            KEY,
            FederationRule.FLEET_FILE,
            f"{member.fleet} is a member of a fleet itself, and a fleet has one file",
            "name the file that declares the clusters of all members",
        )
        return
    for index, each in enumerate(_entries(fleet, "discovery")):
        if member.cluster in (each.get("cluster"), each.get("of")):
            yield Problem(
                f"discovery[{index}]",
                FederationRule.FLEET_DISCOVERY,
                "the clusters of one mesh are of one stack: an istiod needs credentials for clusters that it discovers",
                "remove it and export what is called, or declare both clusters in a stack without memberOf",
            )
    declared = fleet.get("clusters")
    names = [str(each) for each in declared] if isinstance(declared, Mapping) else []
    if member.cluster not in names:
        meant = nearest(member.cluster, names)
        yield Problem(
            "clusters",
            FederationRule.FLEET_FILE,
            f"the fleet has no cluster {excerpt(member.cluster)}",
            f"write {KEY}: {{fleet: {member.fleet}, cluster: {meant or next(iter(names), 'NAME')}}}",
        )


def _members(member: FleetMember, fleet: Tree, folder: Path) -> dict[str, Tree]:
    """Return the members with which this one has links, as far as their cards are there."""
    cards = {name: card_file(member.fleet, name) for name in sorted(_linked(member.cluster, fleet))}
    return {
        name: {"card": str(file), "fingerprint": UNCOMPARED} for name, file in cards.items() if (folder / file).exists()
    }


def card_file(fleet: str, cluster: str) -> Path:
    """Return the file of a member's card, relative to the folder of the stack files."""
    return Path(FOLDER, fleet, f"{cluster}.yaml")


def is_member(federation: Federation, partner: str) -> bool:
    """Say whether a partner is another member of the same fleet."""
    member, found = federation.member_of, federation.partners.get(partner)
    return bool(member and found and found.card == str(card_file(member.fleet, partner)))


def _linked(own: str, fleet: Tree) -> set[str]:
    """Return the names of the clusters with which one has links, in a file that nothing has checked."""
    exported = (to for each in _entries(fleet, "exports") if each.get("cluster") == own for to in _entries(each, "to"))
    named = [to.get("cluster") for to in exported]
    named += [each.get("from") for each in _entries(fleet, "imports") if each.get("cluster") == own]
    return {each for each in named if isinstance(each, str) and _NAME.fullmatch(each) and each != own}


def _entries(tree: Tree, key: str) -> Iterator[Tree]:
    found = tree.get(key)
    yield from (each for each in found if isinstance(each, Mapping)) if isinstance(found, list) else ()


def reduced(fleet: Federation) -> Federation:
    """Reduce a fleet to one member: its cluster, and its links with other members whose cards are there.

    Args:
        fleet: with the right types; one that is no member's stack is returned as it is.
    """
    if fleet.member_of is None:
        return fleet
    own = fleet.member_of.cluster
    waiting = _waiting(fleet, own)
    exports = [_to({own, *fleet.partners}, each) for each in fleet.exports if each.cluster == own]
    imports = [each for each in fleet.imports if each.cluster == own and each.path not in waiting]
    linked = {name for each in exports for name in each.consumers} | {each.source for each in imports}
    member = fleet.model_copy(
        update={
            "clusters": {own: fleet.clusters[own]},
            "partners": {
                name: _trusted(each) if name in fleet.clusters else each
                for name, each in fleet.partners.items()
                if name in linked or name not in fleet.clusters
            },
            "exports": tuple(each for each in exports if each.to),
            "imports": tuple(each for each in imports if each.source in {own, *fleet.partners}),
            "discovery": tuple(each for each in fleet.discovery if own in (each.cluster, each.of)),
            "workloads": tuple(each for each in fleet.workloads if each.cluster == own),
            "trust": _of_member(fleet.trust, own, fleet.partners),
        }
    )
    member._waiting = tuple(f"{path} waits for {name}" for path, name in waiting.items())
    return member


def _waiting(fleet: Federation, own: str) -> dict[str, str]:
    """Return the key paths of a member's links that wait for other members, and the names of those."""
    exported = (each for export in fleet.exports if export.cluster == own for each in export.to)
    unheard = set(fleet.clusters) - {own, *fleet.partners}
    callers = {each.path: each.cluster for each in exported if each.cluster in unheard}
    return callers | {each.path: each.source for each in fleet.imports if each.cluster == own and _waits(fleet, each)}


def _to(known: Collection[str], export: Export) -> Export:
    """Return an export to those clusters alone whose cards are there."""
    return export.model_copy(update={"to": tuple(each for each in export.to if each.cluster in known)})


def _waits(fleet: Federation, link: Import) -> bool:
    """Say whether an import has to wait for another member: for its card, or until the card has the export."""
    partner = fleet.partners.get(link.source)
    if link.source not in fleet.clusters or link.source == link.cluster:
        return False  # the rules tell
    if partner is None or partner.mesh is None:
        return True
    return not (partner.mesh.gateway.addresses and _offers(partner.mesh, fleet, link))


def _offers(told: Card, fleet: Federation, link: Import) -> bool:
    """Say whether a card has the service of an import for its cluster."""
    domain = fleet.clusters[link.cluster].trust_domain
    return any(
        each.service == link.service and any(callers.trust_domain == domain for callers in each.to)
        for each in told.exports
    )


def _trusted(partner: Partner) -> Partner:
    """Accept what the card of a member says: it was written where the stack files are."""
    return partner.model_copy(update={"fingerprint": card.fingerprint(partner.mesh)}) if partner.mesh else partner


def _of_member(trust: Trust, own: str, partners: Collection[str]) -> Trust:
    """Leave out of the trust of a fleet what is about clusters that the member has nothing to do with."""
    rotation = trust.rotation
    if rotation:
        given = {key: _only(own, getattr(rotation, key)) for key in ("intermediates", "provided")}
        rotation = rotation.model_copy(update={key: each for key, each in given.items() if each is not None})
    return trust.model_copy(
        update={
            "intermediates": _only(own, trust.intermediates),
            "provided": _only(own, trust.provided),
            "revoked": tuple(each for each in trust.revoked if each.cluster in (None, own, *partners)),
            "rotation": rotation,
        }
    )


def _only(own: str, given: Mapping[str, Given] | None) -> dict[str, Given] | None:
    return None if given is None else {name: each for name, each in given.items() if name == own}


def members(folder: Path, stacks: Iterable[str], fleet: str) -> dict[str, str]:
    """Return the members of a fleet: the cluster of each stack, by the name of the stack.

    Args:
        folder: the folder of the stack files.
        stacks: names of stacks; those that are no members are left out.
        fleet: name of the fleet's own stack file.
    """
    found = {stack: _member_in(stack_file.path(folder, stack)) for stack in stacks}
    return {stack: each.cluster for stack, each in sorted(found.items()) if each and each.fleet == fleet}


def _member_in(file: Path) -> FleetMember | None:
    federation, _ = stack_file.load(file)
    return _member(federation) if isinstance(federation, Mapping) else None
