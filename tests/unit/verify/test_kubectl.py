"""A cluster that cannot be seen is told from one that is not as declared, and holds nobody up."""

import json
import os
from pathlib import Path

import pytest

from mesh_federation.verify.kubectl import LISTED, CachedKubectl
from mesh_federation.verify.objects import IstioGateway, ServiceEntry
from mesh_federation.verify.verdict import ClusterUnreachable, Inconclusive
from tests.unit.clusters.fake_machine import FakeMachine


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    made = FakeMachine(tmp_path)
    made.install("kubectl")
    return made


@pytest.fixture
def east(machine: FakeMachine) -> CachedKubectl:
    return CachedKubectl("east", machine.root / "kubeconfig", {**os.environ, **machine.environment})


@pytest.mark.parametrize(
    "said",
    [
        "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?",
        "Unable to connect to the server: dial tcp 10.0.0.1:6443: i/o timeout",
        "Unable to connect to the server: net/http: request canceled (Client.Timeout exceeded while awaiting headers)",
        "error: Get https://10.0.0.1:6443/api: dial tcp: lookup api.example.org: no such host",
    ],
)
def test_a_cluster_that_does_not_answer_is_asked_once(machine: FakeMachine, east: CachedKubectl, said: str) -> None:
    machine.when("kubectl", status=1, err=said)
    with pytest.raises(ClusterUnreachable, match="east does not answer"):
        east.pods()
    with pytest.raises(ClusterUnreachable, match="east does not answer"):
        east.services()
    assert len(machine.calls()) == 1


def test_a_cluster_that_hangs_is_given_up(
    machine: FakeMachine, east: CachedKubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh_federation.verify.kubectl.GRACE_SECONDS", 0)
    machine.when("kubectl", hold="hung")
    with pytest.raises(ClusterUnreachable, match="no answer within 1 s"):
        east.run("get", "pods", seconds=1)


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (
            "error: You must be logged in to the server (Unauthorized)",
            "renew the credentials in the kubeconfig of east",
        ),
        ("Unable to connect: x509: certificate has expired or is not yet valid", "renew the credentials"),
        (
            'Error from server (Forbidden): pods is forbidden: User "x" cannot list',
            "credentials for east that allow it",
        ),
        ("error: something else", "./mesh up --refresh"),
    ],
)
def test_what_stands_in_the_way_comes_with_what_to_do(
    machine: FakeMachine, east: CachedKubectl, said: str, advice: str
) -> None:
    machine.when("kubectl", status=1, err=said)
    with pytest.raises(Inconclusive) as raised:
        east.pods()
    assert not isinstance(raised.value, ClusterUnreachable)
    assert said.rpartition(": ")[2] in raised.value.message
    assert advice in raised.value.hint


def test_many_checks_ask_once(machine: FakeMachine, east: CachedKubectl) -> None:
    machine.when("kubectl", out='{"items": []}')
    assert east.pods() == east.pods() == []
    assert len(machine.calls()) == 1


def test_objects_of_several_kinds_are_read_at_once_and_told_apart(machine: FakeMachine, east: CachedKubectl) -> None:
    """The Gateway API has a kind of the same name as Istio."""
    ours = {"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "ours"}}
    other = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "other"}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "b"}, "spec": {}}
    machine.when("kubectl", out=json.dumps({"items": [ours, other, service]}))
    assert [each.metadata.name for each in east.listed(IstioGateway, "gateways.networking.istio.io")] == ["ours"]
    assert (east.service("b", "a") in east.services(), east.service("b", "c"), east.pods()) == (True, None, [])
    assert len(machine.calls()) == 1


def test_a_kind_that_cannot_be_read_hides_no_other(machine: FakeMachine, east: CachedKubectl) -> None:
    machine.when("kubectl", "get", "pods", out='{"items": []}')
    machine.when("kubectl", "get", ",".join(LISTED), status=1, err="the server doesn't have a resource type")
    machine.when("kubectl", "get", "serviceentries.networking.istio.io", status=1, err="serviceentries is forbidden")
    assert east.pods() == []
    with pytest.raises(Inconclusive, match="serviceentries is forbidden"):
        east.listed(ServiceEntry, "serviceentries.networking.istio.io")


def test_an_answer_in_another_form_is_no_traceback(machine: FakeMachine, east: CachedKubectl) -> None:
    machine.when("kubectl", out='{"items": [{"apiVersion": "v1", "kind": "Pod", "metadata": {}}]}')
    with pytest.raises(Inconclusive, match=r"east: a response cannot be read at metadata\.name"):
        east.pods()


def test_no_file_but_the_kubeconfig_leads_to_a_cluster(machine: FakeMachine, east: CachedKubectl) -> None:
    machine.when("kubectl", out='{"items": []}')
    east.pods()
    [call] = machine.calls()
    assert f"--kubeconfig={east.kubeconfig}" in call.argv
