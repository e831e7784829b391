"""The program where Istio belongs to others: what waits for what, and what is never registered."""

import json

import pytest

from mesh_federation.jobs.ownership_check import OWNER
from tests.unit.components.conftest import Record
from tests.unit.components.federations import Tree
from tests.unit.components.recorder import CLOUD_ADDRESS, Run
from tests.unit.plan.test_observed import tree

OF_OWNERS = {"IstioInstall", "Namespace", "CustomResourceDefinition", "PeerAuthentication", "Secret"}


def theirs() -> Tree:
    found: Tree = tree()
    for name, cluster in found["clusters"].items():
        cluster["kubeconfig"] = f"$KUBECONFIGS/{name}"
    return found


@pytest.fixture
def run(record: Record) -> Run:
    return record(theirs())


def test_nothing_that_belongs_to_the_owner_is_registered(run: Run) -> None:
    kinds = {each.type.rpartition(":")[2] for each in run.registered}
    assert not kinds & OF_OWNERS
    assert run.one("Deployment", "west:istio-system/mesh-federation-gateway")


def test_every_object_waits_until_it_is_certain_that_none_is_somebody_elses(run: Run) -> None:
    for cluster in ("east", "west"):
        claim = run.one("Command", f"{cluster}-claim")
        objects = [each for each in run.registered if each.name.startswith(f"{cluster}:")]
        assert objects
        for each in objects:
            assert claim.urn in run.before(each), each.name
            assert OWNER in each.body["metadata"]["labels"]


def test_callers_learn_what_vouches_for_the_exporter_before_the_import_exists(run: Run) -> None:
    bound = run.one("EnvoyFilter", "east:sleep/import-httpbin-httpbin")
    for kind, name in (("WorkloadEntry", "import-httpbin-httpbin-west"), ("Service", "httpbin")):
        assert bound.urn in run.before(run.one(kind, f"east:httpbin/{name}"))


def test_the_import_leads_to_the_gateway_of_this_stack(run: Run) -> None:
    entry = run.one("WorkloadEntry", "east:httpbin/import-httpbin-httpbin-west")
    assert entry.body["spec"]["address"] == CLOUD_ADDRESS


def test_the_stacks_outputs_record_no_authority_of_others(run: Run) -> None:
    assert run.exports["trust"] == {}
    assert run.exports["clusters"]["east"]["gateway"] == []


def test_an_api_server_is_asked_about_every_object_before_any_is_made(run: Run) -> None:
    for cluster in ("east", "west"):
        wanted = json.loads(str(run.one("Command", f"{cluster}-claim").inputs["stdin"]))
        assert wanted and all(each["example"]["kind"] == each["kind"] for each in wanted)
