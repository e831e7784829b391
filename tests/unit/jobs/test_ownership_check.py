"""The script that refuses to take over what others made on an existing cluster."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from mesh_federation.jobs.ownership_check import OwnershipCheckSettings
from tests.unit.clusters.fake_machine import FakeMachine
from tests.unit.command_result import CommandResult

WANTED = [
    {"apiVersion": "v1", "kind": "Namespace", "namespace": "", "name": "istio-system"},
    {"apiVersion": "v1", "kind": "ServiceAccount", "namespace": "istio-system", "name": "istiod"},
]
ISTIOD, REMOVED = WANTED[1:], 'no matches for kind "Gateway" in version "networking.istio.io/v1"'


@pytest.fixture
def kubeconfig(machine: FakeMachine) -> Path:
    """The kubeconfig that the program keeps of the cluster."""
    file = machine.home / "clusters" / "prod-1a2b3c" / "kubeconfig"
    file.parent.mkdir(parents=True)
    file.write_text("{}", encoding="utf-8")
    return file


def claim(
    machine: FakeMachine, wanted: object = WANTED, cluster: str = "prod", adopted: Sequence[str] = ()
) -> CommandResult:
    settings = OwnershipCheckSettings(cluster, "dev", "1f", "clusters/prod-1a2b3c/kubeconfig", tuple(adopted))
    return machine.run("ownership-check", stdin=json.dumps(wanted), settings=settings)


def found(kind: str, name: str, namespace: str = "", stack: str = "", owner: str = "", **more: object) -> str:
    labels = {"mesh-federation/stack": stack, "mesh-federation/cluster": "prod", "mesh-federation/owner": owner}
    metadata = {"name": name, "namespace": namespace, "labels": {key: value for key, value in labels.items() if stack}}
    return json.dumps({"kind": kind, "metadata": {key: value for key, value in metadata.items() if value}, **more})


def has(machine: FakeMachine, *objects: str) -> None:
    """Say what the cluster has of what the stack is about to make."""
    items = [json.loads(each) for each in objects]
    machine.when("kubectl", "--filename=-", "get", out=json.dumps({"items": items}))


def test_a_cluster_with_none_of_the_objects_is_free(machine: FakeMachine) -> None:
    assert claim(machine).status == 0
    assert len([call for call in machine.calls() if "--filename=-" in call.argv]) == 2


def test_objects_of_this_stacks_state_are_its_own(machine: FakeMachine) -> None:
    has(machine, found("Namespace", "istio-system", stack="dev", owner="1f"))
    assert claim(machine).status == 0


def test_a_stack_of_the_same_name_with_another_state_is_another_stack(machine: FakeMachine) -> None:
    has(machine, found("ServiceAccount", "istiod", "istio-system", stack="dev", owner="2e"))
    for adopted in ((), ("ServiceAccount istio-system/istiod",)):
        refused = claim(machine, ISTIOD, adopted=adopted)
        assert refused.status == 1
        assert "  ServiceAccount istio-system/istiod: of a stack dev too, but with another state\n" in refused.err
        assert "-> take the other stack down where its state is" in refused.err


def test_the_same_cluster_under_another_key_is_told_to_get_its_key_again(machine: FakeMachine) -> None:
    has(machine, found("ServiceAccount", "istiod", "istio-system", stack="dev", owner="2e"))
    refused = claim(machine, ISTIOD, cluster="prod-east")
    assert refused.status == 1
    assert "of stack dev too, which calls this cluster prod; was it renamed, write prod again" in refused.err


def test_objects_with_the_name_of_the_stack_alone_are_not_its_own(machine: FakeMachine) -> None:
    has(
        machine,
        json.dumps({"kind": "Namespace", "metadata": {"name": "a", "labels": {"mesh-federation/stack": "dev"}}}),
    )
    assert claim(machine, WANTED[:1]).status == 1


def test_objects_of_nobody_and_of_other_stacks_are_refused_and_all_named(machine: FakeMachine) -> None:
    has(
        machine,
        found("ServiceAccount", "istiod", "istio-system"),
        found("ServiceAccount", "gateway", "istio-system", stack="other"),
        found("ServiceAccount", "ours", "istio-system", stack="dev", owner="1f"),
    )
    refused = claim(machine, ISTIOD)
    assert refused.status == 1
    assert refused.err.splitlines()[:3] == [
        "prod already has objects that stack dev did not make:",
        "  ServiceAccount istio-system/istiod",
        "  ServiceAccount istio-system/gateway: of stack other",
    ]


def test_objects_of_nobody_may_be_looked_at_for_adoption(machine: FakeMachine) -> None:
    has(machine, found("Namespace", "istio-system"))
    refused = claim(machine, WANTED[:1])
    assert "\n  Namespace istio-system\n-> remove or rename them, or set clusters.prod.adopt: true" in refused.err
    assert not [call for call in machine.calls() if "apply" in call.argv]


BODY = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "istiod", "namespace": "istio-system"}}
LOOKED_AT = [{**ISTIOD[0], "body": BODY}]
CACERTS = {"apiVersion": "v1", "kind": "Secret", "namespace": "istio-system", "name": "cacerts"}
"""By which a stack says that it installs Istio."""


def test_adopting_shows_every_field_before_and_after_and_asks_for_the_names(machine: FakeMachine) -> None:
    has(machine, found("ServiceAccount", "istiod", "istio-system", automount=True, rules=[{"verbs": ["get"]}]))
    after = json.loads(found("ServiceAccount", "istiod", "istio-system", rules=[{"verbs": ["get", "list"]}], new=1))
    after["metadata"] |= {"labels": {"app": "istiod"}, "resourceVersion": "2", "managedFields": []}
    machine.when("kubectl", "apply", "--dry-run=server", out=json.dumps(after))
    refused = claim(machine, LOOKED_AT)
    assert refused.status == 1
    assert refused.err.splitlines() == [
        "ServiceAccount istio-system/istiod would change:",
        "  .automount: true -> nothing",
        '  .metadata.labels: nothing -> {"app": "istiod"}',
        "  .new: nothing -> 1",
        '  .rules[0].verbs: ["get"] -> ["get", "list"]',
        "prod already has objects that stack dev did not make:",
        "  ServiceAccount istio-system/istiod",
        "What would change in them is above; nothing was changed.",
        '-> to take them over, write clusters.prod.adopted: ["ServiceAccount istio-system/istiod"]; `down` leaves them'
        " in the cluster, as they are then",
    ]
    (dry,) = [call for call in machine.calls() if "apply" in call.argv]
    assert "--dry-run=server" in dry.argv and json.loads(dry.stdin) == BODY
    taken = claim(machine, LOOKED_AT, adopted=["ServiceAccount istio-system/istiod"])
    assert taken.status == 0 and "ServiceAccount istio-system/istiod would change:" in taken.err


def test_adopting_shows_no_content_of_secrets(machine: FakeMachine) -> None:
    has(machine, found("Secret", "s", "istio-system", data={"a": "b2xk"}))
    machine.when("kubectl", "apply", out=found("Secret", "s", "istio-system", data={"a": "bmV3"}))
    told = claim(machine, [{**ISTIOD[0], "kind": "Secret", "name": "s", "body": BODY}]).err
    assert "  .data.a: (not shown) -> (not shown)\n" in told and "b2xk" not in told and "bmV3" not in told


@pytest.mark.parametrize(
    ("where", "kind", "namespace", "name"),
    [
        ("deployments", "Deployment", "istio-system", "istiod-1-20"),
        ("mutatingwebhookconfigurations", "MutatingWebhookConfiguration", "", "istio-sidecar-injector"),
        ("secrets", "Secret", "istio-system", "cacerts"),
        ("secrets", "Secret", "istio-system", "istio-ca-secret"),
    ],
)
def test_an_istio_of_others_is_never_taken_over(
    machine: FakeMachine, where: str, kind: str, namespace: str, name: str
) -> None:
    machine.when("kubectl", where, out=json.dumps({"items": [json.loads(found(kind, name, namespace))]}))
    refused = claim(machine, [*LOOKED_AT, CACERTS], adopted=["ServiceAccount istio-system/istiod"])
    assert refused.status == 1
    assert refused.err.startswith("prod has an Istio that stack dev did not install:\n")
    assert f"{kind} {namespace}/{name}".replace(" /", " ") in refused.err
    machine.when("kubectl", where, out=json.dumps({"items": [json.loads(found(kind, name, namespace, "dev", "1f"))]}))
    assert claim(machine, [*WANTED, CACERTS]).status == 0


def test_a_stack_that_installs_no_istio_stands_beside_that_of_others(machine: FakeMachine) -> None:
    istiod = json.loads(found("Deployment", "istiod", "istio-system"))
    machine.when("kubectl", "deployments", out=json.dumps({"items": [istiod]}))
    assert claim(machine, LOOKED_AT).status == 0
    assert not [call for call in machine.calls() if "secrets" in call.argv], "Secrets of others are never read"


def test_a_kind_that_the_cluster_does_not_know_has_no_objects(machine: FakeMachine) -> None:
    machine.when("kubectl", status=1, err=REMOVED)
    assert claim(machine).status == 0


def test_a_cluster_that_cannot_be_asked_is_an_error(machine: FakeMachine) -> None:
    machine.when("kubectl", status=1, err="Unauthorized\n")
    failed = claim(machine)
    assert failed.status == 1
    assert failed.err.startswith("cannot look for objects in prod:\nUnauthorized")


def test_the_cluster_is_only_read_and_by_the_kept_kubeconfig(machine: FakeMachine, kubeconfig: Path) -> None:
    claim(machine)
    for call in machine.calls():
        assert call.argv[:2] == [f"--kubeconfig={kubeconfig}", "get"]
    assert list((machine.root / "tmp").iterdir()) == []


FILTER = {"apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter", "namespace": "sleep", "name": "import"}
POLICY = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "namespace": "sleep", "name": "export"}
DENIED = 'Error from server (Forbidden): admission webhook "no-filters.corp.example" denied the request: no filters'


def exemplified(*wanted: dict[str, str]) -> list[dict[str, object]]:
    return [{**each, "example": {"kind": each["kind"]}} for each in wanted]


def test_what_the_api_server_would_not_admit_is_told_before_anything_is_made(machine: FakeMachine) -> None:
    machine.when("kubectl", "--filename=-", "apply", err=DENIED, status=[1, 1, 0])
    refused = claim(machine, exemplified(FILTER, POLICY))
    assert refused.status == 1
    assert (
        f"prod does not admit what stack dev would make in it:\n  EnvoyFilter sleep/import: {DENIED}\n" in refused.err
    )
    assert "AuthorizationPolicy" not in refused.err and "Nothing was changed." in refused.err
    assert all("--dry-run=server" in call.argv for call in machine.calls() if "apply" in call.argv)


def test_a_missing_namespace_is_left_to_the_job_that_explains_it(machine: FakeMachine) -> None:
    absent = 'Error from server (NotFound): namespaces "sleep" not found'
    machine.when("kubectl", "--filename=-", "apply", err=absent, status=1)
    assert claim(machine, exemplified(FILTER)).status == 0


def test_an_api_server_is_asked_only_where_istio_is_there_already(machine: FakeMachine) -> None:
    assert claim(machine, [FILTER, POLICY]).status == 0
    assert not [call for call in machine.calls() if "apply" in call.argv]
