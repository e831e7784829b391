"""The kubeconfig with which one cluster's istiod reads another."""

import json

import pytest

from mesh_federation.jobs.remote_reader import RemoteReaderSettings
from tests.unit.clusters.fake_machine import FakeMachine
from tests.unit.command_result import CommandResult

ADMINS = {"server": "https://127.0.0.1:34567", "certificate-authority-data": "Q0E="}
GIVEN = {
    "clusters": [{"name": "west", "cluster": ADMINS}],
    "users": [{"name": "west", "user": {"client-key-data": "ADMINS-KEY"}}],
}
WITHIN = "https://west-abc-control-plane:6443"


def grants(machine: FakeMachine, seconds: int = 48 * 3600) -> None:
    request = {"spec": {"expirationSeconds": seconds}, "status": {"token": "READERS-TOKEN"}}
    machine.when("kubectl", "token", out=json.dumps(request))


def read(machine: FakeMachine, given: object = GIVEN, server: str = WITHIN, *, from_pod: bool = True) -> CommandResult:
    settings = RemoteReaderSettings("west", "east", "istio-system/istiod-of-east", 48, server, from_pod)
    return machine.run("remote-reader", stdin=json.dumps(given), settings=settings)


def test_the_kubeconfig_has_the_readers_token_and_nothing_of_the_admins(machine: FakeMachine) -> None:
    grants(machine)
    done = read(machine)
    assert done.status == 0
    assert json.loads(done.out) == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "west", "cluster": {"server": WITHIN, "certificate-authority-data": "Q0E="}}],
        "users": [{"name": "west", "user": {"token": "READERS-TOKEN"}}],
        "contexts": [{"name": "west", "context": {"cluster": "west", "user": "west"}}],
        "current-context": "west",
    }


def test_the_token_is_asked_for_with_the_declared_lifetime(machine: FakeMachine) -> None:
    grants(machine)
    read(machine)
    (call,) = machine.calls()
    asked = ["create", "token", "istiod-of-east", "--namespace=istio-system", "--duration=172800s", "--output=json"]
    assert call.argv[1:] == asked


def test_an_address_that_is_not_declared_is_the_kubeconfigs(machine: FakeMachine) -> None:
    grants(machine)
    reached = {"server": "https://west.example.com", "tls-server-name": "kubernetes", "proxy-url": "http://proxy"}
    done = read(machine, {"clusters": [{"cluster": reached}]}, server="")
    assert json.loads(done.out)["clusters"][0]["cluster"] == {
        "server": "https://west.example.com",
        "tls-server-name": "kubernetes",
    }


@pytest.mark.parametrize("host", ["127.0.0.1:6443", "127.9.9.9", "localhost:6443", "[::1]:6443"])
def test_a_loopback_address_is_refused_for_an_istiod_in_a_pod(machine: FakeMachine, host: str) -> None:
    grants(machine)
    done = read(machine, {"clusters": [{"cluster": {"server": f"https://{host}"}}]}, server="")
    assert done.status == 1
    assert done.err == (
        f"the istiod of east cannot read west at https://{host}, the address in its kubeconfig: in a pod that is the"
        " pod itself\n-> set clusters.west.apiServer to an address that pods of east reach\n"
    )
    assert machine.calls() == []


def test_a_simulated_istiod_takes_any_address(machine: FakeMachine) -> None:
    grants(machine)
    done = read(machine, server="", from_pod=False)
    assert json.loads(done.out)["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:34567"


def test_a_token_is_not_sent_to_a_server_that_nobody_verifies(machine: FakeMachine) -> None:
    grants(machine)
    done = read(machine, {"clusters": [{"cluster": {"server": WITHIN, "insecure-skip-tls-verify": True}}]})
    assert done.status == 1
    assert done.err.startswith("the kubeconfig of west has insecure-skip-tls-verify")
    assert "\n-> put the certificate-authority" in done.err
    assert machine.calls() == []


def test_a_token_that_would_end_sooner_than_declared_is_refused(machine: FakeMachine) -> None:
    grants(machine, 24 * 3600)
    done = read(machine)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith(
        "west gives tokens for at most 24 hours; discovery of west by east needs 48, and would end unnoticed\n"
        "-> write tokenHours: 24 there"
    )
    assert "READERS-TOKEN" not in done.err


def test_a_cluster_that_gives_no_token_is_named_with_the_words_of_kubectl(machine: FakeMachine) -> None:
    machine.when("kubectl", status=1, err="Unable to connect to the server\n")
    done = read(machine)
    assert done.status == 1
    assert done.err == "west gives no token for istio-system/istiod-of-east:\nUnable to connect to the server\n\n"


def test_the_admins_kubeconfig_is_on_disk_only_meanwhile_and_only_for_its_owner(machine: FakeMachine) -> None:
    grants(machine)
    read(machine)
    (call,) = machine.calls()
    ((path, seen),) = call.files.items()
    assert (json.loads(seen.text), seen.mode) == (GIVEN, 0o600)
    assert "ADMINS-KEY" not in f"{call.argv} {call.env}"
    assert call.argv[0] == f"--kubeconfig={path}"
    assert list((machine.root / "tmp").iterdir()) == []
