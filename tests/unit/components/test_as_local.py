"""Imports as local: what joins the Service of the importing cluster, after what, and what a preview knows of it."""

import json

import pulumi
import pytest

from tests.unit.components import recorder
from tests.unit.components.conftest import Record
from tests.unit.components.federations import Tree, as_local, committed, not_ours
from tests.unit.components.recorder import CLOUD_ADDRESS, Registered, Run

ENTRY, RULE = "east:httpbin/import-httpbin-httpbin-west", "east:httpbin/import-httpbin-httpbin"
CALLERS_RULE = "east:sleep/import-httpbin-httpbin"
ISTIO = ("ServiceEntry", "WorkloadEntry", "DestinationRule")


def elsewhere(**gateway: object) -> Tree:
    """The same on clusters of other people."""
    tree = as_local()
    tree["clusters"] = not_ours()["clusters"]
    if gateway:
        tree["clusters"]["west"]["gateway"] = gateway
    return tree


def entries(run: Run) -> list[Registered]:
    return [each for each in run.objects if each.kind == "WorkloadEntry"]


def addresses(run: Run) -> dict[str, object]:
    return {each.name: each.body["spec"]["address"] for each in entries(run)}


def test_nothing_claims_the_host_beside_the_service(record: Record) -> None:
    names = {kind: [each.name for each in record(as_local()).objects if each.kind == kind] for kind in ISTIO}
    assert names == {"ServiceEntry": [], "WorkloadEntry": [ENTRY], "DestinationRule": [CALLERS_RULE, RULE]}


def test_entries_hold_the_address_that_the_exporters_gateway_asks_for(record: Record) -> None:
    run = record(as_local(), preview=True)
    service = run.one("Service", "west:istio-system/istio-eastwestgateway").body
    asked = service["metadata"]["annotations"]["metallb.universe.tf/loadBalancerIPs"]
    assert addresses(run) == {ENTRY: asked}


def test_remote_pods_join_only_once_callers_accept_them_and_the_exporter_offers_them(record: Record) -> None:
    run = record(as_local())
    [entry] = entries(run)
    before = run.before(entry)
    assert run.one("DestinationRule", RULE).urn in before
    assert run.one("Gateway", "west:istio-system/export-httpbin-httpbin").urn in before
    assert run.one("Namespace", "east:httpbin").urn in before


def test_the_service_takes_its_host_once_it_is_free_and_remote_pods_are_there(record: Record) -> None:
    run = record(as_local())
    freed, service = run.one("Command", "east-import-httpbin-httpbin-host"), run.one("Service", "east:httpbin/httpbin")
    assert freed.settings["owner"] == "Service httpbin/httpbin"
    assert freed.urn in service.dependencies
    assert {each.urn for each in entries(run)} <= run.before(freed)


def test_a_service_that_nobody_joins_waits_for_no_import(record: Record) -> None:
    service = record(as_local()).one("Service", "west:httpbin/httpbin")
    assert not [urn for urn in service.dependencies if "import" in urn]


def test_clusters_that_join_each_others_service_do_not_wait_in_a_circle(record: Record) -> None:
    tree = as_local()
    [export], [link] = tree["exports"], tree["imports"]
    tree["exports"].append({**export, "cluster": "east", "to": [{"cluster": "west"}]})
    tree["imports"].append({**link, "cluster": "west", "from": "east"})
    run = record(tree)
    assert len(entries(run)) == 2
    assert not [each.name for each in run.registered if each.urn in run.before(each)]


def test_entries_belong_to_the_import_and_go_away_with_the_cluster(record: Record) -> None:
    run = record(as_local())
    for each in (*entries(run), run.one("DestinationRule", RULE)):
        assert run.at(each.request.parent).name == "east-import-httpbin-httpbin"
        assert each.request.deletedWith == run.one("Command", "east-create").urn
        assert each.provider == run.one("kubernetes", "east").urn


def test_the_component_keeps_its_name_in_either_mode(record: Record) -> None:
    remote = {each.urn for each in record(committed("simulated")).registered if each.kind == "Import"}
    assert remote == {each.urn for each in record(as_local()).registered if each.kind == "Import"}


@pytest.mark.parametrize("preview", [True, False])
def test_unknown_addresses_count_as_one(record: Record, preview: bool) -> None:
    run = record(elsewhere(), preview=preview)
    [entry] = entries(run)
    assert entry.name == ENTRY
    at_first = {"spec.address", "metadata.labels.mesh-federation/owner"}
    assert entry.unknown_paths() == (at_first if preview else set())
    if not preview:
        assert entry.body["spec"]["address"] == CLOUD_ADDRESS


def test_a_load_balancer_that_answers_with_a_host_name_is_refused_in_words(tools: dict[str, str]) -> None:
    with pytest.raises(pulumi.RunError, match=r"gateway of west got the host name lb\.example\.com"):
        recorder.run(elsewhere(), environment=tools, ingress=({"hostname": "lb.example.com"},))


def test_each_declared_address_is_an_entry_of_its_own(record: Record) -> None:
    declared = ["192.0.2.1", "192.0.2.2"]
    run = record(elsewhere(addresses=declared), preview=True)
    assert addresses(run) == {ENTRY: declared[0], f"{ENTRY}-2": declared[1]}


def test_entries_are_looked_for_before_a_cluster_of_other_people_is_touched(record: Record) -> None:
    run = record(elsewhere(addresses=["192.0.2.1", "192.0.2.2"]), preview=True)
    claimed = json.loads(run.one("Command", "east-claim").body["stdin"])
    entries_claimed = {each["name"] for each in claimed if each["kind"] == "WorkloadEntry"}
    assert entries_claimed == {"import-httpbin-httpbin-west", "import-httpbin-httpbin-west-2"}
