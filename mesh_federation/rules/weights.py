"""Shares of calls among several sources of one service."""

from collections import defaultdict
from collections.abc import Iterator

from mesh_federation.plan import local_endpoints
from mesh_federation.stack.config import Federation, Import
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule


def weights_add_up(federation: Federation) -> Iterator[Problem]:
    """Istio refuses weights whose sum is not 100; beside local pods the rest is theirs."""
    for group in _groups(federation):
        weighted = [link for link in group if link.weight is not None]
        if not weighted:
            continue
        called = f"{group[0].service} in {group[0].cluster}"
        plain = [link for link in group if link.weight is None]
        if plain:
            yield Problem(
                f"{plain[0].path}.weight",
                FederationRule.WEIGHT_MISSING,
                f"{weighted[0].path} gives {weighted[0].source} a weight of {weighted[0].weight} for {called}, but"
                f" {plain[0].path} from {plain[0].source} has none",
                "give every import of this service in this cluster a weight, or none of them",
            )
            continue
        total = sum(link.weight or 0 for link in group)
        shares = " + ".join(f"{link.source} {link.weight}" for link in group)
        beside_pods = local_endpoints.answer(federation, group[0])
        if beside_pods and total > 100:
            yield Problem(
                f"{group[0].path}.weight",
                FederationRule.WEIGHTS_SUM,
                f"the weights for {called} are {shares} = {total}; local pods get what is left of 100",
                "lower them to at most 100 in all",
            )
        elif not beside_pods and total != 100:
            yield Problem(
                f"{group[0].path}.weight",
                FederationRule.WEIGHTS_SUM,
                f"the weights for {called} are {shares} = {total}, not 100; Istio refuses such a DestinationRule",
                "change them so that they add up to 100",
            )


def weights_exclude_failover(federation: Federation) -> Iterator[Problem]:
    """Istio takes either a distribution or a failover for one host, never both."""
    for group in _groups(federation):
        weighted = next((link for link in group if link.weight is not None), None)
        failing_over = next((link for link in group if link.failover is not None), None)
        if weighted and failing_over:
            yield Problem(
                f"{failing_over.path}.failover",
                FederationRule.WEIGHTS_WITH_FAILOVER,
                f"{weighted.path} weighs the calls from {weighted.cluster} to {weighted.service}, and"
                f" {failing_over.path} lets them fail over; Istio takes `distribute` or `failover`, not both",
                "remove the weights, or remove failover",
            )


def shares_and_failover_tell_places_apart(federation: Federation) -> Iterator[Problem]:
    """Beside local pods, Istio weighs localities and prefers the own one: no two places may be the same one.

    Source: Istio refuses a `distribute` whose localities overlap (validateLocalities).
    """
    for group in _groups(federation):
        here = federation.clusters.get(group[0].cluster)
        acts = any(link.weight is not None or link.failover is not None for link in group)
        if here is None or not acts or not local_endpoints.answer(federation, group[0]):
            continue
        places = [(f"the pods of {here.name}", here.locality)]
        for link in group:
            there = federation.clusters.get(link.source)
            locality = link.locality or (there.locality if there else "")
            same = next((f"{name} ({other})" for name, other in places if _overlap(locality, other)), None)
            if same is not None:
                yield Problem(
                    f"{link.path}.locality",
                    FederationRule.LOCAL_IN_ONE_LOCALITY,
                    f"{link.source} ({locality}) and {same} are in one locality; weights and failover act between"
                    f" localities, so calls of {link.service} could not be told apart",
                    f"give {link.path} a locality of its own, for example locality: {link.source}",
                )
            places.append((link.source, locality))


def _overlap(one: str, other: str) -> bool:
    """Say whether one of two localities is the other or lies in it."""
    return all(a == b for a, b in zip(one.split("/"), other.split("/"), strict=False))


def _groups(federation: Federation) -> list[list[Import]]:
    """Imports that serve the same calls: one host in one cluster."""
    groups: dict[tuple[str, str, str], list[Import]] = defaultdict(list)
    for link in federation.imports:
        groups[link.cluster, link.host, link.mode].append(link)
    return list(groups.values())


RULES = (weights_add_up, weights_exclude_failover, shares_and_failover_tell_places_apart)
