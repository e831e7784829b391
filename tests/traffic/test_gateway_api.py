"""A running federation moves to the Kubernetes Gateway API and back."""

from collections.abc import Callable
from functools import partial

import pytest

from tests.checkout import eventually
from tests.traffic.client import calling
from tests.traffic.lab import PATIENCE, URL, Lab

pytestmark = pytest.mark.long

Note = Callable[[str, object], None]


def test_a_caller_that_does_not_stop_is_moved_from_one_api_to_the_other_and_back(
    lab: Lab, record_property: Note
) -> None:
    for api in ("gateway", "istio"):
        with lab.edited() as federation:
            imports = federation["imports"]
            assert isinstance(imports, list)
            imports[0]["api"] = api
        with calling(lab, f"{URL}/headers") as client:
            lab.checkout.up()
            eventually(partial(lab.settled, "east", "sleep", 200), PATIENCE)
        record_property(f"calls while they move to api: {api}", dict(client.statuses))
        assert client.failed == [], lab.refused_by_proxy("east", "sleep")
        reply = lab.call("east", "sleep")
        assert reply.identities["By"] == "spiffe://west.local/ns/httpbin/sa/httpbin"
