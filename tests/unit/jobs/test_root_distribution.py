"""No pod starts before its namespace knows the roots that are trusted now."""

import json
from hashlib import sha256

import pytest

from mesh_federation.jobs import root_distribution
from mesh_federation.jobs.root_distribution import RootDistributionSettings
from tests.unit.clusters.fake_machine import FakeMachine
from tests.unit.command_result import CommandResult

BUNDLE = "-----BEGIN CERTIFICATE-----\nnew\n-----END CERTIFICATE-----\n"
SETTINGS = RootDistributionSettings(sha256(BUNDLE.encode()).hexdigest())


def told(**texts: str) -> str:
    """What kubectl prints of the ConfigMaps of these namespaces."""
    items = [{"metadata": {"namespace": name}, "data": {"root-cert.pem": text}} for name, text in texts.items()]
    return json.dumps({"items": items})


def waited(machine: FakeMachine) -> CommandResult:
    return machine.run("root-distribution", stdin="apiVersion: v1\n", settings=SETTINGS)


def test_namespaces_that_know_the_roots_are_waited_for_no_longer(machine: FakeMachine) -> None:
    machine.when("kubectl", "get", out=told(sleep=BUNDLE, httpbin=BUNDLE))
    assert waited(machine).status == 0
    assert len(machine.calls()) == 1


def test_namespaces_that_were_told_nothing_yet_do_not_count(machine: FakeMachine) -> None:
    machine.when("kubectl", "get", out=told())
    assert waited(machine).status == 0


def test_a_cluster_that_does_not_answer_is_told_in_its_own_words(machine: FakeMachine) -> None:
    machine.when("kubectl", "get", status=1, err="connection refused")
    done = waited(machine)
    assert done.status == 1
    assert done.err == "cannot look for istiod's ConfigMaps:\nconnection refused\n"


def test_a_namespace_that_never_learns_them_is_named(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.when("kubectl", "get", out=told(sleep=BUNDLE, httpbin="old"))
    machine.enter(monkeypatch)
    with pytest.raises(SystemExit, match="trusted now into these namespaces: httpbin$"):
        root_distribution.run(SETTINGS, machine.context(), timeout=0)
