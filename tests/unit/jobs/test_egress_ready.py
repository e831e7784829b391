"""Callers move to an egress gateway only when all of its Envoys take their calls and know where these go."""

import json

import pytest

from mesh_federation.jobs import egress_ready
from mesh_federation.jobs.egress_ready import EgressReadySettings
from tests.unit.clusters.fake_machine import FakeMachine
from tests.unit.command_result import CommandResult

UPSTREAM = "outbound|15443||ingress.west.mesh.global"
HOST = "*.httpbin.httpbin.svc.cluster.local"
KNOWN = f"{UPSTREAM}::172.30.255.1:15443::cx_active::0\n"
SETTINGS = EgressReadySettings("istio-system", "app=istio-egressgateway", 16042, (HOST,), UPSTREAM)


def pods(**phases: str) -> str:
    items = [
        {
            "metadata": {"name": name, **({"deletionTimestamp": "now"} if phase == "Ending" else {})},
            "status": {"phase": "Running" if phase == "Ending" else phase},
        }
        for name, phase in phases.items()
    ]
    return json.dumps({"items": items})


def listeners(*names: str, port: int = 16042) -> str:
    """What Envoy tells of its listeners."""
    chains = [{"filter_chain_match": {"server_names": [name]}} for name in names]
    address = {"socket_address": {"address": "0.0.0.0", "port_value": port}}
    state = {"listener": {"address": address, "filter_chains": [*chains, {}]}}
    return json.dumps({"configs": [{"name": "warming"}, {"active_state": state}]})


def envoy(machine: FakeMachine, listening: str, known: str) -> None:
    machine.when("kubectl", "config_dump?resource=dynamic_listeners", out=listening)
    machine.when("kubectl", "clusters", out=known)


def waited(machine: FakeMachine) -> CommandResult:
    return machine.run("egress-ready", stdin="apiVersion: v1\n", settings=SETTINGS)


def missing(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the job says when it has waited in vain."""
    machine.enter(monkeypatch)
    with pytest.raises(SystemExit) as ended:
        egress_ready.run(SETTINGS, machine.context(), timeout=0)
    return str(ended.value)


def test_an_envoy_that_takes_the_host_and_knows_its_way_is_waited_for_no_longer(machine: FakeMachine) -> None:
    machine.when("kubectl", "get", out=pods(one="Running"))
    envoy(machine, listeners("*.other", HOST), KNOWN)
    assert waited(machine).status == 0
    asked = [call.argv[call.argv.index("pilot-agent") :] for call in machine.calls("kubectl") if "exec" in call.argv]
    assert asked == [
        ["pilot-agent", "request", "GET", "config_dump?resource=dynamic_listeners"],
        ["pilot-agent", "request", "GET", "clusters"],
    ]


def test_pods_that_start_or_end_get_no_calls_and_are_not_asked(machine: FakeMachine) -> None:
    machine.when("kubectl", "get", out=pods(one="Running", two="Pending", three="Ending"))
    envoy(machine, listeners(HOST), KNOWN)
    assert waited(machine).status == 0
    assert {call.argv[3] for call in machine.calls("kubectl") if "exec" in call.argv} == {"one"}


@pytest.mark.parametrize(
    ("listening", "known", "lacks"),
    [
        (listeners("*.other"), KNOWN, f"one does not accept {HOST}"),
        (listeners(HOST, port=16043), KNOWN, f"one does not accept {HOST}"),
        ("", KNOWN, f"one does not accept {HOST}"),
        (listeners(HOST), f"{UPSTREAM}::default_priority::max_connections::1\n", f"one has no address of {UPSTREAM}"),
        (listeners(HOST), "", f"one has no address of {UPSTREAM}"),
    ],
    ids=["another-host", "another-port", "no-answer", "no-address", "unknown-upstream"],
)
def test_what_an_envoy_lacks_is_told(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch, listening: str, known: str, lacks: str
) -> None:
    machine.when("kubectl", "get", out=pods(one="Running"))
    envoy(machine, listening, known)
    assert missing(machine, monkeypatch) == f"the egress gateway is not ready:\n{lacks}"


def test_a_gateway_without_pods_leads_nowhere(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.when("kubectl", "get", out=pods(one="Pending"))
    assert missing(machine, monkeypatch).endswith("no pod of it runs in istio-system")


def test_a_cluster_that_does_not_answer_is_told_in_its_own_words(machine: FakeMachine) -> None:
    machine.when("kubectl", "get", status=1, err="connection refused")
    done = waited(machine)
    assert (done.status, done.err) == (1, "cannot look for the egress gateway's pods:\nconnection refused\n")
