"""Rotations: the next authorities differ from the current ones, have distinct names and last long enough."""

import re
from collections.abc import Iterator

from mesh_federation.plan.trust import TrustPlan, plan
from mesh_federation.stack.config import Federation, Trust
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule

_NAME = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?)?")
_COMMON_NAME = 64
"""Characters that X.509 allows in a common name (RFC 5280, ub-common-name)."""


def authorities_have_names(federation: Federation) -> Iterator[Problem]:
    """Names of authorities become part of common names and of names of resources."""
    trust = federation.trust
    given = {"trust.root": trust.root, "trust.rotation.root": (trust.rotation and trust.rotation.root) or ""}
    given |= {f"{cluster.path}.intermediate": cluster.intermediate for cluster in federation.clusters.values()}
    given |= {f"trust.intermediates.{name}": each for name, each in trust.intermediates.items()}
    following = (trust.rotation and trust.rotation.intermediates) or {}
    given |= {f"trust.rotation.intermediates.{name}": each for name, each in following.items()}
    for path, name in given.items():
        if not _NAME.fullmatch(name):
            problem = f'"{name}" cannot be part of the names of certificates and resources'
            yield Problem(
                path,
                FederationRule.BAD_AUTHORITY_NAME,
                problem,
                "use lower-case letters, digits and dashes, such as r2",
            )


def rotations_lead_elsewhere(federation: Federation) -> Iterator[Problem]:
    """A rotation leads to other authorities, and each of them has a name that the current roots do not have."""
    trust = federation.trust
    if trust.rotation is None or trust.rotation.provided:  # whose roots may be encrypted, or in files
        return
    now, following = (
        _planned(federation, trust.model_copy(update={"rotation": None})),
        _planned(federation, trust.following),
    )
    if (now.issuers, now.intermediates) == (following.issuers, following.intermediates):
        yield Problem(
            "trust.rotation",
            FederationRule.ROTATION_TO_NOWHERE,
            "the rotation leads to the authorities that the clusters have already",
            "name the next root, for example root: r2; or write another model; or name other intermediates; or remove"
            " rotation",
        )
        return
    identities = {root.name: root.identity for root in now.roots}
    changed = [root for root in following.roots if identities.get(root.name, root.identity) != root.identity]
    for root in changed:
        yield Problem(
            "trust.rotation",
            FederationRule.ROTATION_WITHOUT_NAME,
            f"{root.name} would become another root ({root.identity.describe()}) with the same name, but clusters trust"
            " both during the rotation and distinguish them by name",
            "name the next roots, for example root: r2",
        )


def _planned(federation: Federation, trust: Trust) -> TrustPlan:
    return plan(federation.model_copy(update={"trust": trust}))


def common_names_fit(federation: Federation) -> Iterator[Problem]:
    """X.509 limits common names."""
    planned = plan(federation)
    names = [root.common_name for root in planned.roots] + [each.common_name for each in planned.intermediates]
    for name in names:
        if len(name) > _COMMON_NAME:
            problem = f'the common name "{name}" has {len(name)} characters; X.509 allows {_COMMON_NAME}'
            yield Problem(
                "trust",
                FederationRule.LONG_COMMON_NAME,
                problem,
                "shorten the name of the cluster or of the authority",
            )


def roots_outlive_what_they_sign(federation: Federation) -> Iterator[Problem]:
    """An expired root makes the certificates below it invalid."""
    trust = federation.trust
    if trust.following.model in ("common", "separate") and trust.intermediate_days > trust.following.root_days:
        yield Problem(
            "trust.intermediateDays",
            FederationRule.OUTLIVES_ITS_ROOT,
            f"intermediates would last {trust.intermediate_days} days, but their root only {trust.following.root_days}:"
            " they are invalid after their root expires",
            "write fewer days than rootDays",
        )


RULES = (authorities_have_names, rotations_lead_elsewhere, common_names_fit, roots_outlive_what_they_sign)
