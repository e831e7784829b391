"""A cluster is replaced while it is called: the new one serves before the old one goes, and no caller notices."""

from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.checkout import eventually
from tests.events import BEGUN, ENDED, Event, position
from tests.traffic.client import calling
from tests.traffic.lab import PATIENCE, URL, Lab

ENTRY = "east:istio-system/import-httpbin-httpbin"
LONG = f"{URL}/delay/8"
"""Such calls last longer than a new endpoint takes to reach importers: some are under way when it does."""
pytestmark = pytest.mark.long
Note = Callable[[str, object], None]


@pytest.fixture(scope="module")
def standing(brought_up: Lab) -> Iterator[Lab]:
    """The lab; all clusters that were replaced are, in one go, what they were."""
    committed = brought_up.checkout.declared()
    yield brought_up
    brought_up.restore(committed)


def replaced(lab: Lab, cluster: str, subnet: str) -> list[Event]:
    with lab.edited() as federation:
        clusters = federation["clusters"]
        assert isinstance(clusters, dict)
        clusters[cluster]["podSubnet"] = subnet
    done, events = lab.checkout.events()
    assert done.code == 0, done.text
    return events


def test_no_call_fails_while_the_exporter_is_replaced(standing: Lab, record_property: Note) -> None:
    old, address = standing.checkout.real_name("west"), standing.gateway("west")
    with calling(standing, f"{URL}/headers") as short, calling(standing, LONG) as long:
        events = replaced(standing, "west", "10.40.0.0/16")
    record_property("short calls, by status", dict(short.statuses))
    record_property("calls of 8 s, by status", dict(long.statuses))
    assert_new_before_old(events)
    assert standing.checkout.real_name("west") != old
    assert standing.gateway("west") != address
    assert (short.failed, long.failed) == ([], [])
    assert len(short.lines) > 100 and len(long.lines) > 3
    assert standing.call("east", "sleep").status == 200


def assert_new_before_old(events: Sequence[Event]) -> None:
    """The new cluster first, importers once everything there serves, and the old cluster after all else."""
    first, last = events[0], events[-1]
    assert (first.operation, first.name) == ("create-replacement", "west-create")
    assert (last.operation, last.name) == ("delete-replaced", "west-create")
    moved = position(events, BEGUN, "update", ENTRY)
    for served in ("istio-system/istio-eastwestgateway", "istio-system/export-httpbin-httpbin", "httpbin/httpbin"):
        assert position(events, ENDED, "create-replacement", f"west:{served}") < moved, served
    deletions = [index for index, event in enumerate(events) if event.operation == "delete-replaced"]
    assert position(events, ENDED, "update", ENTRY) < min(deletions)


def test_an_importer_that_was_replaced_calls_as_before(standing: Lab) -> None:
    old, address = standing.checkout.real_name("east"), standing.gateway("west")
    events = replaced(standing, "east", "10.20.0.0/16")
    assert standing.checkout.real_name("east") != old
    assert not [event for event in events if event.name.startswith("west:")]
    assert standing.gateway("west") == address
    eventually(lambda: standing.call("east", "sleep").status == 200, PATIENCE)
    assert [reply.status for reply in standing.calls("east", "sleep", 20)] == [200] * 20
