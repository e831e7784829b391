"""Fleets: one file declares many clusters and their links, and each cluster has a stack of its own.

So the stack of a member needs credentials for its own cluster alone. What other members are is in the file of the
fleet; what only runs there, authorities and the address of the gateway, is on their cards, which `mesh up` writes into
the folder cards/<fleet>. Whoever can change these cards can change the stack files too, so nobody compares them.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import ValidationError

from mesh_federation.stack import card, files, stack_file, validation, yaml_reader
from mesh_federation.stack.config import Card
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule
from mesh_federation.stack.text import excerpt, key_path, kind_of, nearest
from mesh_federation.stack.tree import Tree, merged

KEY = "memberOf"
CARDS = "cards"
RENEW = "restore the file, or bring up that member, which writes it anew; without it, links with it are taken out"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What may be a part of a file's name: the rules check names of clusters later."""
_OF_THE_FLEET = ("provisioner", "loadBalancer", "trustDomain", "clusterDomain", "network", "meshID", "locality")
"""Keys of a cluster that other members must see too."""


@dataclass(frozen=True)
class Membership:
    """What a stack is a member of.

    Attributes:
        fleet: name of the fleet's own stack file.
        cluster: the cluster of the stack.
    """

    fleet: str
    cluster: str


@dataclass(frozen=True)
class Laid:
    """The declaration of a member's stack.

    Attributes:
        tree: the fleet's file, with the stack file merged over it, and the cards of other members.
        file: name of the fleet's file; empty where no such file was read.
        cards: key paths of each card, by the path of its file.
        problems: why there is no declaration, by the name of the file; empty for the stack file.
    """

    tree: Tree
    file: str = ""
    cards: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: Mapping[str, list[Problem]] = field(default_factory=dict)


def lay(federation: Tree, folder: Path) -> Laid:
    """Lay the file of a fleet under the stack file of a member.

    Args:
        federation: of the stack file, unchecked.
        folder: the folder of the stack files.
    """
    if KEY not in federation:
        return Laid(federation)
    member = _membership(federation)
    if member is None:
        return Laid({}, problems={"": [_no_names()]})
    file = stack_file.path(folder, member.fleet)
    if not file.exists():
        return Laid({}, problems={"": [_no_file(member)]})
    fleet, problems = stack_file.load(file)
    if problems or not isinstance(fleet, Mapping):
        return Laid({}, file.name, problems={file.name: problems or [_no_mapping(fleet)]})
    above = [*_no_member(member, fleet), *_undeclared(fleet), *map(_not_decrypted, stack_file.encrypted(fleet))]
    own = list(_of_all_members(member, federation))
    if above or own:
        return Laid({}, file.name, problems={"": own, file.name: above})
    cards, broken = _cards(member, fleet, folder)
    told = {
        str(card_file(member.fleet, name)): (f"{KEY}.{CARDS}.{name}", f"partners.{name}.{card.KEY}") for name in cards
    }
    tree = merged(merged(fleet, federation), {KEY: {CARDS: cards}})
    return Laid(tree, file.name, told, broken)


def _membership(federation: Tree) -> Membership | None:
    """Return what a stack is a member of; None if it is none, or does not say it in two names."""
    given = federation.get(KEY)
    fleet, cluster = (given.get("fleet"), given.get("cluster")) if isinstance(given, Mapping) else (None, None)
    if not (isinstance(fleet, str) and _NAME.fullmatch(fleet) and isinstance(cluster, str)):
        return None
    return Membership(fleet, cluster)


def _no_names() -> Problem:
    return Problem(
        KEY,
        FederationRule.FLEET_FILE,
        f"{KEY} does not name a fleet and a cluster of it",
        f"write {KEY}: {{fleet: NAME, cluster: NAME}}; Pulumi.NAME.yaml declares the clusters of all members",
    )


def _no_file(member: Membership) -> Problem:
    return Problem(
        f"{KEY}.fleet",
        FederationRule.FLEET_FILE,
        f"there is no {excerpt(f'Pulumi.{member.fleet}.yaml')} beside this stack file",
        "write the name of a stack whose file declares the clusters of all members and their links",
    )


def _no_mapping(found: object) -> Problem:
    what = f"the federation is {kind_of(found)}, not a mapping"
    return Problem("", FederationRule.FLEET_FILE, what, "declare the clusters of the fleet and their links here")


def _no_member(member: Membership, fleet: Tree) -> Iterator[Problem]:
    """Yield why a fleet's file has nothing for a member."""
    if KEY in fleet:
        yield Problem(
            KEY,
            FederationRule.FLEET_FILE,
            f"{member.fleet} is a member of a fleet itself, and a fleet has one file",
            "name the file that declares the clusters of all members",
        )
        return
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


def _of_all_members(member: Membership, federation: Tree) -> Iterator[Problem]:
    """Yield what a member's own stack file declares although other members must see it too."""
    allowed = {
        (): {KEY, "clusters", "trust"},
        (KEY,): {"fleet", "cluster"},
        ("clusters",): {member.cluster},
        ("trust",): {"provided", "rotation"},
        ("trust", "provided"): {member.cluster},
        ("trust", "rotation"): {"provided"},
        ("trust", "rotation", "provided"): {member.cluster},
    }
    for path, keys in allowed.items():
        for key in _at(federation, path):
            if key not in keys:
                yield _not_here(member, path, str(key))
    for key in _at(federation, ("clusters", member.cluster)):
        if key in _OF_THE_FLEET:
            yield _not_here(member, ("clusters", member.cluster), key)


def _undeclared(fleet: Tree) -> Iterator[Problem]:
    """Yield what only the owner of an Istio knows, but other members must know before they have its card."""
    for name, cluster in _at(fleet, ("clusters",)).items():
        if _at(cluster, ("istio",)).get("install") is False:
            for key in ("trustDomain", "clusterDomain"):
                if key not in cluster:
                    yield Problem(
                        key_path(key_path("clusters", str(name)), key),
                        FederationRule.FLEET_FILE,
                        f"the Istio of {name} belongs to others, and no other member can read its {key}",
                        f"write the {key} that mesh observe reads there",
                    )


def _not_decrypted(problem: Problem) -> Problem:
    return replace(problem, fix="move it to the stack file of the member, or write the path of a PEM file")


def _at(tree: object, path: Iterable[str]) -> Tree:
    for key in path:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree if isinstance(tree, Mapping) else {}


def _not_here(member: Membership, path: Iterable[str], key: str) -> Problem:
    where = ""
    for each in (*path, key):
        where = key_path(where, each)
    return Problem(
        where,
        FederationRule.FLEET_FILE,
        "other members must see this too, and they read the file of the fleet alone",
        f"move it to Pulumi.{member.fleet}.yaml; a member's own file has {KEY}, keys of its cluster, and authorities",
    )


def card_file(fleet: str, cluster: str) -> Path:
    """Return the file of a member's card, relative to the folder of the stack files."""
    return Path(CARDS, fleet, f"{cluster}.yaml")


def _cards(member: Membership, fleet: Tree, folder: Path) -> tuple[dict[str, Tree], dict[str, list[Problem]]]:
    """Read the cards of all other members that have one."""
    names = [name for name in clusters(fleet) if _NAME.fullmatch(name) and name != member.cluster]
    files = {name: card_file(member.fleet, name) for name in names}
    read = {name: _card(folder / file) for name, file in files.items() if (folder / file).exists()}
    broken = {str(files[name]): problems for name, (_, problems) in read.items() if problems}
    return {name: tree for name, (tree, problems) in read.items() if not problems}, broken


def _card(file: Path) -> tuple[Tree, list[Problem]]:
    """Read a card, and check its types."""
    tree, problems = card.load(file)
    if not problems:
        try:
            Card.model_validate_json(json.dumps(tree), strict=True)
        except ValidationError as invalid:
            paths = [validation.path_of(tuple(each["loc"])) for each in invalid.errors()]
            problems = [Problem(path, FederationRule.FLEET_CARD, "the card is damaged here", "") for path in paths]
    return tree, [replace(each, fix=RENEW) for each in problems]


def clusters(fleet: object) -> list[str]:
    """Return the names of the clusters in a fleet's file, which nothing has checked."""
    return [str(each) for each in _at(fleet, ("clusters",))]


def memberships(files: Mapping[str, Path]) -> tuple[dict[str, Membership], dict[str, list[Problem]]]:
    """Return what stacks are members of, and what keeps files from being read that may say so; by stack.

    Args:
        files: the stack file of each.
    """
    read = {stack: membership(file) for stack, file in files.items()}
    found = {stack: each for stack, (each, _) in read.items() if each}
    return found, {stack: problems for stack, (_, problems) in read.items() if problems}


def membership(file: Path) -> tuple[Membership | None, list[Problem]]:
    """Return what the stack of a file is a member of, and what keeps the file from being read."""
    try:
        if KEY.encode() not in files.head(file, yaml_reader.MAX_BYTES):
            return None, []
    except files.NotRead:
        pass  # as its problem says
    federation, problems = stack_file.load(file)
    return (_membership(federation) if isinstance(federation, Mapping) else None), problems
