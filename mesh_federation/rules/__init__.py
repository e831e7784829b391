"""The rules of a stack file. A rule is a generator of problems; all rules run, and all problems are shown."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mesh_federation.rules import (
    addresses,
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
    *fleet.RULES,
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


OF_FLEETS: tuple[Rule, ...] = (
    references.clusters_exist,
    exports.exports_name_consumers,
    imports.imports_are_consented,
    imports.services_do_not_go_in_circles,
)
"""Rules that span clusters without links: no member would see what breaks them."""


def check_fleet(fleet: Federation) -> tuple[Problem, ...]:
    """Run the rules that hold between all members of a fleet.

    Args:
        fleet: as its file declares it, with the right types.
    """
    return ordered(problem for rule in OF_FLEETS for problem in rule(fleet))


def check(federation: Federation, base: Path | None = None) -> tuple[Problem, ...]:
    """Run every rule and return all problems, each once, sorted by key path.

    Args:
        federation: the federation, with the right types.
        base: the folder that paths of certificate files are relative to; default: the working directory.
    """
    found = [problem for rule in RULES for problem in rule(federation)]
    found.extend(provided_authorities.check(federation, base or Path()))
    found.extend(twins.check(federation, base or Path()))
    return ordered(found)


def ordered(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Sort problems by key path, `exports[2]` before `exports[10]`, drop duplicates and escape unprintable text."""
    return tuple(sorted(dict.fromkeys(map(_printable, problems)), key=_sort_key))


def _printable(problem: Problem) -> Problem:
    texts = (problem.where, problem.rule, problem.what, problem.fix)
    return problem if all(map(str.isprintable, texts)) else Problem(*(escape_unprintable(text) for text in texts))


def _sort_key(problem: Problem) -> tuple[list[tuple[int, int, str]], str, str]:
    parts = re.split(r"(\d+)", problem.where)
    return [(1, int(p), "") if p.isdecimal() else (0, 0, p) for p in parts], problem.rule, problem.what
