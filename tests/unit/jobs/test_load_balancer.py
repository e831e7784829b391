"""What a load balancer gave a gateway's Service is printed once it is there; where it never is, that is said."""

import json

import pytest

from mesh_federation.jobs import load_balancer
from mesh_federation.jobs.load_balancer import LoadBalancerSettings
from tests.unit.clusters.fake_machine import FakeMachine
from tests.unit.command_result import CommandResult

SETTINGS = LoadBalancerSettings("west", "istio-system", "istio-eastwestgateway")
INGRESS = [{"ip": "203.0.113.7"}, {"ip": "2001:db8::16"}]


def service(*ingress: dict[str, str]) -> str:
    return json.dumps({"status": {"loadBalancer": {"ingress": list(ingress)} if ingress else {}}})


def waited(machine: FakeMachine) -> CommandResult:
    return machine.run("load-balancer", stdin="apiVersion: v1\n", settings=SETTINGS)


def test_what_the_load_balancer_gave_is_printed(machine: FakeMachine) -> None:
    machine.when("kubectl", "get", "service", out=service(*INGRESS))
    done = waited(machine)
    assert (done.status, json.loads(done.out)) == (0, INGRESS)
    [asked] = machine.calls()
    assert asked.argv[1:4] == ["get", "service", "istio-eastwestgateway"]
    assert "--namespace=istio-system" in asked.argv


def ending(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its last words when time is up."""
    machine.enter(monkeypatch)
    with pytest.raises(SystemExit) as ended:
        load_balancer.run(SETTINGS, machine.context(), timeout=0)
    return str(ended.value.code)


def test_a_service_that_stays_pending_is_told_with_the_ways_on(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.when("kubectl", "get", "service", out=service())
    said = ending(machine, monkeypatch)
    assert "Service istio-system/istio-eastwestgateway of west has no address" in said
    assert "install a load balancer in west" in said
    assert "clusters.west.gateway.addresses" in said


def test_a_service_that_cannot_be_read_is_told_in_the_servers_words(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.when("kubectl", "get", "service", status=1, err="Forbidden\n")
    assert "cannot be read:\nForbidden" in ending(machine, monkeypatch)
