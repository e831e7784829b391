import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from mesh_federation.clusters import generations
from mesh_federation.clusters.generations import PAUSES, QUIET_SECONDS, let_importers_move
from mesh_federation.plan.istio_values import GATEWAY, labels_of
from mesh_federation.stack.config import NamespacedName
from tests.unit.clusters.fake_machine import FakeMachine

OLD, NEW = "west-0a1b2c", "west-999999"


@pytest.fixture
def machine(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    """A machine on which west was replaced, with the job running in this process."""
    machine.enter(monkeypatch)
    machine.install("kubectl")
    note = machine.home / "kubeconfigs" / "dev" / ".west.of"
    note.parent.mkdir(parents=True)
    note.write_text(NEW)
    return machine


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the script slept, each time."""
    slept: list[float] = []
    monkeypatch.setattr(generations, "time", SimpleNamespace(sleep=slept.append))
    return slept


def gateway(machine: FakeMachine, *counts: tuple[int, int], pods: str = "istio-system/gateway-1\n") -> None:
    """Let the gateway have so many connections open, and so many ever, each time it is asked."""
    machine.when("kubectl", "pods", out=pods)
    machine.when("kubectl", "exec", out=[clusters(*count) for count in counts])


def clusters(active: int, total: int) -> str:
    """What Envoy's admin interface shows; it leaves out what is 0."""
    own = {"cx_active": 7, "cx_total": 7}
    named = {
        "outbound_.8000_._.httpbin.httpbin.svc.cluster.local": {"cx_active": active, "cx_total": total},
        "outbound|443||istiod.istio-system.svc.cluster.local": own,
        "xds-grpc": own,
    }
    shown = [
        {"name": name, "host_statuses": [{"stats": [{"name": n, "value": str(v)} for n, v in stats.items() if v]}]}
        for name, stats in named.items()
    ]
    return json.dumps({"cluster_statuses": [*shown, {"name": "outbound_.80_._.sleep"}]})


Pauses = list[float]


def test_a_cluster_without_callers_goes_after_one_pause(machine: FakeMachine, pauses: Pauses) -> None:
    gateway(machine, (0, 3))
    let_importers_move(machine.cluster(OLD))
    assert pauses == [QUIET_SECONDS]


def test_an_open_connection_is_waited_for(machine: FakeMachine, pauses: Pauses) -> None:
    gateway(machine, (2, 3), (2, 3), (1, 3), (0, 3))
    let_importers_move(machine.cluster(OLD))
    assert len(pauses) == 3


def test_connections_that_come_and_go_between_two_looks_are_callers_too(machine: FakeMachine, pauses: Pauses) -> None:
    gateway(machine, (0, 3), (0, 40), (0, 41), (0, 41))
    let_importers_move(machine.cluster(OLD))
    assert len(pauses) == 3


def test_every_pod_of_the_gateway_is_asked(machine: FakeMachine, pauses: Pauses) -> None:
    gateway(machine, (0, 3), pods="istio-system/gateway-1\nmesh/gateway-2\n")
    machine.when(
        "kubectl", "--namespace=mesh", "exec", "gateway-2", out=[clusters(1, 1), clusters(1, 1), clusters(0, 1)]
    )
    let_importers_move(machine.cluster(OLD))
    assert len(pauses) == 2


def test_callers_who_never_stop_are_cut_off_in_the_end_and_counted(
    machine: FakeMachine, pauses: Pauses, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway(machine, (2, 3))
    let_importers_move(machine.cluster(OLD))
    assert pauses == [QUIET_SECONDS] * PAUSES
    told = capsys.readouterr().err
    assert OLD in told and "2 connections open" in told and "60 s" in told


def no_answer(machine: FakeMachine) -> None:
    machine.when("kubectl", status=1, err="dial tcp 127.0.0.1:6443: connect: connection refused\n")


def no_gateway(machine: FakeMachine) -> None:
    gateway(machine, pods="")


def no_agent(machine: FakeMachine) -> None:
    machine.when("kubectl", "pods", out="istio-system/gateway-1\n")
    machine.when("kubectl", "exec", status=1, out="half an ans", err="unable to upgrade connection\n")


@pytest.mark.parametrize("state", [no_answer, no_gateway, no_agent])
def test_a_cluster_that_cannot_tell_holds_nobody_up(
    machine: FakeMachine, pauses: Pauses, state: Callable[[FakeMachine], None]
) -> None:
    state(machine)
    let_importers_move(machine.cluster(OLD))
    assert pauses == [QUIET_SECONDS]


def test_the_gateway_that_is_asked_is_the_one_that_the_model_installs(machine: FakeMachine, pauses: Pauses) -> None:
    gateway(machine, (0, 0))
    let_importers_move(machine.cluster(OLD))
    asked = next(call for call in machine.calls("kubectl") if "pods" in call.argv)
    key, _, value = generations.GATEWAY_LABEL.partition("=")
    assert labels_of(NamespacedName("mesh", GATEWAY))[key] == value
    assert f"--kubeconfig={machine.folder(OLD) / 'kubeconfig'}" in asked.argv
