"""Limits of rules, at the limit and one beyond it. Messages: tests/unit/stack/corpus."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_federation import loader, rules
from mesh_federation.clusters.addresses import capacity, pools
from mesh_federation.plan.federation import plan as planned
from mesh_federation.rules import gateways, istio_values
from mesh_federation.stack.config import Federation
from tests.unit.components.recorder import ROOT


def _rules(**tree: object) -> set[str]:
    return {problem.rule for problem in rules.check(Federation.model_validate(tree))}


def _clusters(count: int) -> dict[str, object]:
    return {f"c{index}": {} for index in range(count)}


CAPACITY = {16: 32, 17: 32, 18: 32, 19: 32, 20: 32, 21: 32, 22: 32, 23: 16, 24: 8, 25: 4, 26: 2}


@pytest.mark.parametrize(("prefix", "most"), CAPACITY.items())
def test_the_lab_takes_as_many_clusters_as_it_has_pools_for(prefix: int, most: int) -> None:
    lab = {"subnet": f"172.30.0.0/{prefix}"}
    assert _rules(lab=lab, clusters=_clusters(most)) == set()
    assert _rules(lab=lab, clusters=_clusters(most + 1)) == {"lab-too-small"}


@given(prefix=st.integers(8, 30), clusters=st.integers(1, 40))
def test_what_passes_the_rules_has_pools(prefix: int, clusters: int) -> None:
    federation = Federation.model_validate({"lab": {"subnet": f"172.0.0.0/{prefix}"}, "clusters": _clusters(clusters)})
    if not any(problem.where == "lab.subnet" for problem in rules.check(federation)):
        assert clusters <= capacity(federation.lab.subnet)
        assert len(pools(federation.lab.subnet, federation.clusters)) == clusters


def test_existing_clusters_need_no_room_in_the_lab() -> None:
    existing = {f"e{index}": {"provisioner": "existing", "kubeconfig": f"k{index}"} for index in range(40)}
    assert _rules(lab={"subnet": "172.30.0.0/26"}, clusters={**existing, **_clusters(2)}) == set()


@pytest.mark.parametrize("accounts", [{}, {"serviceAccounts": ("sleep/sleep",)}], ids=["all", "named"])
def test_one_trust_domain_needs_exports_that_treat_its_clusters_alike(accounts: dict[str, object]) -> None:
    callers = [{"cluster": name, **accounts} for name in ("east", "south")]
    export = {
        "cluster": "west",
        "service": "httpbin/httpbin",
        "ports": [{"name": "http", "number": 8000, "protocol": "HTTP"}],
    }
    clusters = {"west": {}, "east": {"trustDomain": "both.local"}, "south": {"trustDomain": "both.local"}}
    mesh = {"scope": "mesh"}
    assert _rules(trust=mesh, clusters=clusters, exports=[{**export, "to": callers}]) == set()
    assert _rules(trust=mesh, clusters=clusters, exports=[{**export, "to": callers[:1]}]) == {"trust-domain-taken"}


@given(weights=st.lists(st.integers(0, 100), min_size=1, max_size=4))
def test_weights_of_remote_imports_pass_exactly_when_they_add_up_to_100(weights: list[int]) -> None:
    names = [f"s{index}" for index in range(len(weights))]
    ports = [{"name": "http", "number": 8000, "protocol": "HTTP"}]
    found = _rules(
        clusters={"east": {}, **{name: {} for name in names}},
        exports=[{"cluster": n, "service": "a/b", "ports": ports, "to": [{"cluster": "east"}]} for n in names],
        imports=[
            {"cluster": "east", "from": name, "service": "a/b", "weight": weight}
            for name, weight in zip(names, weights, strict=True)
        ],
    )
    assert found == (set() if sum(weights) == 100 else {"weights-sum"})


def test_subnets_that_nobody_declared_stand_for_nothing_on_existing_clusters() -> None:
    existing = {"provisioner": "existing", "kubeconfig": "k", "network": "n", "meshID": "m", "trustDomain": "t"}
    other, mesh = {**existing, "kubeconfig": "another"}, {"scope": "mesh"}
    assert _rules(trust=mesh, clusters={"a": existing, "b": other}) == set()
    taken = {**existing, "serviceSubnet": "10.244.0.0/16"}
    assert _rules(trust=mesh, clusters={"a": other, "b": taken}) == set(), "the pod subnet of neither is known"
    both = {"a": taken, "b": {**other, "podSubnet": "10.244.0.0/16"}}
    assert _rules(trust=mesh, clusters=both) == {"subnets-overlap"}
    assert _rules(clusters={"a": {**taken, "podSubnet": "10.244.0.0/24"}}) == {"subnets-overlap"}
    of_ours = {"network": "n", "meshID": "m", "trustDomain": "t"}
    assert _rules(trust=mesh, clusters={"a": of_ours, "b": of_ours}) == {"subnets-overlap"}


def _paths(values: object, kind: type, above: str = "") -> set[str]:
    """Where a mapping or list stands in values, at any depth; not inside of lists."""
    if not isinstance(values, dict):
        return set()
    found = set()
    for key, value in values.items():
        found |= ({f"{above}{key}"} if isinstance(value, kind) else set()) | _paths(value, kind, f"{above}{key}.")
    return found


@pytest.mark.parametrize("stack", ["simulated", "egress", "gateway-api", "three-meshes", "multi-primary"])
def test_the_shape_of_each_value_that_the_program_sets_is_checked(stack: str) -> None:
    federation = loader.read(ROOT / f"Pulumi.{stack}.yaml")
    for plan in planned(federation, stack).clusters.values():
        values = {
            "values": plan.values["istiod"],
            "gatewayValues": plan.values["istio-eastwestgateway"],
            "egressValues": plan.egress.values if plan.egress else {},
        }
        for key, computed in values.items():
            assert _paths(computed, dict) <= {".".join(section) for section in istio_values.SECTIONS[key]}
            assert _paths(computed, list) <= set(gateways.LISTS[key])
