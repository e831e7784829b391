"""Facts that span several entries of a stack file. A rule is a generator of findings; all rules run, all are shown."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mesh_federation.rules import (
    addresses,
    discovery,
    egress,
    gateways,
    global_hosts,
    links,
    names,
    ports,
    provided,
    provisioners,
    references,
    rotation,
    trust,
    values,
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
    *provisioners.RULES,
    *trust.RULES,
    *rotation.RULES,
    *versions.RULES,
    *values.RULES,
    *links.RULES,
    *discovery.RULES,
    *global_hosts.RULES,
    *egress.RULES,
    *ports.RULES,
    *weights.RULES,
)


def check(federation: Federation, base: Path | None = None) -> tuple[Problem, ...]:
    """Run every rule and return all findings, in the order of their places in the stack file, each once.

    Args:
        federation: a model of the right shape.
        base: the folder that paths of certificate files are relative to; the working directory when left out.
    """
    found = [finding for rule in RULES for finding in rule(federation)]
    found.extend(provided.check(federation, base or Path()))
    return ordered(found)


def ordered(findings: Iterable[Problem]) -> tuple[Problem, ...]:
    """Sort findings by place, `exports[2]` before `exports[10]`, drop repetitions and what steers a terminal."""
    return tuple(sorted(dict.fromkeys(map(_inert, findings)), key=_place))


def _inert(finding: Problem) -> Problem:
    texts = (finding.where, finding.rule, finding.what, finding.fix)
    return finding if all(map(str.isprintable, texts)) else Problem(*(escape_unprintable(text) for text in texts))


def _place(finding: Problem) -> tuple[list[tuple[int, int, str]], str, str]:
    parts = re.split(r"(\d+)", finding.where)
    return [(1, int(p), "") if p.isdecimal() else (0, 0, p) for p in parts], finding.rule, finding.what
