"""The diff is honest on real clusters: what nobody changed is not shown, and what somebody changed is, alone."""

import json
from functools import partial

import pytest

from tests.checkout import eventually
from tests.traffic.lab import PATIENCE, Lab

pytestmark = pytest.mark.long

POLICY = "authorizationpolicies.security.istio.io"
NAME = "export-httpbin-httpbin"


def test_an_up_of_what_is_up_changes_nothing(lab: Lab) -> None:
    assert set(lab.checkout.up().changes()) == {"unchanged"}


def test_what_controllers_write_is_no_change(lab: Lab) -> None:
    """istiod, MetalLB and Kubernetes write into objects that are ours: certificates, status, defaults."""
    assert lab.changes("--refresh") == {}


def test_a_preview_after_a_hand_edit_shows_exactly_that_edit_and_up_repairs_it(lab: Lab) -> None:
    open_to_all = json.dumps(
        {"spec": {"action": "DENY", "rules": [{"from": [{"source": {"principals": ["nobody"]}}]}]}}
    )
    lab.ask("west", "patch", POLICY, NAME, "--namespace=httpbin", "--type=merge", f"--patch={open_to_all}")
    assert lab.changes("--refresh") == {f"west:httpbin/{NAME}": "update"}
    assert lab.checkout.up("--refresh").changes()["updated"] == 1
    spec = json.loads(lab.ask("west", "get", POLICY, NAME, "--namespace=httpbin", "--output=json"))["spec"]
    assert spec["rules"][0]["from"][0]["source"]["principals"] == ["*"]
    assert lab.changes("--refresh") == {}


def test_an_object_that_somebody_deleted_is_shown_and_made_anew(lab: Lab) -> None:
    entry = "import-httpbin-httpbin"
    lab.ask("east", "delete", "serviceentries.networking.istio.io", entry, "--namespace=istio-system")
    assert lab.changes("--refresh") == {f"east:istio-system/{entry}": "create"}
    lab.checkout.up("--refresh")
    eventually(partial(lab.settled, "east", "sleep", 200), PATIENCE)
