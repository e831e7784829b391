"""The rules of a stack file. A rule is a generator of problems; all rules run, and all problems are shown."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mesh_federation.rules import (
    addresses,
    cluster_domains,
    discovery,
    egress,
    exports,
    fleet,
    gateways,
    global_hosts,
    imports,
    istio_values,
    names,
    observed,
    partners,
    ports,
    provided_authorities,
    providers,
    references,
    rotation,
    trust,
    trust_scope,
    twins,
    versions,
    weights,
)
from mesh_federation.stack.config import Federation
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule
from mesh_federation.stack.text import escape_unprintable

Rule = Callable[[Federation], Iterator[Problem]]

RULES: tuple[Rule, ...] = (
    *references.RULES,
    *names.RULES,
    *addresses.RULES,
    *gateways.RULES,
    *providers.RULES,
    *observed.RULES,
    *partners.RULES,
    *cluster_domains.RULES,
    *trust.RULES,
    *trust_scope.RULES,
    *rotation.RULES,
    *versions.RULES,
    *istio_values.RULES,
    *exports.RULES,
    *imports.RULES,
    *discovery.RULES,
    *global_hosts.RULES,
    *egress.RULES,
    *ports.RULES,
    *weights.RULES,
)


KNOWN_TO_MEMBERS = frozenset(
    {
        FederationRule.MISSING_KUBECONFIG,
        FederationRule.NOT_OBSERVED,
        FederationRule.PROVIDED_INCOMPLETE,
        FederationRule.OBSERVED_SCOPE,
    }
)
"""Rules about what the stack files of members say, which the file of their fleet need not."""


def check_fleet(declared: Federation) -> tuple[Problem, ...]:
    """Run the rules on the clusters of all members: much of it spans clusters that have no link with each other.

    Args:
        declared: all that the file of a fleet declares, with the right types.
    """
    whole = declared.model_copy(update={"member_of": None, "discovery": ()})
    spanning = (problem for rule in RULES for problem in rule(whole) if not _is_known_to_members(declared, problem))
    return ordered([*spanning, *(problem for rule in fleet.RULES for problem in rule(declared))])


def _is_known_to_members(declared: Federation, problem: Problem) -> bool:
    """Say whether the file of a fleet need not have the answer; authorities of members may be in their own files."""
    is_provided = "provided" in (declared.trust.model, declared.trust.following.model)
    is_authority = problem.rule == FederationRule.REVOKED_UNKNOWN and problem.where.endswith(".authority")
    return problem.rule in KNOWN_TO_MEMBERS or (is_provided and is_authority)


OF_MEMBERS: tuple[Rule, ...] = (*addresses.RULES, *providers.RULES, *observed.RULES, *partners.RULES)
"""Rules about what cards say and what the stack file of a member has; all others hold for the fleet as a whole."""


def check_member(member: Federation, declared: Federation, base: Path | None = None) -> tuple[Problem, ...]:
    """Check one member of a fleet.

    Args:
        member: the part that its stack makes.
        declared: all that the file of the fleet declares.
        base: the folder that paths of certificate files are relative to; default: the working directory.
    """
    found = [problem for rule in OF_MEMBERS for problem in rule(member)]
    return ordered([*found, *_material(member, base), *check_fleet(declared)])


def check(federation: Federation, base: Path | None = None) -> tuple[Problem, ...]:
    """Run every rule and return all problems, each once, sorted by key path.

    Args:
        federation: the federation, with the right types.
        base: the folder that paths of certificate files are relative to; default: the working directory.
    """
    found = [problem for rule in RULES for problem in rule(federation)]
    return ordered([*found, *_material(federation, base)])


def _material(federation: Federation, base: Path | None) -> Iterator[Problem]:
    yield from provided_authorities.check(federation, base or Path())
    yield from twins.check(federation, base or Path())


def ordered(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Sort problems by key path, `exports[2]` before `exports[10]`, drop duplicates and escape unprintable text."""
    return tuple(sorted(dict.fromkeys(map(_printable, problems)), key=_sort_key))


def _printable(problem: Problem) -> Problem:
    texts = (problem.where, problem.rule, problem.what, problem.fix)
    return problem if all(map(str.isprintable, texts)) else Problem(*(escape_unprintable(text) for text in texts))


def _sort_key(problem: Problem) -> tuple[list[tuple[int, int, str]], str, str]:
    parts = re.split(r"(\d+)", problem.where)
    return [(1, int(p), "") if p.isdecimal() else (0, 0, p) for p in parts], problem.rule, problem.what
