"""The script that frees the host of an import for its next owner."""

import json

import pytest

from mesh_federation.jobs.host_release import HostReleaseSettings
from tests.unit.clusters.fake_machine import FakeMachine
from tests.unit.command_result import CommandResult

KUBECONFIG = "apiVersion: v1\nusers: SECRET\n"
HOST = "httpbin.httpbin.svc.cluster.local"
SERVICE, ENTRY = "Service httpbin/httpbin", "ServiceEntry istio-system/import-httpbin-httpbin"
OURS, THEIRS = {"mesh-federation/stack": "lab"}, {"mesh-federation/stack": "another"}


def has(machine: FakeMachine, *services: object, entries: tuple[object, ...] = ()) -> None:
    machine.when("kubectl", "services", out=json.dumps({"items": services}))
    machine.when("kubectl", "serviceentries.networking.istio.io", "get", out=json.dumps({"items": entries}))


def service(labels: dict[str, str] | None) -> object:
    return {"metadata": {"name": "httpbin", "namespace": "httpbin", **({"labels": labels} if labels else {})}}


def entry(labels: dict[str, str], name: str = "import-httpbin-httpbin", host: str = HOST) -> object:
    metadata = {"name": name, "namespace": "istio-system", "labels": labels}
    return {"metadata": metadata, "spec": {"hosts": ["other.example.com", host]}}


def free(
    machine: FakeMachine, owner: str, host: str = HOST, service: str = "httpbin/httpbin", owner_id: str = ""
) -> CommandResult:
    settings = HostReleaseSettings("east", "lab", owner_id, host, service, owner)
    return machine.run("host-release", stdin=KUBECONFIG, settings=settings)


def deleted(machine: FakeMachine) -> list[str]:
    return [" ".join(call.argv[1:]) for call in machine.calls() if "delete" in call.argv]


def test_a_host_that_no_service_can_have_is_looked_up_among_entries_alone(machine: FakeMachine) -> None:
    has(machine, service(THEIRS), entries=(entry(OURS, "old", "httpbin.mesh.global"),))
    assert free(machine, ENTRY, "httpbin.mesh.global", "").status == 0
    assert not [call for call in machine.calls() if "services" in call.argv]
    [gone] = deleted(machine)
    assert "delete serviceentries.networking.istio.io old --namespace=istio-system" in gone


@pytest.mark.parametrize("owner", [SERVICE, ENTRY])
def test_a_host_that_nobody_has_is_free(machine: FakeMachine, owner: str) -> None:
    has(machine)
    assert free(machine, owner).status == 0
    assert deleted(machine) == []


def test_the_next_owner_keeps_what_it_has_already(machine: FakeMachine) -> None:
    has(machine, service(THEIRS))
    assert free(machine, SERVICE).status == 0
    has(machine, entries=(entry(OURS),))
    assert free(machine, ENTRY).status == 0
    assert deleted(machine) == []


def test_our_service_entry_goes_before_a_service_takes_its_host(machine: FakeMachine) -> None:
    has(machine, entries=(entry(OURS),))
    assert free(machine, SERVICE).status == 0
    gone = "delete serviceentries.networking.istio.io import-httpbin-httpbin --namespace=istio-system"
    assert deleted(machine) == [f"{gone} --ignore-not-found"]


def test_our_service_goes_before_a_service_entry_takes_its_host(machine: FakeMachine) -> None:
    has(machine, service(OURS))
    assert free(machine, ENTRY).status == 0
    assert deleted(machine) == ["delete services httpbin --namespace=httpbin --ignore-not-found"]


def test_entries_of_other_hosts_are_nobodys_business_here(machine: FakeMachine) -> None:
    has(machine, entries=(entry(THEIRS, host="another.example.com"), entry(OURS, host="mine.example.com")))
    assert free(machine, SERVICE).status == 0
    assert deleted(machine) == []


@pytest.mark.parametrize("labels", [None, THEIRS], ids=["nobody", "another-stack"])
def test_a_service_of_others_is_named_and_left_alone(machine: FakeMachine, labels: dict[str, str] | None) -> None:
    has(machine, service(labels), entries=(entry(OURS, "old"),))
    refused = free(machine, ENTRY)
    assert refused.status == 1
    assert refused.err == (
        f"east already has {SERVICE}, which this stack did not make. {HOST} would belong to that and to {ENTRY}, which"
        " Istio leaves undefined.\n-> write `as: local`, so that calls go to its pods too, or remove it\n"
    )
    assert deleted(machine) == []


def test_a_service_entry_of_others_is_named_and_left_alone(machine: FakeMachine) -> None:
    has(machine, service(OURS), entries=(entry(THEIRS, "theirs"),))
    refused = free(machine, SERVICE)
    assert refused.status == 1
    assert "east already has ServiceEntry istio-system/theirs" in refused.err
    assert refused.err.endswith("-> remove it\n")
    assert deleted(machine) == []


def test_a_cluster_that_does_not_answer_is_named_with_the_words_of_kubectl(machine: FakeMachine) -> None:
    machine.when("kubectl", status=1, err="Unable to connect to the server\n")
    failed = free(machine, ENTRY)
    assert failed.status == 1
    assert failed.err.startswith(f"cannot get the owners of {HOST} in east:\nUnable to connect")


def test_the_kubeconfig_is_on_disk_only_meanwhile_and_only_for_its_owner(machine: FakeMachine) -> None:
    has(machine, service(OURS))
    free(machine, ENTRY)
    for call in machine.calls():
        ((path, seen),) = call.files.items()
        assert (seen.text, seen.mode) == (KUBECONFIG, 0o600)
        assert "SECRET" not in f"{call.argv} {call.env}"
        assert call.argv[0] == f"--kubeconfig={path}"
    assert list((machine.root / "tmp").iterdir()) == []


def test_on_a_cluster_that_is_not_ours_the_name_of_the_stack_makes_no_object_ours(machine: FakeMachine) -> None:
    """Another checkout's stack may have the same name."""
    has(machine, service(OURS))
    assert free(machine, ENTRY, owner_id="1f").status == 1
    assert deleted(machine) == []
    has(machine, service({**OURS, "mesh-federation/owner": "1f"}))
    assert free(machine, ENTRY, owner_id="1f").status == 0
    assert len(deleted(machine)) == 1
