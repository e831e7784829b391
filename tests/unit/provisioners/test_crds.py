"""The script that applies custom resource definitions."""

from pathlib import Path

import pytest

from components.provisioners import crds as script
from tests.unit.provisioners.stand import Ended, Stand

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


def apply(stand: Stand, crds: Path) -> Ended:
    return stand.run("crds", stdin=KUBECONFIG, CRDS=str(crds))


def test_definitions_are_applied_by_the_server_and_waited_for(stand: Stand, crds: Path) -> None:
    assert apply(stand, crds).status == 0
    applied, waited = stand.calls()
    assert applied.argv[1:] == ["apply", "--server-side", "--force-conflicts", "--filename=-"]
    assert waited.argv[1:] == ["wait", "--for=condition=Established", "--timeout=60s", "--filename=-"]
    assert applied.stdin == waited.stdin == DEFINITIONS


def test_other_objects_of_the_file_are_left_to_the_engine(stand: Stand, crds: Path) -> None:
    crds.write_text(OTHERS + "---\n" + DEFINITIONS + OTHERS, encoding="utf-8")
    assert apply(stand, crds).status == 0
    for call in stand.calls():
        assert call.stdin.strip() == DEFINITIONS.strip()


def test_a_file_without_definitions_is_refused_before_anything_is_applied(stand: Stand, crds: Path) -> None:
    crds.write_text(OTHERS, encoding="utf-8")
    refused = apply(stand, crds)
    assert (refused.status, refused.err) == (1, f"{crds} holds no CustomResourceDefinition\n")
    assert not stand.calls()


def test_a_file_that_is_gone_is_named(stand: Stand, crds: Path) -> None:
    crds.unlink()
    refused = apply(stand, crds)
    assert (refused.status, refused.err) == (1, f"{crds} cannot be read: No such file or directory\n")


def test_the_kubeconfig_is_on_disk_only_meanwhile_and_only_for_its_owner(stand: Stand, crds: Path) -> None:
    apply(stand, crds)
    for call in stand.calls():
        ((path, seen),) = call.files.items()
        assert call.argv[0] == f"--kubeconfig={path}"
        assert (seen.text, seen.mode) == (KUBECONFIG, 0o600)
    assert list((stand.root / "tmp").iterdir()) == []


def test_the_kubeconfig_is_neither_in_arguments_nor_in_the_environment(stand: Stand, crds: Path) -> None:
    apply(stand, crds)
    for call in stand.calls():
        assert "SECRET" not in f"{call.argv} {call.env}"


def test_an_apply_that_fails_shows_the_words_of_kubectl_and_leaves_no_kubeconfig(stand: Stand, crds: Path) -> None:
    stand.when("kubectl", "apply", status=1, err="error: the server is not ready\n")
    failed = apply(stand, crds)
    assert failed.status == 1
    assert failed.err.startswith(f"{crds}: kubectl apply failed\nerror: the server is not ready")
    assert "SECRET" not in failed.err
    assert list((stand.root / "tmp").iterdir()) == []


def test_a_definition_that_has_no_conditions_yet_is_asked_for_again(stand: Stand, crds: Path) -> None:
    stand.when("kubectl", "wait", status=[1, 1, 0], err=".status.conditions accessor error: <nil>\n")
    assert apply(stand, crds).status == 0
    assert [call.argv[1] for call in stand.calls()] == ["apply", "wait", "wait", "wait"]


def test_definitions_that_are_never_served_are_told_in_the_words_of_kubectl(
    stand: Stand, crds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.when("kubectl", "wait", status=1, err="timed out waiting\n")
    monkeypatch.setattr(script, "TIMEOUT", 0)
    monkeypatch.setattr("sys.stdin", (stand.root / "empty").open("w+"))
    for key, value in {**stand.environment, "CRDS": str(crds)}.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(SystemExit, match="kubectl wait failed\ntimed out waiting"):
        script.main()


def test_nothing_is_waited_for_when_nothing_was_applied(stand: Stand, crds: Path) -> None:
    stand.when("kubectl", "apply", status=1)
    apply(stand, crds)
    assert len(stand.calls()) == 1


def test_without_kubectl_the_message_says_how_to_get_it(stand: Stand, crds: Path) -> None:
    stand.remove("kubectl")
    failed = apply(stand, crds)
    assert failed.status == 1
    assert failed.err.startswith("kubectl is not on PATH: run `./mesh doctor`")
