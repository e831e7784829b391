"""References between entries: every cluster that an entry names is declared."""

from collections.abc import Iterator

from mesh_federation.stack.config import Federation
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule
from mesh_federation.stack.text import nearest


def clusters_exist(federation: Federation) -> Iterator[Problem]:
    """An entry refers to clusters by their keys under `clusters`."""
    for path, name in _references(federation):
        if name not in federation.clusters:
            yield _unknown(federation, path, name)


def _references(federation: Federation) -> Iterator[tuple[str, str]]:
    for export in federation.exports:
        yield f"{export.path}.cluster", export.cluster
        for consumer in export.to:
            yield f"{consumer.path}.cluster", consumer.cluster
    for link in federation.imports:
        yield f"{link.path}.cluster", link.cluster
        yield f"{link.path}.from", link.source
    for discovery in federation.discovery:
        yield f"{discovery.path}.cluster", discovery.cluster
        yield f"{discovery.path}.of", discovery.of
    for workload in federation.workloads:
        yield f"{workload.path}.cluster", workload.cluster


def _unknown(federation: Federation, path: str, name: str) -> Problem:
    declared = list(federation.clusters)
    meant = nearest(name, declared)
    listed = ", ".join(declared[:8]) + (f" and {len(declared) - 8} more" if len(declared) > 8 else "")
    problem = f"{name or 'the empty text'} is not a cluster of this federation; its clusters are {listed}"
    fix = f"write {meant}" if meant else "write one of these, or declare the cluster under clusters"
    return Problem(path, FederationRule.UNKNOWN_CLUSTER, problem, fix)


RULES = (clusters_exist,)
