"""The script that makes kind clusters, against a kind and a docker that record."""

import json
import signal
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from components.provisioners import generations, kind, limits, readiness
from components.provisioners.limits import GIB, Limits
from components.provisioners.place import GONE
from tests.unit.provisioners.stand import Ended, Held, Stand, ended, waits_for_lock

NAME = "east-1a2b3c"
MAIN, WORKER = f"{NAME}-control-plane", f"{NAME}-worker"
LABEL = "mesh-federation/config"
SETTINGS = {
    "CLUSTER": NAME,
    "LAB_NETWORK": "mesh-lab",
    "LAB_SUBNET": "172.30.0.0/16",
    "LAB_NODE_RANGE": "172.30.0.0/17",
    "READY_WITHIN": "300",
}
MADE = {"id-main": "172.30.0.2", "id-worker": "172.30.0.3"}
RUNNING = f"id-main {MAIN} running\nid-worker {WORKER} running\n"
NOTHING = ""
DELETION = f"kind delete cluster --name={NAME}"
Here = Callable[..., None]


def config(label: str = "abc", port: int = 8080) -> str:
    node = {"role": "control-plane", "labels": {LABEL: label}, "extraPortMappings": [{"hostPort": port}]}
    return json.dumps({"nodes": [node, {"role": "worker", "labels": {LABEL: label}}]})


def members(label: str = "abc", **ready: str) -> str:
    """Node objects as the API server gives them."""
    pressure = {"type": "DiskPressure", "status": "True"}
    items = [
        {
            "metadata": {"name": name, "labels": {LABEL: label, "zone": "a"}},
            "status": {"conditions": [pressure, {"type": "Ready", "status": ready.get(role, "True")}]},
        }
        for role, name in (("main", MAIN), ("worker", WORKER))
    ]
    return json.dumps({"items": items})


def machine(stand: Stand, *listed: str, **ready: str) -> None:
    """A Docker that shows these containers on successive looks, and no network yet; the cluster answers."""
    stand.when("docker", "inspect", out="".join(f"{id} {address}\n" for id, address in MADE.items()))
    stand.when("docker", "network", "inspect", status=1, err="Error response from daemon: network mesh-lab not found\n")
    stand.when("docker", "--no-trunc", out=listed)
    stand.when("kubectl", "--raw=/api/v1/nodes", out=members(**ready))


def finished(stand: Stand) -> None:
    """Leave what a finished creation leaves."""
    begun(stand)
    (stand.folder(NAME) / "made").write_text(json.dumps(MADE))


def begun(stand: Stand) -> None:
    """Leave what a killed creation leaves."""
    stand.folder(NAME).mkdir(parents=True)
    (stand.folder(NAME) / "begun").touch()


def create(stand: Stand, text: str | None = None, **settings: str) -> Ended:
    return stand.run("kind", "create", stdin=text or config(), **{**SETTINGS, **settings})


def other(stand: Stand, action: str, **settings: str) -> Ended:
    return stand.run("kind", action, **{**SETTINGS, **settings})


def deleted(stand: Stand) -> bool:
    return any(line.startswith("kind delete") for line in stand.lines())


def created(stand: Stand) -> bool:
    return any(line.startswith("kind create") for line in stand.lines())


@pytest.fixture
def here(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Here:
    """Puts the test's own process on the machine of stubs."""

    def enter(**settings: str) -> None:
        for key, value in {**stand.environment, **SETTINGS, **settings}.items():
            monkeypatch.setenv(key, value)

    return enter


# create: a fresh cluster


def test_a_fresh_cluster_is_created_from_its_configuration_in_the_labs_network(stand: Stand) -> None:
    machine(stand, NOTHING, RUNNING)
    done = create(stand)
    assert (done.status, done.err) == (0, "")
    (call,) = stand.calls("kind")
    assert call.argv == [
        "create", "cluster", f"--name={NAME}", f"--kubeconfig={stand.folder(NAME)}/kubeconfig", "--config=-",
    ]  # fmt: skip
    assert call.stdin == config()
    assert call.env["KIND_EXPERIMENTAL_DOCKER_NETWORK"] == "mesh-lab"
    lines = stand.lines()
    network = lines.index(
        "docker network create --subnet=172.30.0.0/16 --ip-range=172.30.0.0/17 --label=mesh-federation mesh-lab"
    )
    assert network < lines.index(call.line)


def test_kind_uses_docker_where_it_would_take_podman(stand: Stand) -> None:
    machine(stand, NOTHING, RUNNING)
    create(stand, KIND_EXPERIMENTAL_PROVIDER="podman")
    assert stand.calls("kind")[0].env["KIND_EXPERIMENTAL_PROVIDER"] == "docker"


def test_a_new_cluster_is_there_before_its_nodes_are_ready(stand: Stand) -> None:
    machine(stand, NOTHING, RUNNING, worker="False")
    assert create(stand, READY_WITHIN="0").status == 0
    assert not any("/api/v1/nodes" in line for line in stand.lines())


def test_a_finished_cluster_is_known_by_its_containers_and_their_addresses(stand: Stand) -> None:
    machine(stand, NOTHING, RUNNING)
    create(stand)
    assert json.loads((stand.folder(NAME) / "made").read_text()) == MADE


def test_what_another_generation_left_in_the_folder_is_dropped(stand: Stand) -> None:
    machine(stand, NOTHING, RUNNING)
    finished(stand)
    (stand.folder(NAME) / "kubeconfig").write_text("of a cluster that is gone")
    assert create(stand).status == 0
    assert not (stand.folder(NAME) / "kubeconfig").exists()


def test_nodes_that_are_ready_are_not_waited_for(stand: Stand) -> None:
    machine(stand, RUNNING)
    assert other(stand, "ready", READY_WITHIN="0").status == 0


def test_a_worker_that_does_not_get_ready_in_the_stack_files_time_is_named(stand: Stand) -> None:
    machine(stand, RUNNING, worker="False")
    failed = other(stand, "ready", READY_WITHIN="0")
    assert failed.status == 1
    assert failed.err.startswith(
        f"cluster {NAME} is not up after 0 s: not Ready: {WORKER}\n  -> see `docker logs {MAIN}`"
    )
    assert "clusters.east.readyWithinSeconds" in failed.err


def test_without_memory_nothing_is_begun(stand: Stand, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    here()
    machine(stand, NOTHING, RUNNING)
    monkeypatch.setattr(limits, "read", lambda: Limits(memory=GIB // 2))
    with pytest.raises(SystemExit, match=f"cluster {NAME} is not begun: 0.5 GiB of memory available"):
        kind.create(NAME, config())
    assert not created(stand) and not stand.folder(NAME).exists()
    assert not any("network" in line for line in stand.lines())


def test_a_machine_that_is_only_short_of_memory_gets_its_chance(
    stand: Stand, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    here()
    machine(stand, NOTHING, RUNNING)
    monkeypatch.setattr(limits, "read", lambda: Limits(memory=GIB))
    kind.create(NAME, config())
    assert created(stand)


def test_other_checkouts_wait_while_a_cluster_of_the_name_is_made(stand: Stand) -> None:
    machine(stand, NOTHING, RUNNING)
    lock = Held(stand.root / "cache" / "mesh-federation" / "locks" / f"cluster-{NAME}")
    process = stand.begin("kind", "create", stdin=config(), **SETTINGS)
    assert waits_for_lock(process)
    assert stand.calls() == []
    lock.release()
    assert ended(process).status == 0


def test_the_network_stays_while_a_cluster_is_put_into_it(stand: Stand) -> None:
    gate = stand.when("kind", "create", hold="create")
    machine(stand, NOTHING, RUNNING)
    maker = stand.begin("kind", "create", stdin=config(), **SETTINGS)
    with gate.open("w") as opened:
        remover = stand.begin("kind", "delete", **{**SETTINGS, "CLUSTER": "west-4d5e6f"})
        assert waits_for_lock(remover)
        assert not any("network rm" in line for line in stand.lines())
        opened.write("go")
    assert ended(maker).status == ended(remover).status == 0


# create: something is there already


def test_a_cluster_of_ours_from_the_same_configuration_is_adopted(stand: Stand) -> None:
    machine(stand, RUNNING)
    finished(stand)
    done = create(stand)
    assert (done.status, done.err) == (0, "")
    assert stand.calls("kind") == []
    assert [call.argv[0] for call in stand.calls("docker")] == ["ps", "inspect"]


def test_a_stopped_cluster_of_ours_is_started_and_adopted(stand: Stand) -> None:
    machine(stand, RUNNING.replace("running", "exited"))
    finished(stand)
    assert create(stand).status == 0
    assert stand.calls("kind") == []
    assert f"docker restart {MAIN}" in stand.lines() and f"docker restart {WORKER}" in stand.lines()


def test_a_cluster_from_another_configuration_is_refused_with_both(stand: Stand) -> None:
    machine(stand, RUNNING, label="old")
    finished(stand)
    refused = create(stand, config("new"))
    assert refused.status == 1
    assert f"{MAIN} has: {LABEL}=old\n  the stack file asks for: {LABEL}=new\n  -> remove it with" in refused.err
    assert stand.calls("kind") == []


def test_a_cluster_without_the_label_is_from_another_configuration(stand: Stand) -> None:
    machine(stand, RUNNING)
    stand.when("kubectl", "--raw=/api/v1/nodes", out=members().replace(LABEL, "other"))
    finished(stand)
    refused = create(stand)
    assert refused.status == 1 and "has: no such label" in refused.err


def test_a_creation_that_was_killed_is_deleted_and_made_anew(stand: Stand) -> None:
    machine(stand, RUNNING)
    begun(stand)
    assert create(stand).status == 0
    assert [line.split(" --")[0] for line in stand.lines("kind")] == ["kind delete cluster", "kind create cluster"]
    assert (stand.folder(NAME) / "made").exists()


def test_a_cluster_that_lost_a_node_is_made_anew(stand: Stand) -> None:
    machine(stand, f"id-worker {WORKER} running\n", RUNNING)
    finished(stand)
    assert create(stand).status == 0
    assert deleted(stand) and created(stand)


def test_a_killed_script_leaves_its_mark_before_kind_runs(stand: Stand) -> None:
    gate = stand.when("kind", "create", hold="create")
    machine(stand, NOTHING)
    process = stand.begin("kind", "create", stdin=config(), **SETTINGS)
    with gate.open("w") as opened:
        assert (stand.folder(NAME) / "begun").exists() and not (stand.folder(NAME) / "made").exists()
        process.send_signal(signal.SIGKILL)
        opened.write("go")
    assert ended(process).status == -signal.SIGKILL


def test_a_foreign_cluster_is_refused_with_both_configurations(stand: Stand) -> None:
    machine(stand, RUNNING)
    stand.when("docker", "exec", out=members("theirs"))
    refused = create(stand, config("ours"))
    assert refused.status == 1
    assert refused.err.startswith(f"there is a cluster {NAME} that this checkout did not make")
    assert f"it has: {LABEL}=theirs\n  the stack file asks for: {LABEL}=ours\n  -> " in refused.err
    assert stand.calls("kind") == [] and not any("restart" in line for line in stand.lines())


def test_a_foreign_cluster_is_refused_even_where_its_configuration_is_the_same(stand: Stand) -> None:
    machine(stand, RUNNING)
    stand.when("docker", "exec", out=members("abc"))
    assert create(stand, config("abc")).status == 1
    assert stand.calls("kind") == []


def test_a_foreign_cluster_that_does_not_answer_is_refused_too(stand: Stand) -> None:
    machine(stand, RUNNING.replace("running", "exited"))
    stand.when("docker", "exec", status=1, err="container is not running\n")
    refused = create(stand)
    assert refused.status == 1
    assert "it has: unknown: it does not answer" in refused.err
    assert stand.calls("kind") == []


def test_a_cluster_that_somebody_made_after_ours_was_removed_by_hand_is_foreign(stand: Stand) -> None:
    machine(stand, RUNNING.replace("id-", "new-"))
    finished(stand)
    assert create(stand).status == 1
    assert stand.calls("kind") == []


# create: kind fails


def test_a_failure_that_left_nothing_claims_nothing(stand: Stand) -> None:
    machine(stand, NOTHING)
    stand.when("kind", "create", status=1, err="ERROR: failed to create cluster: no\n")
    failed = create(stand)
    assert failed.status == 1 and "failed to create cluster: no" in failed.err
    assert not stand.folder(NAME).exists()


def test_a_failure_removes_the_network_that_only_it_used(stand: Stand) -> None:
    machine(stand, NOTHING)
    network = json.dumps([{"Name": "mesh-lab", "Labels": {"mesh-federation": ""}, "IPAM": {"Config": []}}])
    stand.when("docker", "network", "inspect", out=network.replace("[]", '[{"Subnet": "172.30.0.0/16"}]'))
    stand.when("kind", "create", status=1, err="ERROR: failed to create cluster: no\n")
    create(stand)
    assert stand.lines()[-1] == "docker network rm mesh-lab"


def test_a_failure_that_left_nodes_is_cleared_away_by_the_next_run(stand: Stand) -> None:
    machine(stand, NOTHING, RUNNING)
    stand.when("kind", "create", status=[1, 0], err="ERROR: failed to create cluster: no\n")
    assert create(stand).status == 1
    assert (stand.folder(NAME) / "begun").exists()
    assert create(stand).status == 0
    assert deleted(stand)


def test_a_name_that_somebody_took_meanwhile_is_not_claimed(stand: Stand) -> None:
    machine(stand, NOTHING, RUNNING)
    taken = f'ERROR: failed to create cluster: node(s) already exist for a cluster with the name "{NAME}"\n'
    stand.when("kind", "create", status=1, err=taken)
    failed = create(stand)
    assert failed.status == 1 and "already exist" in failed.err
    assert not stand.folder(NAME).exists()


def test_a_published_port_that_the_predecessor_has_is_told_with_the_way_out(stand: Stand) -> None:
    machine(stand, NOTHING)
    stand.when(
        "kind", "create", status=1, err="Bind for 127.0.0.1:8080 failed: port is already allocated\n\nRun --help\n"
    )
    stand.when("docker", "--filter=publish=8080", out="east-0f0f0f-control-plane east-0f0f0f\n")
    failed = create(stand)
    assert failed.err.startswith(f"cluster {NAME} cannot publish port 8080: east-0f0f0f has it, which it replaces\n")
    assert "only one of them can publish a port" in failed.err
    assert "in the same edit, or run `./mesh down` and then `./mesh up`" in failed.err


def test_a_port_that_the_stack_file_does_not_name_is_told_in_kinds_words(stand: Stand) -> None:
    machine(stand, NOTHING)
    stand.when("kind", "create", status=1, err="Bind for 127.0.0.1:43210 failed: port is already allocated\n")
    failed = create(stand)
    assert "port is already allocated" in failed.err and "ports[].host" not in failed.err


def test_a_node_image_that_cannot_be_pulled_is_told_with_the_keys_that_name_it(stand: Stand) -> None:
    machine(stand, NOTHING)
    said = (
        'ERROR: failed to create cluster: failed to pull image "kindest/node:v0": command "docker pull kindest/node:v0"'
        " failed with error: exit status 1\n\nCommand Output: Error response from daemon: manifest unknown\n"
    )
    stand.when("kind", "create", status=1, err=said)
    failed = create(stand)
    assert failed.status == 1
    assert failed.err == (
        f"cluster {NAME} cannot get its node image kindest/node:v0: Error response from daemon: manifest unknown\n"
        "  -> set clusters.east.image or images.node to an image that `docker pull` gets or `docker images` shows\n"
    )


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.",
            "Docker does not run\n  -> start Docker",
        ),
        (
            'failed to pull image "kindest/node:v0"\n\nCommand Output: write /x: no space left on device',
            "Docker's disk is full\n  -> ",
        ),
        (
            "failed to create fsnotify watcher: too many open files",
            "The machine's inotify limits are used up\n  -> sudo",
        ),
    ],
)
def test_what_keeps_docker_from_working_is_told_in_plain_words(stand: Stand, said: str, told: str) -> None:
    machine(stand, NOTHING)
    stand.when("kind", "create", status=1, err=f"ERROR: failed to create cluster: {said}\n")
    assert create(stand).err.startswith(told)


def test_a_failure_that_nobody_knows_is_told_with_what_the_machine_is_short_of(
    stand: Stand, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    here()
    machine(stand, NOTHING)
    monkeypatch.setattr(limits, "read", lambda: Limits(instances=128))
    stand.when("kind", "create", status=1, err='could not find a log line that matches "Reached target"\n')
    with pytest.raises(SystemExit) as ended:
        kind.create(NAME, config())
    said = str(ended.value)
    assert "could not find a log line" in said
    assert "This may be why: fs.inotify.max_user_instances is 128, kind wants 512\n  -> sudo sysctl -w" in said


def test_a_kind_that_is_missing_is_named_with_where_to_get_it(stand: Stand) -> None:
    machine(stand, NOTHING)
    stand.remove("kind")
    failed = create(stand)
    assert failed.status == 1
    assert failed.err.startswith("kind is not on PATH\n  -> get it: ./mesh install kind")


# start


def test_start_leaves_a_cluster_that_is_well_alone_and_asks_little(stand: Stand) -> None:
    machine(stand, RUNNING)
    finished(stand)
    assert other(stand, "start").status == 0
    assert [call.program for call in stand.calls()] == ["docker", "docker", "kubectl", "kubectl"]


def test_start_puts_a_stopped_node_back_under_its_address(stand: Stand) -> None:
    machine(stand, RUNNING.replace(f"{WORKER} running", f"{WORKER} exited"))
    finished(stand)
    assert other(stand, "start").status == 0
    assert [line for line in stand.lines("docker") if WORKER in line] == [
        f"docker network disconnect --force mesh-lab {WORKER}",
        f"docker network connect --ip=172.30.0.3 mesh-lab {WORKER}",
        f"docker restart {WORKER}",
    ]
    assert not any(MAIN in line for line in stand.lines("docker"))


def test_start_makes_a_network_that_was_pruned(stand: Stand) -> None:
    machine(stand, RUNNING.replace("running", "exited"))
    finished(stand)
    other(stand, "start")
    lines = stand.lines("docker")
    made = next(place for place, line in enumerate(lines) if line.startswith("docker network create"))
    assert made < lines.index(f"docker network connect --ip=172.30.0.2 mesh-lab {MAIN}")


def test_start_waits_until_the_cluster_answers_and_every_node_is_ready(
    stand: Stand, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    here()
    machine(stand, RUNNING)
    finished(stand)
    stand.when("kubectl", "--raw=/readyz", status=[1, 1, 0])
    stand.when("kubectl", "--raw=/api/v1/nodes", out=[members(worker="Unknown"), members(main="False"), members()])
    monkeypatch.setattr(readiness, "time", SimpleNamespace(sleep=lambda _: None, monotonic=lambda: 0))
    kind.start(NAME)
    asked = [call.argv[2] for call in stand.calls("kubectl")]
    assert asked.count("--raw=/readyz") == 5 and asked.count("--raw=/api/v1/nodes") == 3


def test_nodes_that_are_not_ready_are_watched_and_asked_for_no_longer_than_the_stack_file_says(
    stand: Stand, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    here()
    machine(stand, RUNNING)
    finished(stand)
    stand.when("kubectl", "--raw=/api/v1/nodes", out=[members(main="False"), members()])
    slept: list[float] = []
    monkeypatch.setattr(readiness, "time", SimpleNamespace(sleep=slept.append, monotonic=lambda: 0))
    kind.ready(NAME)
    (watched,) = (call.argv[1:] for call in stand.calls("kubectl") if "wait" in call.argv)
    within = f"--timeout={SETTINGS['READY_WITHIN']}s"
    assert watched == ["wait", "--for=condition=Ready", within, f"node/{MAIN}", f"node/{WORKER}"]
    assert not slept


def test_start_of_a_cluster_that_never_answers_ends_with_where_to_look(stand: Stand) -> None:
    machine(stand, RUNNING)
    finished(stand)
    stand.when("kubectl", status=1)
    failed = other(stand, "start", READY_WITHIN="0")
    assert failed.status == 1
    assert failed.err.startswith(
        f"cluster {NAME} is not up after 0 s: its API server does not answer\n  -> see `docker logs {MAIN}`"
    )


@pytest.mark.parametrize("listed", [NOTHING, RUNNING.replace("id-", "new-"), f"id-main {MAIN} running\n"])
def test_start_of_a_cluster_that_is_gone_foreign_or_robbed_says_so_by_its_status(stand: Stand, listed: str) -> None:
    machine(stand, listed)
    finished(stand)
    failed = other(stand, "start")
    assert (failed.status, failed.err) == (GONE, f"cluster {NAME} is gone\n")
    assert len(stand.calls()) == 1


def test_start_says_that_docker_does_not_run_instead_of_that_the_cluster_is_gone(stand: Stand) -> None:
    finished(stand)
    stand.when("docker", status=1, err="Cannot connect to the Docker daemon at unix:///var/run/docker.sock.\n")
    failed = other(stand, "start")
    assert failed.status == 1 and failed.err.startswith("Docker does not run\n")


# delete


def test_delete_removes_the_cluster_and_its_folder_and_spares_the_users_kubeconfig(stand: Stand) -> None:
    machine(stand, RUNNING)
    finished(stand)
    assert other(stand, "delete").status == 0
    assert stand.lines("kind") == [f"{DELETION} --kubeconfig={stand.folder(NAME)}/kubeconfig"]
    assert not stand.folder(NAME).exists()


def test_delete_removes_a_half_made_cluster(stand: Stand) -> None:
    machine(stand, RUNNING)
    begun(stand)
    assert other(stand, "delete").status == 0
    assert deleted(stand) and not stand.folder(NAME).exists()


def test_delete_of_what_is_gone_needs_no_kind_and_clears_the_folder(stand: Stand) -> None:
    machine(stand, NOTHING)
    stand.remove("kind")
    finished(stand)
    assert other(stand, "delete").status == 0
    assert not stand.folder(NAME).exists()
    assert other(stand, "delete").status == 0


@pytest.mark.parametrize("mine", [True, False])
def test_delete_leaves_a_foreign_cluster_alone_and_says_so(stand: Stand, mine: bool) -> None:
    machine(stand, RUNNING.replace("id-", "new-"))
    if mine:
        finished(stand)
    done = other(stand, "delete")
    assert done.status == 0
    assert done.err == (
        f"cluster {NAME} is left alone: what has that name now was not made by this checkout\n"
        f"  -> if nobody needs it: {DELETION}\n"
    )
    assert stand.calls("kind") == []


def test_delete_that_fails_keeps_what_it_knows(stand: Stand) -> None:
    machine(stand, RUNNING)
    finished(stand)
    stand.when("kind", "delete", status=1, err="ERROR: failed to delete nodes\n")
    failed = other(stand, "delete")
    assert failed.status == 1 and "failed to delete nodes" in failed.err
    assert (stand.folder(NAME) / "made").exists()


def test_delete_without_docker_says_so_and_keeps_what_it_knows(stand: Stand) -> None:
    finished(stand)
    stand.when("docker", status=1, err="failed to connect to the docker API at unix:///var/run/docker.sock\n")
    failed = other(stand, "delete")
    assert failed.status == 1 and failed.err.startswith("Docker does not run\n")
    assert (stand.folder(NAME) / "made").exists()


def note(stand: Stand, stack: str, real: str) -> None:
    """Leave what kubeconfig.py notes of the current generation."""
    file = stand.home / "kubeconfigs" / stack / ".east.of"
    file.parent.mkdir(parents=True)
    file.write_text(real)


def on_pause(monkeypatch: pytest.MonkeyPatch, act: Callable[[float], None]) -> None:
    """Do something in place of the moment that importers are given; running programs sleeps too, and is let."""
    monkeypatch.setattr(generations, "time", SimpleNamespace(sleep=act))


@pytest.mark.parametrize(
    ("notes", "settings", "pauses"),
    [
        ({"dev": "east-999999"}, {}, 1),
        ({"dev": NAME}, {}, 0),
        ({}, {}, 0),
        ({"dev": "east-999999", "prod": NAME}, {}, 0),
        ({"dev": "east-999999"}, {"STACK": "prod"}, 0),
        ({"dev": "east-999999", "prod": NAME}, {"STACK": "dev"}, 1),
    ],
)
def test_only_a_cluster_that_was_replaced_gives_its_importers_a_moment(
    stand: Stand,
    here: Here,
    monkeypatch: pytest.MonkeyPatch,
    notes: dict[str, str],
    settings: dict[str, str],
    pauses: int,
) -> None:
    here(**settings)
    machine(stand, RUNNING)
    finished(stand)
    for stack, real in notes.items():
        note(stand, stack, real)
    paused: list[bool] = []
    on_pause(monkeypatch, lambda _: paused.append(deleted(stand)))
    kind.delete(NAME)
    assert paused == [False] * pauses  # before the deletion, not after it
    assert deleted(stand)


def test_nobody_waits_for_a_replaced_cluster_that_is_gone_already(
    stand: Stand, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    here()
    machine(stand, NOTHING)
    note(stand, "dev", "east-999999")
    on_pause(monkeypatch, lambda _: pytest.fail("waited"))
    kind.delete(NAME)
