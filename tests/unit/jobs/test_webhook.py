"""Nothing is sent to a webhook that does not answer: the script asks until it does."""

import json

import pytest

from mesh_federation.jobs import webhook
from mesh_federation.jobs.webhook import WebhookSettings
from tests.unit.clusters.fake_machine import FakeMachine
from tests.unit.command_result import CommandResult

REFUSED = "failed calling webhook: connection refused"
PROBE = {"apiVersion": "v1", "kind": "Probe", "metadata": {"name": "probe"}}
SETTINGS = WebhookSettings("istiod", PROBE)


def waited(machine: FakeMachine) -> CommandResult:
    return machine.run("webhook", stdin="apiVersion: v1\n", settings=SETTINGS)


def test_a_webhook_that_answers_is_asked_once_and_nothing_is_kept(machine: FakeMachine) -> None:
    assert waited(machine).status == 0
    [asked] = machine.calls()
    assert asked.argv[1:] == ["create", "--dry-run=server", "--validate=false", "--filename=-"]
    assert json.loads(asked.stdin) == PROBE


def test_a_webhook_that_does_not_answer_yet_is_asked_again(machine: FakeMachine) -> None:
    machine.when("kubectl", "create", status=[1, 1, 0], err=REFUSED)
    assert waited(machine).status == 0
    assert len(machine.calls()) == 3


def test_a_webhook_that_never_answers_ends_with_its_owner_and_the_servers_words(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.when("kubectl", "create", status=1, err=REFUSED)
    machine.enter(monkeypatch)
    with pytest.raises(SystemExit, match=f"istiod's webhook does not answer:\n{REFUSED}"):
        webhook.run(SETTINGS, machine.context(), timeout=0)
