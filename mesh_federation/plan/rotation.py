"""From the authorities that clusters have to those that they are to have: which steps are an outage, and are refused.

Two rules make a step safe, whatever it is for. A root that a cluster is to sign under must be trusted everywhere
before; a root that a cluster signed under must still be trusted everywhere after. Both read the same backwards, so a
step that was safe can be taken back, and one that broke off can be repeated. Source: RFC 4210 section 4.4, which rolls
a root over with both trusted meanwhile; walk-through pitfall 4.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mesh_federation.plan.trust import TrustPlan
from mesh_federation.stack.problem import InvalidModel, Problem

RULE = "rotation-step"


@dataclass(frozen=True)
class TrustState:
    """What clusters sign under and trust, in words that tell one root from another.

    Attributes:
        issuers: the root that each cluster's workloads lead to, by cluster.
        accepted: the roots that each cluster trusts, by cluster.
    """

    issuers: Mapping[str, str]
    accepted: Mapping[str, frozenset[str]]


def standing(plan: TrustPlan) -> TrustState:
    """Return where a plan leads to."""
    return TrustState(plan.issuers, dict.fromkeys(plan.issuers, frozenset(plan.accepted)))


def step(before: TrustState, after: TrustState) -> None:
    """Take the step only if it is safe.

    Raises:
        InvalidModel: it would be an outage.
    """
    if found := tuple(findings(before, after)):
        raise InvalidModel(found)


def findings(before: TrustState, after: TrustState) -> Iterator[Problem]:
    """Find what makes a step an outage: between any two clusters that are there before and after it.

    Args:
        before: what the last `up` left; empty where there was none.
        after: what is declared now.
    """
    lasting = sorted(before.issuers.keys() & after.issuers.keys())
    strange = {after.issuers[a] for a in lasting for b in lasting if after.issuers[a] not in before.accepted[b]}
    lost = {before.issuers[a] for a in lasting for b in lasting if before.issuers[a] not in after.accepted[b]}
    if strange:
        yield Problem(
            "trust",
            RULE,
            f"workloads would get certificates of {_all(strange)}, which clusters that run do not trust yet: calls"
            " between them would fail until all have started anew",
            "say where to go under trust.rotation, and take its steps one by one: phase add, then switch, then drop",
        )
    elif lost:
        yield Problem(
            "trust",
            RULE,
            f"{_all(lost)} would no longer be trusted, and workloads that run have certificates of it",
            "let them have others first: phase switch comes before drop",
        )


def _all(roots: set[str]) -> str:
    return " and ".join(sorted(roots))
