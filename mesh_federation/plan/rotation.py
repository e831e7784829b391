"""Rotation: the steps by which clusters move to other roots, which of them are safe, and what to write next.

Two rules make a step safe. A root that a cluster is to sign under must be trusted everywhere before; a root that a
cluster signed under must still be trusted everywhere after. In scope `link` these are the cluster's own root, for its
own workloads, and what vouches for it at others. Both rules read the same backwards, so a safe step can be undone, and
one that failed half-way can be repeated. Source: RFC 4210 section 4.4, which rolls a root over with both trusted
meanwhile; walk-through pitfall 4.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import yaml

from mesh_federation.plan.root_identity import RootIdentity
from mesh_federation.plan.trust import TrustPlan
from mesh_federation.stack.config import Federation, Revocation, Rotation, Trust
from mesh_federation.stack.problem import InvalidModel, Problem

RULE = "rotation-step"

Phase = Literal["add", "switch", "drop"]
BEFORE: Mapping[Phase, Phase | None] = {"add": None, "switch": "add", "drop": "switch"}
"""The previous step of each."""
AFTER: Mapping[Phase, Phase | None] = {"add": "switch", "switch": "drop", "drop": None}
"""The next step of each."""
KEPT = "<as it is>"
MOVED = "<what stands under rotation>"
"""Both replace authorities, which are not printed: their keys are among them."""


def at_phase(federation: Federation, phase: Phase | None) -> Federation:
    """Return the model in another step of its rotation; None is before the first."""
    rotation = federation.trust.rotation
    moved = rotation.model_copy(update={"phase": phase}) if rotation and phase else None
    return federation.model_copy(update={"trust": federation.trust.model_copy(update={"rotation": moved})})


@dataclass(frozen=True)
class TrustState:
    """The authorities that clusters sign under, and what trusts them.

    Attributes:
        issuers: the root that signs for each cluster's workloads, by cluster.
        accepted: the roots that each cluster trusts for its own workloads, by cluster.
        signers: root and intermediate under which each cluster signs, in one line each, by cluster.
        vouching: the authorities under which other clusters accept a cluster's workloads, in one line each, by cluster.
    """

    issuers: Mapping[str, RootIdentity]
    accepted: Mapping[str, frozenset[RootIdentity]]
    signers: Mapping[str, frozenset[str]]
    vouching: Mapping[str, frozenset[str]]


def trust_state(plan: TrustPlan) -> TrustState:
    """Return the trust that a plan establishes."""
    return TrustState(
        issuers=plan.issuers,
        accepted={name: frozenset(each.identities) for name, each in plan.bundles.items()},
        signers=plan.signers,
        vouching={name: frozenset(plan.vouching(name)) for name in plan.bundles},
    )


def check_step(before: TrustState, after: TrustState, revoked: Collection[Revocation] = ()) -> None:
    """Accept a step only if it is safe.

    Raises:
        InvalidModel: it would be an outage.
    """
    if found := tuple(problems(before, after, revoked)):
        raise InvalidModel(found)


def problems(before: TrustState, after: TrustState, revoked: Collection[Revocation] = ()) -> Iterator[Problem]:
    """Yield the problems that make a step an outage, between any two clusters that exist before and after it.

    Args:
        before: state of the last `up`; empty where there was none.
        after: state that is declared now.
        revoked: what is no longer to be trusted, whatever has certificates of it.
    """
    lasting = sorted(before.issuers.keys() & after.issuers.keys())
    strange = set(_unknown(after, before, lasting))
    lost = set() if revoked else set(_unknown(before, after, lasting))
    if strange:
        yield Problem(
            "trust",
            RULE,
            f"workloads would get certificates of {_all(sorted(strange))}, which clusters that run do not trust yet:"
            " calls between them would fail until all have started anew",
            "say where to go under trust.rotation, and take its steps one by one: phase add, then switch, then drop",
        )
    elif lost:
        yield Problem(
            "trust",
            RULE,
            f"{_all(sorted(lost))} would no longer be trusted, and workloads that run have certificates of it",
            "let them have others first: phase switch comes before drop",
        )


def _unknown(signing: TrustState, trusting: TrustState, clusters: Iterable[str]) -> Iterator[str]:
    """Yield the authorities under which clusters sign in one state, and which nothing trusts in another."""
    for name in clusters:
        root, signers = signing.issuers[name], signing.signers[name]
        if root not in trusting.accepted[name]:
            yield root.describe()
        elif not signers & trusting.vouching[name]:
            yield _all(sorted(signers - {root.describe()})) or root.describe()


def _all(roots: Iterable[str]) -> str:
    return " and ".join(roots)


_OTHERS = (
    "Workloads that the stack did not make are not restarted: their owners do it, or they follow by themselves with"
    " their next certificate, within a day."
)
_NEXT_STEP_CHECKS = "The next step asks all proxies first, and changes nothing if one would be cut off."


@dataclass(frozen=True)
class StepDescription:
    """A step of a rotation, in words.

    Attributes:
        does: its effect.
        others: consequences for workloads that the stack did not make.
        then: what to do when it is done.
    """

    does: str
    others: str
    then: str


def describe(phase: Phase, comes: Sequence[str], goes: Sequence[str]) -> StepDescription:
    """Describe a step of a rotation.

    Args:
        phase: the step.
        comes: names of the roots that it leads to.
        goes: names of the roots that it leaves.
    """
    following, left = _all(comes) or "no other root", _all(goes) or "no root"
    match phase:
        case "add":
            return StepDescription(
                f"Clusters trust {following} too, and go on signing as before.",
                f"{_OTHERS} {_NEXT_STEP_CHECKS}",
                "When the new roots are known everywhere, take the next step:",
            )
        case "switch":
            return StepDescription(
                f"Clusters sign under {_all(comes) or 'what they did before'}. They go on trusting {left}, of which"
                " workloads that run still have certificates.",
                f"{_OTHERS} {_NEXT_STEP_CHECKS}",
                "When every workload has a certificate under the new roots, take the last step:",
            )
        case "drop":
            return StepDescription(
                f"Clusters do not trust {left} any more.",
                _OTHERS,
                "When it is done, write down where you are, without rotation. This changes nothing in the clusters:",
            )


def next_declaration(trust: Trust, rotation: Rotation) -> str:
    """Return the YAML of `trust` for the next step, or for the time after the last."""
    phase = AFTER[rotation.phase]
    moved = rotation.model_copy(update={"phase": phase})
    then = trust.model_copy(update={"rotation": moved}) if phase else trust.following
    tree = then.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"provided", "rotation"})
    if then.provided:
        tree["provided"] = KEPT if phase or not rotation.provided else MOVED
    if phase:
        steps = moved.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"provided"})
        given = {"provided": KEPT} if rotation.provided else {}
        tree["rotation"] = {name: value for name, value in steps.items() if value is not None} | given
    written: str = yaml.safe_dump({"trust": tree}, sort_keys=False)
    return written
