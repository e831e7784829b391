"""Fleets: what a stack of one cluster cannot have, and cards of members that are not theirs.

These rules run on all that the file of a fleet declares, and on nothing else.
"""

from collections.abc import Iterator

from mesh_federation.clusters.provider import LoadBalancer
from mesh_federation.stack import pem
from mesh_federation.stack.config import Federation
from mesh_federation.stack.fleet import RENEW, card_file
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule


def members_have_roots_of_their_own(federation: Federation) -> Iterator[Problem]:
    """A common root is made by one stack, and no other stack may have its key."""
    trust = federation.trust
    models = {"trust.model": trust.model, **({"trust.rotation.model": trust.following.model} if trust.rotation else {})}
    for path, model in models.items():
        if model == "common":
            yield Problem(
                path,
                FederationRule.FLEET_TRUST,
                "the members of a fleet have stacks of their own, and none of them may have the key of a common root",
                "write trust: {model: separate}, or provide the authorities of all members",
            )


def members_trust_by_links(federation: Federation) -> Iterator[Problem]:
    """In scope mesh, the root of every member would be in the trust of every workload of every other one."""
    if federation.trust.scope == "mesh":
        yield Problem(
            "trust.scope",
            FederationRule.FLEET_TRUST,
            "the members of a fleet have stacks of their own, and none of them can give its root to all workloads of"
            " the others",
            "remove trust.scope: members trust each other link by link",
        )


def members_reach_each_other(federation: Federation) -> Iterator[Problem]:
    """Native clusters of two stacks are in private networks without a way between them."""
    for cluster in federation.own.values():
        if cluster.load_balancer is LoadBalancer.NATIVE:
            yield Problem(
                f"{cluster.path}.provisioner",
                FederationRule.FLEET_NETWORK,
                f"native clusters of different stacks cannot reach each other, so no member could call {cluster.name}",
                "use provisioner existing or kind; or kwok, where objects are real and no calls are answered",
            )


def members_have_meshes_of_their_own(federation: Federation) -> Iterator[Problem]:
    """A discovering istiod reads the other cluster with credentials for it."""
    for link in federation.discovery:
        yield Problem(
            link.path,
            FederationRule.FLEET_DISCOVERY,
            f"{link.cluster} would need credentials for {link.of}, and the stack of a member has those of its own"
            " cluster alone",
            "remove it and export what is called, or declare both clusters in a stack without memberOf",
        )


def cards_are_of_their_clusters(federation: Federation) -> Iterator[Problem]:
    """The name of a card's file says whose it is, and what is in it must agree."""
    for name, told in federation.member_of.cards.items() if federation.member_of else ():
        if told.cluster != name:
            yield Problem(
                f"memberOf.cards.{name}.cluster",
                FederationRule.FLEET_CARD,
                f"this is the card of {told.cluster}, so {name} would be trusted as that cluster",
                RENEW,
            )


def cards_have_roots_of_their_own(federation: Federation) -> Iterator[Problem]:
    """Whoever signs under a root that two members have could issue the identities of both."""
    first: dict[str, str] = {}
    for name, told in federation.member_of.cards.items() if federation.member_of else ():
        for root in {each for text in told.roots for each in pem.certificates(text)}:
            other = first.setdefault(root, name)
            if other != name:
                yield Problem(
                    f"memberOf.cards.{name}.roots",
                    FederationRule.FLEET_TRUST,
                    f"{other} and {name} have one root, so each could issue identities of the other",
                    f"give {name} a root of its own under trust.provided, and bring its stack up again",
                )


def partners_are_no_members(federation: Federation) -> Iterator[Problem]:
    """An export to a member must never be one to somebody else."""
    member = federation.member_of
    for name, partner in federation.partners.items() if member else ():
        is_declared = name in federation.clusters and federation.clusters[name].path == f"clusters.{name}"
        if member and is_declared and partner.card != str(card_file(member.fleet, name)):
            yield Problem(
                f"partners.{name}",
                FederationRule.PARTNER_NAME,
                f"{name} is a cluster of the fleet too, so an export to {name} would have two meanings",
                "give the partner another name",
            )


RULES = (
    partners_are_no_members,
    members_have_roots_of_their_own,
    members_trust_by_links,
    members_reach_each_other,
    members_have_meshes_of_their_own,
    cards_are_of_their_clusters,
    cards_have_roots_of_their_own,
)
