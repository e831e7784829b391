"""The script that takes a cluster that exists already: it copies a kubeconfig, looks, and touches nothing."""

import json
import stat

from tests.unit.provisioners.stand import Ended, Stand

NAME = "prod-1a2b3c"


def create(stand: Stand, kubeconfig: str = "/etc/prod.yaml", context: str = "admin@prod") -> Ended:
    config = json.dumps({"kubeconfig": kubeconfig, "context": context})
    return stand.run("existing", "create", stdin=config, CLUSTER=NAME, HOME=str(stand.root))


def test_the_declared_context_is_cut_out_with_its_certificates_and_kept_for_its_owner_only(stand: Stand) -> None:
    stand.when("kubectl", "view", out="apiVersion: v1\n")
    assert create(stand).status == 0
    view = stand.calls("kubectl")[0]
    wanted = {"--raw", "--flatten", "--minify", "--kubeconfig=/etc/prod.yaml", "--context=admin@prod"}
    assert wanted <= set(view.argv)
    kept = stand.folder(NAME) / "kubeconfig"
    assert kept.read_text(encoding="utf-8") == "apiVersion: v1\n"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_without_a_declared_context_the_files_current_one_is_taken(stand: Stand) -> None:
    create(stand, context="")
    assert not [word for word in stand.calls("kubectl")[0].argv if word.startswith("--context")]


def test_a_path_may_begin_with_the_home_folder(stand: Stand) -> None:
    create(stand, kubeconfig="~/.kube/config")
    assert f"--kubeconfig={stand.root}/.kube/config" in stand.calls("kubectl")[0].argv


def test_the_cluster_is_proven_to_answer_by_the_copy(stand: Stand) -> None:
    create(stand)
    assert stand.lines()[-1].startswith(f"kubectl --kubeconfig={stand.folder(NAME)}/kubeconfig get --raw=/readyz")


def test_a_second_creation_takes_the_kubeconfig_as_it_is_now(stand: Stand) -> None:
    stand.when("kubectl", "view", out="a long first one")
    create(stand)
    stand.when("kubectl", "view", out="second")
    assert create(stand).status == 0
    assert (stand.folder(NAME) / "kubeconfig").read_text(encoding="utf-8") == "second"


def test_a_bad_path_or_context_is_named_with_the_words_of_kubectl(stand: Stand) -> None:
    stand.when("kubectl", "view", status=1, err='error: cannot locate context "admin@prod"\n')
    failed = create(stand)
    assert failed.status == 1
    assert failed.err.startswith(f"/etc/prod.yaml: no usable context 'admin@prod' for cluster {NAME}\n")
    assert 'cannot locate context "admin@prod"' in failed.err
    assert not stand.folder(NAME).exists()


def test_a_cluster_that_does_not_answer_is_refused(stand: Stand) -> None:
    stand.when("kubectl", "get", status=1)
    failed = create(stand)
    assert failed.status == 1
    assert failed.err.startswith(f"the API server of {NAME} does not answer: check its kubeconfig")


def test_start_takes_the_kubeconfig_anew_and_proves_the_cluster(stand: Stand) -> None:
    """On another machine, or after a change of the user's kubeconfig, the copy is not there or not right."""
    assert (
        stand.run(
            "existing", "start", stdin=json.dumps({"kubeconfig": "/etc/prod.yaml", "context": ""}), CLUSTER=NAME
        ).status
        == 0
    )
    assert (stand.folder(NAME) / "kubeconfig").exists()
    stand.when("kubectl", "get", status=1)
    assert (
        stand.run(
            "existing", "start", stdin=json.dumps({"kubeconfig": "/etc/prod.yaml", "context": ""}), CLUSTER=NAME
        ).status
        == 1
    )


def test_delete_forgets_the_copy_and_calls_nothing(stand: Stand) -> None:
    create(stand)
    called = len(stand.calls())
    assert stand.run("existing", "delete", CLUSTER=NAME).status == 0
    assert not stand.folder(NAME).exists()
    assert len(stand.calls()) == called


def test_deleting_what_is_already_gone_is_no_error(stand: Stand) -> None:
    assert stand.run("existing", "delete", CLUSTER=NAME).status == 0


def test_without_kubectl_the_message_says_how_to_get_it(stand: Stand) -> None:
    stand.remove("kubectl")
    failed = create(stand)
    assert failed.status == 1
    assert failed.err.startswith("kubectl is not on PATH: run `./mesh doctor`")
