"""Fleets: what a stack of one cluster cannot have, and cards of other members that are not theirs."""

from collections.abc import Iterator

from mesh_federation.clusters.provider import LoadBalancer
from mesh_federation.stack.config import Federation
from mesh_federation.stack.fleet import is_member
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule


def members_have_roots_of_their_own(federation: Federation) -> Iterator[Problem]:
    """A common root is made by one stack, and no other stack may have its key."""
    if federation.member_of and federation.trust.following.model == "common":
        yield Problem(
            "trust.model",
            FederationRule.FLEET_TRUST,
            "the members of a fleet have stacks of their own, and none of them may have the key of a common root",
            "write trust: {model: separate}, or provide the authorities of all members",
        )


def members_reach_each_other(federation: Federation) -> Iterator[Problem]:
    """Native clusters of two stacks are in private networks without a way between them."""
    for cluster in federation.own.values() if federation.member_of else ():
        if cluster.load_balancer is LoadBalancer.NATIVE:
            yield Problem(
                f"{cluster.path}.provisioner",
                FederationRule.FLEET_NETWORK,
                f"native clusters of different stacks cannot reach each other, so no member could call {cluster.name}",
                "use provisioner existing or kind; or kwok, where objects are real and no calls are answered",
            )


def cards_are_of_their_clusters(federation: Federation) -> Iterator[Problem]:
    """The name of a card's file says whose it is, and what is in it must agree."""
    for name, partner in federation.partners.items():
        if partner.mesh and is_member(federation, name) and partner.mesh.cluster != name:
            yield Problem(
                f"partners.{name}.mesh.cluster",
                FederationRule.FLEET_CARD,
                f"{partner.card} is the card of {partner.mesh.cluster}, so {name} would be trusted as that cluster",
                f"remove the file, and run mesh up for the member {name}",
            )


RULES = (members_have_roots_of_their_own, members_reach_each_other, cards_are_of_their_clusters)
