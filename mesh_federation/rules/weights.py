"""Weights: shares of calls among several exporters of a service, and failover between them."""

from collections.abc import Iterator

from mesh_federation.plan.imports import has_local_endpoints
from mesh_federation.stack.config import Federation, by_host
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule


def weights_add_up(federation: Federation) -> Iterator[Problem]:
    """Istio refuses weights that do not add up to 100; local pods get the rest."""
    for group in by_host(federation.imports).values():
        weighted = [link for link in group if link.weight is not None]
        if not weighted:
            continue
        called = f"{group[0].service} in {group[0].cluster}"
        plain = [link for link in group if link.weight is None]
        if plain:
            yield Problem(
                f"{plain[0].path}.weight",
                FederationRule.WEIGHT_MISSING,
                f"{weighted[0].path} has weight {weighted[0].weight} for {called} from {weighted[0].source}, but"
                f" {plain[0].path} from {plain[0].source} has no weight",
                "give every import of this service into this cluster a weight, or none of them",
            )
            continue
        total = sum(link.weight or 0 for link in group)
        shares = " + ".join(f"{link.source} {link.weight}" for link in group)
        beside_pods = has_local_endpoints(federation, group[0])
        if beside_pods and total > 100:
            yield Problem(
                f"{group[0].path}.weight",
                FederationRule.WEIGHTS_SUM,
                f"the weights for {called} are {shares} = {total}; they exceed 100, of which local pods get the rest",
                "lower them so that they add up to at most 100",
            )
        elif not beside_pods and total != 100:
            yield Problem(
                f"{group[0].path}.weight",
                FederationRule.WEIGHTS_SUM,
                f"the weights for {called} are {shares} = {total}, not 100; Istio refuses such a DestinationRule",
                "change them so that they add up to 100",
            )


def weights_exclude_failover(federation: Federation) -> Iterator[Problem]:
    """For one host, Istio accepts either a distribution or a failover."""
    for group in by_host(federation.imports).values():
        weighted = next((link for link in group if link.weight is not None), None)
        failing_over = next((link for link in group if link.failover is not None), None)
        if weighted and failing_over:
            yield Problem(
                f"{failing_over.path}.failover",
                FederationRule.WEIGHTS_WITH_FAILOVER,
                f"for calls from {weighted.cluster} to {weighted.service}, {weighted.path} has a weight and"
                f" {failing_over.path} has failover, but Istio accepts `distribute` or `failover`, not both",
                "remove the weights or the failover",
            )


def weights_and_failover_have_distinct_localities(federation: Federation) -> Iterator[Problem]:
    """Beside local pods, weights and failover act between localities, so these must not overlap.

    Source: Istio refuses a `distribute` whose localities overlap (validateLocalities).
    """
    for group in by_host(federation.imports).values():
        here = federation.clusters.get(group[0].cluster)
        acts = any(link.weight is not None or link.failover is not None for link in group)
        if here is None or not acts or not has_local_endpoints(federation, group[0]):
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
                    f"{link.source} ({locality}) and {same} are in one locality, but weights and failover of"
                    f" {link.service} act between localities",
                    f"give {link.path} its own locality, for example locality: {link.source}",
                )
            places.append((link.source, locality))


def _overlap(one: str, other: str) -> bool:
    """Say whether one of two localities is the other or lies in it."""
    return all(a == b for a, b in zip(one.split("/"), other.split("/"), strict=False))


RULES = (weights_add_up, weights_exclude_failover, weights_and_failover_have_distinct_localities)
