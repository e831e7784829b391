"""The script that makes a namespace, and removes it only where nothing of other people goes with it."""

import json
from collections.abc import Mapping

import pytest

from mesh_federation.clusters.kubectl import Kubectl
from mesh_federation.jobs.namespace import NamespaceSettings, left
from tests.unit.clusters.fake_machine import Call, FakeMachine
from tests.unit.command_result import CommandResult

KUBECONFIG = "users: SECRET"
LABELS = {"mesh-federation/stack": "dev"}
MADE = {"mesh-federation/made-by": "dev"}
KINDS = ("configmaps", "serviceaccounts", "deployments.apps", "gateways.networking.istio.io")
PASSING = (
    "events",
    "events.events.k8s.io",
    "endpoints",
    "endpointslices.discovery.k8s.io",
    "leases.coordination.k8s.io",
    "pods.metrics.k8s.io",
)


def run(machine: FakeMachine, action: str) -> CommandResult:
    return machine.run("namespace", action, stdin=KUBECONFIG, settings=NamespaceSettings("west", "shop", "dev", LABELS))


def there(machine: FakeMachine, annotations: Mapping[str, str] = MADE, **given: object) -> None:
    """Let the namespace be there."""
    metadata = {"name": "shop", "annotations": dict(annotations), **given}
    machine.when("kubectl", "get", "namespace", out=json.dumps({"kind": "Namespace", "metadata": metadata}))


def holds(machine: FakeMachine, *items: dict[str, object]) -> None:
    """Let the API server know these kinds, and the namespace hold these objects."""
    machine.when("kubectl", "api-resources", out="".join(f"{kind}\n" for kind in (*KINDS, *PASSING)))
    machine.when("kubectl", "get", "--namespace=shop", out=json.dumps({"kind": "List", "items": list(items)}))


def item(kind: str, name: str, *, uid: str = "", **given: object) -> dict[str, object]:
    rest = {key: value for key, value in given.items() if key == "type"}
    metadata = {key: value for key, value in given.items() if key != "type"}
    return {"kind": kind, "metadata": {"name": name, "uid": uid or f"{kind}/{name}", **metadata}, **rest}


def owned_by(uid: str) -> list[dict[str, str]]:
    return [{"kind": "ReplicaSet", "name": "web", "uid": uid}]


def removals(machine: FakeMachine) -> list[Call]:
    return [call for call in machine.calls() if "delete" in call.argv]


def test_a_namespace_is_made_with_the_mark_of_its_maker(machine: FakeMachine) -> None:
    assert run(machine, "create").status == 0
    [made] = machine.calls()
    assert made.argv[1:] == ["create", "--validate=false", "--filename=-"]
    assert json.loads(made.stdin) == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "shop", "labels": LABELS, "annotations": MADE},
    }


def test_a_namespace_that_is_there_is_left_as_it_is(machine: FakeMachine) -> None:
    machine.when("kubectl", "create", status=1, err='Error (AlreadyExists): namespaces "shop" already exists\n')
    there(machine, {})
    assert run(machine, "create").status == 0
    assert [call.argv[1] for call in machine.calls()] == ["create", "get"]


def test_one_that_is_just_going_is_waited_for_and_made_anew(machine: FakeMachine) -> None:
    machine.when("kubectl", "create", status=[1, 0], err='Error (AlreadyExists): namespaces "shop" already exists\n')
    there(machine, deletionTimestamp="2026-01-01T00:00:00Z")
    assert run(machine, "create").status == 0
    assert [call.argv[1] for call in machine.calls()] == ["create", "get", "create"]


def test_a_namespace_that_cannot_be_made_is_told_in_the_words_of_kubectl(machine: FakeMachine) -> None:
    machine.when("kubectl", "create", status=1, err="Error from server (Forbidden): not you\n")
    failed = run(machine, "create")
    assert (failed.status, failed.err) == (
        1,
        "namespace shop of west cannot be made:\nError from server (Forbidden): not you\n\n",
    )


def test_an_empty_namespace_that_the_stack_made_is_removed(machine: FakeMachine) -> None:
    there(machine)
    holds(machine)
    ended = run(machine, "delete")
    assert (ended.status, ended.err) == (0, "")
    [removed] = removals(machine)
    assert removed.argv[1:4] == ["delete", "namespace", "shop"]


def test_one_that_is_gone_already_is_no_error(machine: FakeMachine) -> None:
    ended = run(machine, "delete")
    assert (ended.status, ended.err, removals(machine)) == (0, "", [])


@pytest.mark.parametrize("annotations", [{}, {"mesh-federation/made-by": "another"}])
def test_a_namespace_that_others_made_stays_and_that_is_told(machine: FakeMachine, annotations: dict[str, str]) -> None:
    there(machine, annotations)
    holds(machine)
    ended = run(machine, "delete")
    assert (ended.status, removals(machine)) == (0, [])
    assert ended.err == "namespace shop of west stays: it was there before, or somebody has made it anew since\n"


def test_a_namespace_that_others_made_gets_back_what_it_had(machine: FakeMachine) -> None:
    managers = [{"manager": "kubectl-create"}, {"manager": "pulumi-kubernetes-1a2b"}]
    there(machine, {}, managedFields=managers)
    assert run(machine, "delete").status == 0
    [back] = [call for call in machine.calls() if "apply" in call.argv]
    assert "--field-manager=pulumi-kubernetes-1a2b" in back.argv
    assert json.loads(back.stdin) == {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


@pytest.mark.parametrize(
    ("kind", "name"), [("ConfigMap", "precious"), ("Gateway", "public"), ("ServiceAccount", "web")]
)
def test_a_namespace_that_holds_an_object_stays_and_that_is_told(machine: FakeMachine, kind: str, name: str) -> None:
    there(machine)
    holds(machine, item(kind, name))
    ended = run(machine, "delete")
    assert (ended.status, removals(machine)) == (0, [])
    assert ended.err == f"namespace shop of west stays, with what is in it: {kind} {name}\n"


def test_of_many_objects_some_are_named_and_all_are_counted(machine: FakeMachine) -> None:
    there(machine)
    holds(machine, *(item("ConfigMap", f"c{number}") for number in range(8)))
    assert run(machine, "delete").err.endswith(": ConfigMap c0, ConfigMap c1, ConfigMap c2 and 5 more\n")


def test_every_kind_that_the_api_server_lists_is_looked_for(machine: FakeMachine) -> None:
    there(machine)
    holds(machine)
    run(machine, "delete")
    [asked] = [call for call in machine.calls() if "--namespace=shop" in call.argv and "get" in call.argv]
    assert set(asked.argv[2].split(",")) == set(KINDS)


def test_what_kubernetes_and_istio_put_into_every_namespace_does_not_keep_it(machine: FakeMachine) -> None:
    there(machine)
    leader = {"control-plane.alpha.kubernetes.io/leader": "{}"}
    holds(
        machine,
        item("ServiceAccount", "default"),
        item("ConfigMap", "kube-root-ca.crt"),
        item("ConfigMap", "istio-ca-root-cert"),
        item("ConfigMap", "istio-ca-crl"),
        item("ConfigMap", "istio-leader", annotations=leader),
        item("Secret", "default-token-x", type="kubernetes.io/service-account-token"),
        item("Pod", "web-1", deletionTimestamp="2026-01-01T00:00:00Z"),
    )
    assert len(run(machine, "delete").err.splitlines()) == 0
    assert len(removals(machine)) == 1


def test_what_belongs_to_another_object_of_the_namespace_is_told_by_that_alone(machine: FakeMachine) -> None:
    there(machine)
    holds(
        machine,
        item("Deployment", "web", uid="1"),
        item("ReplicaSet", "web-1", uid="2", ownerReferences=owned_by("1")),
        item("Pod", "web-1-a", uid="3", ownerReferences=owned_by("2")),
    )
    assert run(machine, "delete").err == "namespace shop of west stays, with what is in it: Deployment web\n"


def test_what_is_left_of_a_removed_object_is_waited_for(machine: FakeMachine) -> None:
    there(machine)
    holds(machine)
    pod = json.dumps({"items": [item("Pod", "web-1", ownerReferences=owned_by("gone"))]})
    machine.when("kubectl", "get", "--namespace=shop", out=[pod, json.dumps({"items": []})])
    assert run(machine, "delete").err == ""
    assert len(removals(machine)) == 1


def test_what_keeps_its_removed_owner_too_long_keeps_the_namespace(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.enter(monkeypatch)
    holds(machine, item("Pod", "web-1", ownerReferences=owned_by("a-node")))
    assert left(Kubectl(machine.root / "kubeconfig"), "shop", settling=0) == ["Pod web-1"]


@pytest.mark.parametrize(
    ("words", "err"),
    [
        (("api-resources",), "error: unable to retrieve the complete list of server APIs: metrics.k8s.io/v1beta1\n"),
        (("get", "--namespace=shop"), "Error from server (Forbidden): secrets is forbidden\n"),
    ],
)
def test_a_namespace_of_which_not_all_can_be_seen_stays(machine: FakeMachine, words: tuple[str, ...], err: str) -> None:
    there(machine)
    holds(machine)
    machine.when("kubectl", *words, status=1, err=err)
    ended = run(machine, "delete")
    assert (ended.status, removals(machine)) == (0, [])
    assert ended.err == f"namespace shop of west stays: what is in it cannot be seen: {err}"


def test_a_cluster_that_does_not_answer_is_an_error_so_that_it_is_tried_again(machine: FakeMachine) -> None:
    machine.when("kubectl", "get", "namespace", status=1, err="connection refused\n")
    failed = run(machine, "delete")
    assert (failed.status, failed.err) == (1, "cannot look for namespace shop of west:\nconnection refused\n\n")


def test_the_kubeconfig_is_on_disk_only_meanwhile_and_only_for_its_owner(machine: FakeMachine) -> None:
    there(machine)
    holds(machine)
    run(machine, "create")
    run(machine, "delete")
    for call in machine.calls():
        ((_, seen),) = call.files.items()
        assert (seen.text, seen.mode) == (KUBECONFIG, 0o600)
    assert list((machine.root / "tmp").iterdir()) == []
