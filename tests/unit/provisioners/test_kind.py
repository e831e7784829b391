"""The script that makes kind clusters, against a kind and a docker that record."""

import pytest

from components.provisioners import kind
from components.provisioners.place import GONE
from tests.unit.provisioners.stand import Ended, Stand

CONFIG = '{"kind": "Cluster"}'
NAME = "east-1a2b3c"
LAB = {"LAB_NETWORK": "mesh-lab", "LAB_SUBNET": "172.30.0.0/16", "LAB_NODE_RANGE": "172.30.0.0/24"}


def create(stand: Stand) -> Ended:
    return stand.run("kind", "create", stdin=CONFIG, CLUSTER=NAME, **LAB)


def other(stand: Stand, action: str) -> Ended:
    return stand.run("kind", action, CLUSTER=NAME, **LAB)


def absent(stand: Stand) -> None:
    """The cluster does not answer."""
    stand.when("kubectl", status=1)


def test_a_fresh_cluster_is_created_from_its_configuration_in_the_labs_network(stand: Stand) -> None:
    absent(stand)
    assert create(stand).status == 0
    created = stand.calls("kind")[-1]
    assert created.argv == [
        "create", "cluster", f"--name={NAME}", "--wait=180s", f"--kubeconfig={stand.folder(NAME)}/kubeconfig",
        "--config=-",
    ]  # fmt: skip
    assert created.stdin == CONFIG
    assert created.env["KIND_EXPERIMENTAL_DOCKER_NETWORK"] == "mesh-lab"
    assert stand.folder(NAME).is_dir()


def test_the_labs_network_is_made_with_its_subnet_and_the_range_of_its_nodes(stand: Stand) -> None:
    absent(stand)
    create(stand)
    assert stand.lines("docker") == [
        "docker network ls --format={{.Name}}",
        "docker network create --subnet=172.30.0.0/16 --ip-range=172.30.0.0/24 --label=mesh-federation mesh-lab",
    ]


def test_the_labs_network_is_made_once(stand: Stand) -> None:
    absent(stand)
    stand.when("docker", "ls", out="bridge\nmesh-lab\nhost\n")
    assert create(stand).status == 0
    assert not [line for line in stand.lines("docker") if "network create" in line]


def test_a_network_whose_name_only_begins_the_same_is_another(stand: Stand) -> None:
    absent(stand)
    stand.when("docker", "ls", out="mesh-lab-2\n")
    create(stand)
    assert [line for line in stand.lines("docker") if "network create" in line]


def test_a_cluster_that_answers_is_adopted(stand: Stand) -> None:
    assert create(stand).status == 0
    assert stand.calls("kind") == stand.calls("docker") == []


def test_a_half_made_cluster_is_deleted_and_made_anew(stand: Stand) -> None:
    absent(stand)
    stand.when("kind", "get", "clusters", out=f"other\n{NAME}\n")
    assert create(stand).status == 0
    assert [line.split(" --")[0] for line in stand.lines("kind")] == [
        "kind get clusters", "kind delete cluster", "kind create cluster",
    ]  # fmt: skip


def test_another_cluster_is_not_taken_for_a_half_made_one(stand: Stand) -> None:
    absent(stand)
    stand.when("kind", "get", "clusters", out=f"{NAME}-2\n")
    create(stand)
    assert not [line for line in stand.lines("kind") if "delete" in line]


@pytest.mark.parametrize(("program", "word"), [("kind", "create"), ("docker", "create"), ("docker", "ls")])
def test_a_step_that_fails_shows_its_own_words(stand: Stand, program: str, word: str) -> None:
    absent(stand)
    stand.when(program, word, status=3, err="Pool overlaps with other one on this address space\n")
    failed = create(stand)
    assert failed.status == 1
    assert failed.err.startswith(f"{program} ") and "failed (3):\nPool overlaps with other one" in failed.err
    assert "Traceback" not in failed.err


@pytest.mark.parametrize("program", ["kind", "docker"])
def test_a_missing_program_is_named_with_who_needs_it(stand: Stand, program: str) -> None:
    absent(stand)
    stand.remove(program)
    failed = create(stand)
    assert failed.status == 1
    assert failed.err == f"{program} is not on PATH: provisioner kind needs Docker and kind (`./mesh doctor` tells)\n"


def test_a_kind_that_hangs_is_ended_and_named(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    stand.when("kind", hold="forever")
    for key, value in stand.environment.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(kind, "TIMEOUT", 0.2)
    with pytest.raises(SystemExit, match=r"kind get clusters did not end within 0.2 s"):
        kind._run("kind", "get", "clusters")


def test_delete_removes_the_cluster_and_its_folder(stand: Stand) -> None:
    stand.folder(NAME).mkdir(parents=True)
    assert other(stand, "delete").status == 0
    assert stand.lines("kind") == [f"kind delete cluster --name={NAME}"]
    assert not stand.folder(NAME).exists()


def test_the_labs_network_goes_with_its_last_cluster(stand: Stand) -> None:
    stand.when("docker", "ls", out="mesh-lab\n")
    stand.when("docker", "inspect", out="\n")
    assert other(stand, "delete").status == 0
    assert stand.lines("docker")[-1] == "docker network rm mesh-lab"


def test_a_network_that_a_cluster_still_uses_stays(stand: Stand) -> None:
    stand.when("docker", "ls", out="mesh-lab\n")
    stand.when("docker", "inspect", out="west-control-plane \n")
    assert other(stand, "delete").status == 0
    assert not [line for line in stand.lines("docker") if "network rm" in line]


def test_a_network_that_is_not_ours_stays(stand: Stand) -> None:
    stand.when("docker", "ls", out="\n")
    assert other(stand, "delete").status == 0
    assert not [line for line in stand.lines("docker") if "network rm" in line]


def test_deleting_a_cluster_that_is_already_gone_is_no_error(stand: Stand) -> None:
    assert other(stand, "delete").status == 0


def test_start_leaves_a_running_cluster_alone(stand: Stand) -> None:
    assert other(stand, "start").status == 0
    assert stand.calls("kind") == stand.calls("docker") == []


def test_start_starts_every_node_and_waits_until_the_cluster_answers(stand: Stand) -> None:
    stand.when("kind", "nodes", out=f"{NAME}-control-plane\n{NAME}-worker\n")
    stand.when("kubectl", status=[1, 1, 0])
    assert other(stand, "start").status == 0
    assert stand.lines("docker") == [f"docker start {NAME}-control-plane {NAME}-worker"]
    assert len(stand.calls("kubectl")) == 3


def test_start_of_a_cluster_whose_nodes_are_gone_says_so_by_its_status(stand: Stand) -> None:
    absent(stand)
    failed = other(stand, "start")
    assert (failed.status, failed.err) == (GONE, f"cluster {NAME} is gone\n")


def test_start_of_a_cluster_that_never_answers_ends_with_a_hint(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    absent(stand)
    stand.when("kind", "nodes", out=f"{NAME}-control-plane\n")
    for key, value in stand.environment.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(kind, "START_TIMEOUT", -1)
    with pytest.raises(SystemExit, match=f"does not answer .*docker logs {NAME}-control-plane"):
        kind.start(NAME)
