"""The script that applies custom resource definitions."""

import json
from pathlib import Path

import pytest

from mesh_federation.jobs import crds as job
from mesh_federation.jobs.crds import CrdsSettings
from tests.unit.clusters.fake_machine import FakeMachine
from tests.unit.command_result import CommandResult

KUBECONFIG = "apiVersion: v1\nusers: SECRET\n"
DEFINITIONS = """apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: ipaddresspools.metallb.io
spec:
  names:
    kind: IPAddressPool
---
kind: CustomResourceDefinition
metadata: {name: communities.metallb.io}
"""
SERVED = "ipaddresspools.metallb.io"
APPLIED = f"customresourcedefinition.apiextensions.k8s.io/{SERVED}"
OTHERS = """--- # the namespace
apiVersion: v1
kind: Namespace
metadata: {name: metallb-system}
---
kind: Role
rules:
- resources: [CustomResourceDefinition]
"""


@pytest.fixture
def crds(tmp_path: Path) -> Path:
    file = tmp_path / "crd-all.gen.yaml"
    file.write_text(DEFINITIONS, encoding="utf-8")
    return file


OURS: list[dict[str, object]] = [
    {"manager": "mesh-federation", "fieldsV1": {"f:spec": {}}},
    {"manager": "kube-apiserver", "fieldsV1": {}},
]
THEIRS: list[dict[str, object]] = [
    {"manager": "helm", "fieldsV1": {"f:spec": {}}},
    {"manager": "mesh-federation", "fieldsV1": {"f:spec": {}}},
]
BUNDLE = {
    "gateway.networking.k8s.io/bundle-version": "v1.7.0",
    "gateway.networking.k8s.io/channel": "experimental",
}


def apply(machine: FakeMachine, crds: Path, needed: str = "", *action: str) -> CommandResult:
    return machine.run("crds", *action, stdin=KUBECONFIG, settings=settings(crds, needed))


def settings(crds: Path, needed: str = "") -> CrdsSettings:
    return CrdsSettings("west", "", str(crds), "MetalLB", "", tuple(needed.split(", ")) if needed else ())


def changes(machine: FakeMachine) -> list[str]:
    """What was done to the cluster, beyond looking."""
    asked = ("get", "api-resources")
    return [
        call.argv[1] for call in machine.calls() if "--dry-run=client" not in call.argv and call.argv[1] not in asked
    ]


def definition(kind: str, managers: list[dict[str, object]], *versions: str, **annotations: str) -> dict[str, object]:
    group = "metallb.io"
    served = [
        {"name": version, "served": version != "v1alpha0", "storage": not at} for at, version in enumerate(versions)
    ]
    return {
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.lower()}s.{group}", "annotations": annotations, "managedFields": managers},
        "spec": {"group": group, "names": {"kind": kind}, "versions": served},
    }


def there(machine: FakeMachine, *definitions: dict[str, object]) -> None:
    """Let the cluster have these definitions."""
    machine.when("kubectl", "get", out=json.dumps({"kind": "List", "items": list(definitions)}))


def declares(machine: FakeMachine, *definitions: dict[str, object]) -> None:
    """Let kubectl read these definitions from the file, one document after the other."""
    machine.when("kubectl", "--dry-run=client", out="".join(json.dumps(each, indent=1) + "\n" for each in definitions))


def serves(machine: FakeMachine, *answers: str, status: int = 0) -> None:
    """Say what discovery answers once definitions were applied, one answer after the other."""
    machine.when("kubectl", "apply", out=f"{APPLIED}\n")
    machine.when("kubectl", "api-resources", status=status, out=list(answers), err="metrics.k8s.io/v1: stale\n")


def test_definitions_are_applied_by_the_server_and_waited_for(machine: FakeMachine, crds: Path) -> None:
    serves(machine, f"{SERVED}\n")
    assert apply(machine, crds).status == 0
    looked, applied, waited = machine.calls()
    assert looked.argv[1] == "get"
    assert applied.argv[1:] == [
        "apply", "--server-side", "--force-conflicts", "--field-manager=mesh-federation", "--validate=false",
        "--output=name", "--filename=-",
    ]  # fmt: skip
    assert waited.argv[1:] == ["api-resources", "--output=name"]
    assert applied.stdin == DEFINITIONS


def test_other_objects_of_the_file_are_left_to_the_engine(machine: FakeMachine, crds: Path) -> None:
    crds.write_text(OTHERS + "---\n" + DEFINITIONS + OTHERS, encoding="utf-8")
    assert apply(machine, crds).status == 0
    looked, applied, _ = machine.calls()
    assert looked.stdin.strip() == applied.stdin.strip() == DEFINITIONS.strip()


def test_a_file_without_definitions_is_refused_before_anything_is_applied(machine: FakeMachine, crds: Path) -> None:
    crds.write_text(OTHERS, encoding="utf-8")
    refused = apply(machine, crds)
    assert (refused.status, refused.err) == (1, f"{crds} holds no CustomResourceDefinition\n")
    assert not machine.calls()


def test_a_file_that_is_gone_is_named(machine: FakeMachine, crds: Path) -> None:
    crds.unlink()
    refused = apply(machine, crds)
    assert (refused.status, refused.err) == (1, f"{crds} cannot be read: No such file or directory\n")


def test_the_kubeconfig_is_on_disk_only_meanwhile_and_only_for_its_owner(machine: FakeMachine, crds: Path) -> None:
    apply(machine, crds)
    for call in machine.calls():
        ((path, seen),) = call.files.items()
        assert call.argv[0] == f"--kubeconfig={path}"
        assert (seen.text, seen.mode) == (KUBECONFIG, 0o600)
    assert list((machine.root / "tmp").iterdir()) == []


def test_the_kubeconfig_is_neither_in_arguments_nor_in_the_environment(machine: FakeMachine, crds: Path) -> None:
    apply(machine, crds)
    for call in machine.calls():
        assert "SECRET" not in f"{call.argv} {call.env}"


def test_an_apply_that_fails_shows_the_words_of_kubectl_and_leaves_no_kubeconfig(
    machine: FakeMachine, crds: Path
) -> None:
    machine.when("kubectl", "apply", status=1, err="error: the server is not ready\n")
    failed = apply(machine, crds)
    assert failed.status == 1
    assert failed.err.startswith(f"{crds}: kubectl apply failed\nerror: the server is not ready")
    assert "SECRET" not in failed.err
    assert list((machine.root / "tmp").iterdir()) == []


def test_a_definition_that_is_not_served_yet_is_asked_for_again(machine: FakeMachine, crds: Path) -> None:
    serves(machine, "pods\n", f"pods\nx{SERVED}\n", f"pods\n{SERVED}\n")
    assert apply(machine, crds).status == 0
    assert sum("api-resources" in call.argv for call in machine.calls()) == 3


def test_an_extension_server_that_is_down_is_no_hindrance(machine: FakeMachine, crds: Path) -> None:
    serves(machine, f"{SERVED}\n", status=1)
    assert apply(machine, crds).status == 0


def test_definitions_that_are_never_served_are_told(
    machine: FakeMachine, crds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serves(machine, "pods\n", status=1)
    machine.enter(monkeypatch)
    with pytest.raises(SystemExit, match=f"does not serve these definitions: {SERVED}\nmetrics.k8s.io/v1: stale"):
        job.apply(settings(crds), machine.context(), timeout=0)


def test_nothing_is_waited_for_when_nothing_was_applied(machine: FakeMachine, crds: Path) -> None:
    machine.when("kubectl", "apply", status=1)
    apply(machine, crds)
    assert changes(machine) == ["apply"]


def test_without_kubectl_the_message_says_how_to_get_it(machine: FakeMachine, crds: Path) -> None:
    machine.remove("kubectl")
    failed = apply(machine, crds)
    assert failed.status == 1
    assert failed.err.startswith("kubectl is not on PATH: run `./mesh doctor`")


def test_definitions_of_this_program_are_brought_to_the_declared_release(machine: FakeMachine, crds: Path) -> None:
    there(machine, definition("IPAddressPool", OURS, "v1beta1"))
    ended = apply(machine, crds)
    assert (ended.status, ended.err, changes(machine)) == (0, "", ["apply"])


def test_definitions_of_others_that_serve_all_that_is_needed_are_left_alone_and_that_is_told(
    machine: FakeMachine, crds: Path
) -> None:
    there(machine, definition("IPAddressPool", THEIRS, "v1", "v1beta1", **BUNDLE))
    ended = apply(machine, crds, "metallb.io/v1beta1 IPAddressPool")
    assert (ended.status, changes(machine)) == (0, [])
    assert ended.err == (
        "west has definitions that others made (Gateway API v1.7.0, experimental): they serve what is needed, and are"
        " left alone\n"
    )


@pytest.mark.parametrize(
    "needed",
    ["metallb.io/v1 IPAddressPool", "metallb.io/v1alpha0 IPAddressPool", "metallb.io/v1beta1 Community"],
    ids=["not-in-this-version", "no-longer-served", "not-there"],
)
def test_definitions_of_others_that_lack_something_are_refused_and_not_changed(
    machine: FakeMachine, crds: Path, needed: str
) -> None:
    there(machine, definition("IPAddressPool", THEIRS, "v1beta1", "v1alpha0"))
    ended = apply(machine, crds, f"metallb.io/v1beta1 IPAddressPool, {needed}")
    assert (ended.status, changes(machine)) == (1, [])
    version, kind = needed.split()
    assert ended.err.splitlines() == [
        "west has definitions that others made (by helm), which this stack never changes; they do not serve what it"
        f" needs: {kind} ({version})",
        f"-> bring them to a release that has that with what installed them; {crds} has it all",
    ]


def test_of_definitions_that_are_all_needed_the_newest_version_of_each_must_be_served(
    machine: FakeMachine, crds: Path
) -> None:
    declares(
        machine, definition("IPAddressPool", [], "v1alpha3", "v1"), definition("Community", [], "v1alpha1", "v1alpha2")
    )
    there(machine, definition("IPAddressPool", THEIRS, "v1"), definition("Community", THEIRS, "v1alpha1"))
    assert apply(machine, crds).status == 0
    there(machine, definition("IPAddressPool", THEIRS, "v1alpha3"))
    ended = apply(machine, crds)
    assert "Community (metallb.io/v1alpha1), IPAddressPool (metallb.io/v1)\n" in ended.err
    assert changes(machine) == []


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ([definition("IPAddressPool", OURS, "v1"), definition("Community", OURS, "v1")], 0),
        ([definition("IPAddressPool", OURS, "v1")], 3),
        ([], 3),
        ([definition("IPAddressPool", THEIRS, "v1beta1")], 0),
        ([definition("IPAddressPool", THEIRS, "v1")], 3),
    ],
    ids=["all", "some", "none", "of-others", "of-others-too-few"],
)
def test_a_look_tells_whether_they_must_be_applied_again(
    machine: FakeMachine, crds: Path, found: list[dict[str, object]], status: int
) -> None:
    there(machine, *found)
    assert apply(machine, crds, "metallb.io/v1beta1 IPAddressPool", "look").status == status
    assert changes(machine) == []


def test_a_cluster_that_cannot_be_asked_is_an_error(machine: FakeMachine, crds: Path) -> None:
    machine.when("kubectl", "get", status=1, err="Unauthorized\n")
    failed = apply(machine, crds)
    assert (failed.status, failed.err) == (1, "cannot look for definitions in west:\nUnauthorized\n\n")
