"""The script that refuses to take over what others made on an existing cluster."""

import json

from tests.unit.provisioners.stand import Ended, Stand

WANTED = [
    {"apiVersion": "v1", "kind": "Namespace", "namespace": "", "name": "istio-system"},
    {"apiVersion": "v1", "kind": "ServiceAccount", "namespace": "istio-system", "name": "istiod"},
]


def claim(stand: Stand, wanted: list[dict[str, str]] = WANTED) -> Ended:
    settings = {"CLUSTER": "prod", "STACK": "dev", "KUBECONFIG_TEXT": "users: SECRET"}
    return stand.run("claim", stdin=json.dumps(wanted), **settings)


def found(kind: str, name: str, namespace: str = "", stack: str | None = None) -> str:
    labels = {"labels": {"mesh-federation/stack": stack}} if stack else {}
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **labels}
    return json.dumps({"kind": kind, "metadata": metadata})


def test_a_cluster_with_none_of_the_objects_is_free(stand: Stand) -> None:
    assert claim(stand).status == 0
    assert len(stand.calls("kubectl")) == 2


def test_objects_of_this_stack_are_its_own(stand: Stand) -> None:
    stand.when("kubectl", out=found("Namespace", "istio-system", stack="dev"))
    assert claim(stand).status == 0


def test_objects_of_nobody_and_of_other_stacks_are_refused_and_all_named(stand: Stand) -> None:
    items = [
        json.loads(found("ServiceAccount", "istiod", "istio-system")),
        json.loads(found("ServiceAccount", "gateway", "istio-system", stack="other")),
        json.loads(found("ServiceAccount", "ours", "istio-system", stack="dev")),
    ]
    stand.when("kubectl", out=json.dumps({"items": items}))
    refused = claim(stand, WANTED[1:])
    assert refused.status == 1
    assert refused.err.splitlines() == [
        "prod already has objects that stack dev did not make:",
        "  ServiceAccount istio-system/istiod",
        "  ServiceAccount istio-system/gateway",
        "-> remove or rename them, or set clusters.prod.adopt: true to take them over",
    ]


def test_an_object_without_namespace_is_named_without_one(stand: Stand) -> None:
    stand.when("kubectl", out=found("Namespace", "istio-system"))
    assert "\n  Namespace istio-system\n" in claim(stand, WANTED[:1]).err


def test_a_kind_that_the_cluster_does_not_know_has_no_objects(stand: Stand) -> None:
    stand.when("kubectl", status=1, err='no matches for kind "Gateway" in version "networking.istio.io/v1"')
    assert claim(stand).status == 0


def test_a_cluster_that_cannot_be_asked_is_an_error(stand: Stand) -> None:
    stand.when("kubectl", status=1, err="Unauthorized\n")
    failed = claim(stand)
    assert failed.status == 1
    assert failed.err.startswith("cannot look for objects in prod:\nUnauthorized")


def test_the_cluster_is_only_read_with_a_kubeconfig_that_goes_away(stand: Stand) -> None:
    claim(stand)
    for call in stand.calls():
        assert call.argv[1] == "get"
        ((_, seen),) = call.files.items()
        assert (seen.text, seen.mode) == ("users: SECRET", 0o600)
    assert list((stand.root / "tmp").iterdir()) == []
