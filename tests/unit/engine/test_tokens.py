"""Tokens of endpoint discovery: renewed by time that has passed, and by nothing that a preview would see."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from mesh_federation import document
from mesh_federation.engine import tokens
from mesh_federation.jobs.remote_reader import RemoteReaderSettings
from tests.unit.cli.conftest import STACK, Desk, Mesh

MADE = datetime(2026, 3, 1, 12, 0, 0, 123456, UTC)
URN = "urn:pulumi:s::mesh-federation::command:local:Command::west-read-by-east-token"
SETTINGS = RemoteReaderSettings("west", "east", "istio-system/reader", 48, "", from_pod=True)
READER = "python3 -m mesh_federation.jobs remote-reader"


def token(**given: object) -> dict[str, object]:
    return {
        "urn": URN,
        "type": "command:local:Command",
        "created": "2025-01-01T00:00:00Z",
        "modified": "2026-03-01T12:00:00.123456789Z",
        "inputs": {"create": READER, "environment": {"JOB": document.write(SETTINGS)}},
        **given,
    }


def renewed(desk: Desk, age: timedelta, *resources: dict[str, object]) -> tuple[list[str], list[str]]:
    """What the engine is told, and the person."""
    state = json.dumps({"version": 3, "deployment": {"resources": resources or (token(),)}})
    desk.on("stack", f"cat <<'END'\n{state}\nEND")
    told: list[str] = []
    return tokens.renewing(desk.engine, told.append, MADE + age), told


@pytest.mark.parametrize("hours", [0, 24])
def test_a_token_is_kept_in_the_first_half_of_its_lifetime(desk: Desk, hours: int) -> None:
    assert renewed(desk, timedelta(hours=hours)) == ([], [])


@pytest.mark.parametrize("hours", [24.1, 47, 480])
def test_a_token_is_renewed_in_the_second_half_and_a_person_is_told(desk: Desk, hours: float) -> None:
    options, told = renewed(desk, timedelta(hours=hours))
    assert options == [f"--replace={URN}"]
    assert told == [
        f"the token with which the istiod of east reads west is renewed: {int(hours)} of its 48 hours are over"
    ]


@pytest.mark.parametrize(
    "other",
    [
        token(delete=True),
        token(type="kubernetes:core/v1:Secret"),
        token(inputs={"create": "python3 -m somebody.elses.script"}),
        token(inputs={}),
    ],
    ids=["outgoing", "no-command", "another-script", "no-script"],
)
def test_what_is_no_token_in_use_is_never_replaced(desk: Desk, other: dict[str, object]) -> None:
    assert renewed(desk, timedelta(hours=480), other) == ([], [])


def test_a_stack_without_discovery_does_not_pay_for_a_look_at_its_state(mesh: Mesh, answering: Desk) -> None:
    mesh("up", "--yes", "--stack", STACK)
    calls = [call.split(" --")[0] for call in answering.calls()]
    assert calls[: calls.index("up")].count("stack export") == 1
