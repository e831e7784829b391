"""The script that frees the host of an import for its next owner."""

import json

import pytest

from mesh_federation.jobs.host_release import HostReleaseSettings
from tests.unit.clusters.stand import Stand
from tests.unit.command_result import CommandResult

KUBECONFIG = "apiVersion: v1\nusers: SECRET\n"
HOST = "httpbin.httpbin.svc.cluster.local"
SERVICE, ENTRY = "Service httpbin/httpbin", "ServiceEntry istio-system/import-httpbin-httpbin"
OURS, THEIRS = {"mesh-federation/stack": "lab"}, {"mesh-federation/stack": "another"}


def has(stand: Stand, *services: object, entries: tuple[object, ...] = ()) -> None:
    stand.when("kubectl", "services", out=json.dumps({"items": services}))
    stand.when("kubectl", "serviceentries.networking.istio.io", "get", out=json.dumps({"items": entries}))


def service(labels: dict[str, str] | None) -> object:
    return {"metadata": {"name": "httpbin", "namespace": "httpbin", **({"labels": labels} if labels else {})}}


def entry(labels: dict[str, str], name: str = "import-httpbin-httpbin", host: str = HOST) -> object:
    metadata = {"name": name, "namespace": "istio-system", "labels": labels}
    return {"metadata": metadata, "spec": {"hosts": ["other.example.com", host]}}


def free(
    stand: Stand, owner: str, host: str = HOST, service: str = "httpbin/httpbin", owner_id: str = ""
) -> CommandResult:
    settings = HostReleaseSettings("east", "lab", owner_id, host, service, owner)
    return stand.run("host-release", stdin=KUBECONFIG, settings=settings)


def deleted(stand: Stand) -> list[str]:
    return [" ".join(call.argv[1:]) for call in stand.calls() if "delete" in call.argv]


def test_a_host_that_no_service_can_have_is_looked_up_among_entries_alone(stand: Stand) -> None:
    has(stand, service(THEIRS), entries=(entry(OURS, "old", "httpbin.mesh.global"),))
    assert free(stand, ENTRY, "httpbin.mesh.global", "").status == 0
    assert not [call for call in stand.calls() if "services" in call.argv]
    [gone] = deleted(stand)
    assert "delete serviceentries.networking.istio.io old --namespace=istio-system" in gone


@pytest.mark.parametrize("owner", [SERVICE, ENTRY])
def test_a_host_that_nobody_has_is_free(stand: Stand, owner: str) -> None:
    has(stand)
    assert free(stand, owner).status == 0
    assert deleted(stand) == []


def test_the_next_owner_keeps_what_it_has_already(stand: Stand) -> None:
    has(stand, service(THEIRS))
    assert free(stand, SERVICE).status == 0
    has(stand, entries=(entry(OURS),))
    assert free(stand, ENTRY).status == 0
    assert deleted(stand) == []


def test_our_service_entry_goes_before_a_service_takes_its_host(stand: Stand) -> None:
    has(stand, entries=(entry(OURS),))
    assert free(stand, SERVICE).status == 0
    gone = "delete serviceentries.networking.istio.io import-httpbin-httpbin --namespace=istio-system"
    assert deleted(stand) == [f"{gone} --ignore-not-found"]


def test_our_service_goes_before_a_service_entry_takes_its_host(stand: Stand) -> None:
    has(stand, service(OURS))
    assert free(stand, ENTRY).status == 0
    assert deleted(stand) == ["delete services httpbin --namespace=httpbin --ignore-not-found"]


def test_entries_of_other_hosts_are_nobodys_business_here(stand: Stand) -> None:
    has(stand, entries=(entry(THEIRS, host="another.example.com"), entry(OURS, host="mine.example.com")))
    assert free(stand, SERVICE).status == 0
    assert deleted(stand) == []


@pytest.mark.parametrize("labels", [None, THEIRS], ids=["nobody", "another-stack"])
def test_a_service_of_others_is_named_and_left_alone(stand: Stand, labels: dict[str, str] | None) -> None:
    has(stand, service(labels), entries=(entry(OURS, "old"),))
    refused = free(stand, ENTRY)
    assert refused.status == 1
    assert refused.err == (
        f"east already has {SERVICE}, which this stack did not make. {HOST} would belong to that and to {ENTRY}, which"
        " Istio leaves undefined.\n-> write `as: local`, so that calls go to its pods too, or remove it\n"
    )
    assert deleted(stand) == []


def test_a_service_entry_of_others_is_named_and_left_alone(stand: Stand) -> None:
    has(stand, service(OURS), entries=(entry(THEIRS, "theirs"),))
    refused = free(stand, SERVICE)
    assert refused.status == 1
    assert "east already has ServiceEntry istio-system/theirs" in refused.err
    assert refused.err.endswith("-> remove it\n")
    assert deleted(stand) == []


def test_a_cluster_that_does_not_answer_is_named_with_the_words_of_kubectl(stand: Stand) -> None:
    stand.when("kubectl", status=1, err="Unable to connect to the server\n")
    failed = free(stand, ENTRY)
    assert failed.status == 1
    assert failed.err.startswith(f"cannot get the owners of {HOST} in east:\nUnable to connect")


def test_the_kubeconfig_is_on_disk_only_meanwhile_and_only_for_its_owner(stand: Stand) -> None:
    has(stand, service(OURS))
    free(stand, ENTRY)
    for call in stand.calls():
        ((path, seen),) = call.files.items()
        assert (seen.text, seen.mode) == (KUBECONFIG, 0o600)
        assert "SECRET" not in f"{call.argv} {call.env}"
        assert call.argv[0] == f"--kubeconfig={path}"
    assert list((stand.root / "tmp").iterdir()) == []


def test_on_a_cluster_that_is_not_ours_the_name_of_the_stack_makes_no_object_ours(stand: Stand) -> None:
    """Another checkout's stack may have the same name."""
    has(stand, service(OURS))
    assert free(stand, ENTRY, owner_id="1f").status == 1
    assert deleted(stand) == []
    has(stand, service({**OURS, "mesh-federation/owner": "1f"}))
    assert free(stand, ENTRY, owner_id="1f").status == 0
    assert len(deleted(stand)) == 1
