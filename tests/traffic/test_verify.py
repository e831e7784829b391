"""`mesh verify` on real clusters: green where all is as declared, and every check red when what it guards is broken."""

import json
from collections.abc import Iterator

import pytest

from tests.checkout import eventually
from tests.traffic.lab import PATIENCE, Lab
from tests.traffic.mutations import EXPORT, GATEWAY, TWO, Mutation, deleted, of, paused, resumed
from tests.traffic.verified import goes_red_and_green, until_green, verify


@pytest.fixture
def sound(lab: Lab) -> Iterator[Lab]:
    """The lab, verified before a test; one that leaves it broken fails there."""
    until_green(lab)
    yield lab


def test_every_check_that_applies_passes_and_none_is_left_out_in_silence(sound: Lab) -> None:
    told = verify(sound)
    assert told.told == []
    assert {check.partition(".")[0] for check in told.ended("passed")} == {
        "control-planes", "drift", "trust", "gateways", "exports", "imports", "traffic", "refusals",
    }  # fmt: skip
    assert set(told.ended("not-applicable")) == {"traffic.shares"}


@pytest.mark.long
def test_a_verification_changes_nothing(sound: Lab) -> None:
    pods, changes = sound.pods("west"), sound.changes("--refresh")
    assert verify(sound).code == 0
    assert (sound.pods("west"), sound.changes("--refresh")) == (pods, changes)


EVERY_TIME = ("exports.closed", "gateways.reachable", "imports.pins", "traffic", "refusals")
"""Checks, or groups of them, that no simulated control plane could ever fail: they call, or are refused."""
TRIED = [
    pytest.param(each, id=str(each), marks=() if each.check.startswith(EVERY_TIME) else pytest.mark.long)
    for each in of(TWO)
]


@pytest.mark.parametrize("mutation", TRIED)
def test_a_check_is_red_while_what_it_guards_is_broken(lab: Lab, mutation: Mutation) -> None:
    goes_red_and_green(lab, mutation)


@pytest.mark.long
def test_the_broken_thing_is_named_first(sound: Lab) -> None:
    deleted("west", GATEWAY, EXPORT, "istio-system")(sound)
    try:
        eventually(lambda: "traffic.answers" in verify(sound).ended("failed"), PATIENCE)
        told = verify(sound)
    finally:
        sound.checkout.up("--refresh")
    assert told.code == 1
    assert told.told[0].startswith("drift.objects: ")
    assert f"create west:istio-system/{EXPORT}" in told.told[0]


@pytest.mark.long
def test_a_cluster_that_does_not_answer_is_named_and_the_checks_of_others_go_on(sound: Lab) -> None:
    paused(sound)
    try:
        told = verify(sound)
    finally:
        resumed(sound)
    assert told.code == 1
    assert told.told[0].startswith("control-planes.api: west does not answer"), told.told
    east = {check for check, proves, status in told.statuses if proves.startswith("east: ") and status == "passed"}
    assert {"control-planes.istiod", "trust.cacerts", "trust.workloads", "imports.pins"} <= east
    until_green(sound)


def test_no_key_is_in_any_report(sound: Lab) -> None:
    secret = json.loads(sound.ask("west", "get", "secret", "cacerts", "--namespace=istio-system", "--output=json"))
    key = secret["data"]["ca-key.pem"]
    for form in ("text", "json", "junit", "html"):
        told = sound.checkout.mesh("verify", f"--stack={TWO}", "--only=trust", f"--format={form}")
        assert told.code == 0, told.text
        assert key[40:80] not in told.text and "PRIVATE KEY" not in told.text
