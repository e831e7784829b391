"""Helm values must not go around the model; messages are in tests/unit/stack/corpus."""

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

import pytest

from mesh_federation import rules
from mesh_federation.plan import istio_values
from mesh_federation.stack.config import Federation

TREE: dict[str, Any] = {
    "clusters": {"east": {"gateway": {"port": 15444}}, "west": {}},
    "exports": [
        {
            "cluster": "west",
            "service": "httpbin/httpbin",
            "ports": [{"name": "http", "number": 8000, "protocol": "HTTP"}],
            "to": [{"cluster": "east"}],
        }
    ],
    "imports": [{"cluster": "east", "from": "west", "service": "httpbin/httpbin", "api": "gateway"}],
    "istio": {"version": "1.24.0"},
}
FREE = {
    *("values.autoscaleEnabled", "values.meshConfig.accessLogFile"),
    *("values.global.operatorManageWebhooks", "values.global.configValidation"),
    *("values.global.hub", "values.global.tag"),
    *(f"values.{env}.PILOT_ENABLE_ALPHA_GATEWAY_API" for env in ("env", "pilot.env")),
    *("gatewayValues.autoscaling.enabled", "gatewayValues.imagePullPolicy", "gatewayValues.replicaCount"),
    *("egressValues.autoscaling.enabled", "egressValues.imagePullPolicy", "egressValues.replicaCount"),
    *(f"{kind}.env.EXIT_ON_ZERO_ACTIVE_CONNECTIONS" for kind in ("gatewayValues", "egressValues")),
    *(f"{kind}.terminationGracePeriodSeconds" for kind in ("gatewayValues", "egressValues")),
}
"""Computed values that nothing else in the model relies on, and a flag with a rule of its own."""


def _leaves(tree: Mapping[str, Any], *above: str) -> Iterator[tuple[str, ...]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, *above, key)
        else:
            yield (*above, key)


def _computed() -> list[tuple[str, ...]]:
    federation = Federation.model_validate(TREE)
    east = federation.clusters["east"]
    charts = {
        "values": istio_values.istiod_values(federation, east),
        "gatewayValues": istio_values.gateway_values(federation, east, None),
        "egressValues": istio_values.egress_values(federation, east),
    }
    return [(chart, *keys) for chart, values in charts.items() for keys in _leaves(values)]


def _rules(*keys: str, value: object) -> set[str]:
    below: Any = reduce(lambda tree, key: {key: tree}, reversed(keys), value)
    istio = {**TREE["istio"], keys[0]: below[keys[0]]}
    return {problem.rule for problem in rules.check(Federation.model_validate({**TREE, "istio": istio}))}


DECIDED = [keys for keys in _computed() if ".".join(keys) not in FREE and keys[1] != "service"]


def test_most_of_what_is_computed_is_decided() -> None:
    assert len(DECIDED) > 12
    assert {".".join(keys) for keys in _computed()} > FREE


@pytest.mark.parametrize("keys", DECIDED, ids=".".join)
@pytest.mark.parametrize("value", ["another", None])
def test_what_the_model_computes_cannot_be_overruled(keys: tuple[str, ...], value: object) -> None:
    assert _rules(*keys, value=value) - {"values-not-a-list"} == {"decided-elsewhere"}


@pytest.mark.parametrize("name", ["trustDomain", "trust_domain", "trustDomainAliases", "trust_domain_aliases"])
def test_mesh_configuration_is_refused_in_both_spellings_that_istio_takes(name: str) -> None:
    assert _rules("values", "meshConfig", name, value="cluster.local") == {"decided-elsewhere"}


@pytest.mark.parametrize("name", ["PILOT_ENABLE_METADATA_EXCHANGE", "PILOT_HTTP10", "ENABLE_NATIVE_SIDECARS"])
def test_flags_that_nothing_relies_on_stay_free(name: str) -> None:
    assert _rules("values", "env", name, value="false") == set()
