"""The script that applies Istio's definitions."""

import pytest

from tests.unit.provisioners.stand import Ended, Stand

KUBECONFIG = "apiVersion: v1\nusers: SECRET\n"
CRDS = "/charts/base/files/crd-all.gen.yaml"


def apply(stand: Stand) -> Ended:
    return stand.run("crds", stdin=KUBECONFIG, CRDS=CRDS)


def test_definitions_are_applied_by_the_server_and_waited_for(stand: Stand) -> None:
    assert apply(stand).status == 0
    applied, waited = stand.calls()
    assert applied.argv[1:] == ["apply", "--server-side", "--force-conflicts", f"--filename={CRDS}"]
    assert waited.argv[1:] == ["wait", "--for=condition=Established", "--timeout=60s", f"--filename={CRDS}"]


def test_the_kubeconfig_is_on_disk_only_meanwhile_and_only_for_its_owner(stand: Stand) -> None:
    apply(stand)
    for call in stand.calls():
        ((path, seen),) = call.files.items()
        assert call.argv[0] == f"--kubeconfig={path}"
        assert (seen.text, seen.mode) == (KUBECONFIG, 0o600)
    assert list((stand.root / "tmp").iterdir()) == []


def test_the_kubeconfig_is_neither_in_arguments_nor_in_the_environment(stand: Stand) -> None:
    apply(stand)
    for call in stand.calls():
        assert "SECRET" not in f"{call.argv} {call.env}"


@pytest.mark.parametrize("step", ["apply", "wait"])
def test_a_step_that_fails_shows_the_words_of_kubectl_and_leaves_no_kubeconfig(stand: Stand, step: str) -> None:
    stand.when("kubectl", step, status=1, err="error: the server is not ready\n")
    failed = apply(stand)
    assert failed.status == 1
    assert failed.err.startswith(f"{CRDS}: kubectl {step} failed\nerror: the server is not ready")
    assert "SECRET" not in failed.err
    assert list((stand.root / "tmp").iterdir()) == []


def test_nothing_is_waited_for_when_nothing_was_applied(stand: Stand) -> None:
    stand.when("kubectl", "apply", status=1)
    apply(stand)
    assert len(stand.calls()) == 1


def test_without_kubectl_the_message_says_how_to_get_it(stand: Stand) -> None:
    stand.remove("kubectl")
    failed = apply(stand)
    assert failed.status == 1
    assert failed.err.startswith("kubectl is not on PATH: run `./mesh doctor`")
