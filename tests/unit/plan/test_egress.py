"""Where calls leave: ports of the egress gateway, its address, and whom it concerns."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_federation.loader import parse
from mesh_federation.plan import egress, istio_values
from mesh_federation.plan.imports import imports
from mesh_federation.stack.config import Federation
from tests.unit.components.federations import committed

NAMES = st.sets(st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True), min_size=1, max_size=40)


def leaving(names: set[str]) -> Federation:
    """A cluster that imports from all of these through an egress gateway; rules do not matter here."""
    links = [{"cluster": "here", "from": name, "service": "a/b", "via": "egress"} for name in sorted(names)]
    return Federation.model_validate({"clusters": {"here": {}, **{name: {} for name in names}}, "imports": links})


@given(names=NAMES)
def test_every_exit_has_a_port_of_its_own(names: set[str]) -> None:
    ports = istio_values.egress_ports(leaving(names - {"here"} or {"a"}), "here")
    assert len(set(ports.values())) == len(ports)
    assert all(port in istio_values.EGRESS_PORTS for port in ports.values())


@given(names=NAMES, more=st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True))
def test_one_more_cluster_moves_no_exit_unless_it_wishes_for_the_same_port(names: set[str], more: str) -> None:
    before = istio_values.egress_ports(leaving(names), "here")
    after = istio_values.egress_ports(leaving({*names, more}), "here")
    alone = [istio_values.egress_ports(leaving({name}), "here")[name] for name in {*names, more}]
    if len(set(alone)) == len(alone):
        assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(
    ("cluster", "address"),
    [
        ({}, "10.96.0.5"),
        ({"provisioner": "kind", "serviceSubnet": "10.255.10.0/24"}, "10.255.10.5"),
        ({"serviceSubnet": "10.255.10.0/28"}, "10.255.10.5"),
        ({"serviceSubnet": "10.255.10.0/29"}, ""),
        ({"provisioner": "existing", "kubeconfig": "k"}, ""),
    ],
)
def test_its_address_is_known_wherever_the_service_subnet_is(cluster: dict[str, object], address: str) -> None:
    federation = Federation.model_validate({"clusters": {"east": cluster}})
    assert istio_values.egress_address(istio_values.egress_values(federation, federation.clusters["east"])) == address


def test_an_address_of_the_users_own_is_the_one_that_callers_are_told() -> None:
    tree: Any = committed("egress")
    tree["istio"] = {"egressValues": {"service": {"clusterIP": "10.255.10.77"}}}
    federation = parse(tree)
    planned = egress.plan(federation, "east", imports(federation, "east"))
    assert planned and planned.address == "10.255.10.77"


def test_direct_imports_need_no_egress() -> None:
    federation = parse(committed("east-west"))
    assert egress.plan(federation, "east", imports(federation, "east")) is None


def test_names_of_one_services_hosts_and_of_several_ways_differ() -> None:
    tree: Any = committed("egress")
    first = tree["imports"][0]
    tree["imports"].append({**first, "as": "remote", "api": "istio"})
    federation = parse(tree)
    planned = egress.plan(federation, "east", imports(federation, "east"))
    assert planned
    names = [each.name for each in planned.objects]
    assert len(names) == len(set(names))
    [way] = planned.exits
    assert {route.host for route in way.routes} == {"httpbin.mesh.global", "httpbin.httpbin.svc.cluster.local"}
