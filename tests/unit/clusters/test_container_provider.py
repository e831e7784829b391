"""The jobs that make clusters of containers, kind's and k3d's, against a kind, a k3d and a docker that record."""

import json
import signal
from collections.abc import Callable, Mapping
from types import SimpleNamespace

import pytest

from mesh_federation.clusters import generations, journal, kubeconfigs, machine_limits, readiness
from mesh_federation.clusters.local_cluster import GONE, LocalCluster
from mesh_federation.clusters.machine_limits import GIB, Limits
from tests.unit.clusters.sides import LABEL, NAME, SIDES, Side
from tests.unit.clusters.stand import Held, Stand, ended, in_docker, waits_for_lock
from tests.unit.command_result import CommandResult

SETTINGS = in_docker(NAME)
NOTHING = ""


@pytest.fixture(params=SIDES, ids=lambda side: side.program)
def side(request: pytest.FixtureRequest) -> Side:
    """Each program in turn: what holds for one holds for the other."""
    given: Side = request.param
    return given


def machine(stand: Stand, side: Side, *listed: str, **ready: str) -> None:
    """A Docker that shows these containers on successive looks, and no network yet; the cluster answers."""
    stand.when("docker", "inspect", out="".join(f"{id} {address}\n" for id, address in side.made.items()))
    stand.when("docker", "network", "inspect", status=1, err="Error response from daemon: network mesh-lab not found\n")
    stand.when("docker", "--no-trunc", out=listed)
    stand.when("kubectl", "--raw=/api/v1/nodes", out=side.members(**ready))


def finished(stand: Stand, side: Side) -> None:
    """Leave what a finished creation leaves."""
    started(stand)
    (stand.folder(NAME) / "made").write_text(json.dumps(side.made))
    (stand.folder(NAME) / "kubeconfig").touch()


def started(stand: Stand) -> None:
    """Leave what a killed creation leaves."""
    journal.record(stand.of_containers(NAME), "kind")


def create(
    stand: Stand, side: Side, label: str = "abc", within: int = 300, variables: Mapping[str, str] | None = None
) -> CommandResult:
    return stand.run(side.program, "create", settings=in_docker(NAME, within, label=label), variables=variables)


def other(
    stand: Stand, side: Side, action: str, within: int = 300, variables: Mapping[str, str] | None = None
) -> CommandResult:
    return stand.run(side.program, action, settings=in_docker(NAME, within), variables=variables)


def acts(stand: Stand, side: Side) -> list[str]:
    """What the program did to clusters, in order."""
    return [word for call in stand.calls(side.program) for word in call.argv if word in ("create", "delete")]


def deleted(stand: Stand, side: Side) -> bool:
    return "delete" in acts(stand, side)


def created(stand: Stand, side: Side) -> bool:
    return "create" in acts(stand, side)


@pytest.fixture
def here(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> LocalCluster:
    """The cluster, for the process of the test, which is on the machine of stubs."""
    stand.enter(monkeypatch)
    return stand.of_containers(NAME)


# create: a fresh cluster


def test_the_network_is_there_with_its_addresses_before_a_cluster_is_made(side: Side, stand: Stand) -> None:
    machine(stand, side, NOTHING, side.running)
    made = create(stand, side)
    assert (made.status, made.err) == (0, "")
    assert stand.calls(side.program)[0].stdin == side.config
    lines = stand.lines()
    network = lines.index(
        "docker network create --subnet=172.30.0.0/16 --ip-range=172.30.0.0/17 --label=mesh-federation mesh-lab"
    )
    assert network < lines.index(stand.lines(side.program)[0])


def test_a_new_cluster_is_there_before_its_nodes_are_ready(side: Side, stand: Stand) -> None:
    machine(stand, side, NOTHING, side.running, worker="False")
    assert create(stand, side, within=0).status == 0
    assert not any("/api/v1/nodes" in line for line in stand.lines())


def test_a_finished_cluster_is_known_by_its_containers_and_their_addresses(side: Side, stand: Stand) -> None:
    machine(stand, side, NOTHING, side.running)
    create(stand, side)
    assert json.loads((stand.folder(NAME) / "made").read_text()) == side.made


def test_what_another_generation_left_in_the_folder_is_dropped(side: Side, stand: Stand) -> None:
    machine(stand, side, NOTHING, side.running)
    finished(stand, side)
    (stand.folder(NAME) / "left").write_text("by a cluster that is gone")
    assert create(stand, side).status == 0
    assert not (stand.folder(NAME) / "left").exists()


def test_nodes_that_are_ready_are_not_waited_for(side: Side, stand: Stand) -> None:
    machine(stand, side, side.running)
    assert other(stand, side, "ready", within=0).status == 0


def test_a_worker_that_does_not_get_ready_in_the_stack_files_time_is_named(side: Side, stand: Stand) -> None:
    machine(stand, side, side.running, worker="False")
    failed = other(stand, side, "ready", within=0)
    assert failed.status == 1
    assert failed.err.startswith(
        f"cluster {NAME} is not up after 0 s: not Ready: {side.worker}\n  -> see `docker logs {side.main}`"
    )
    assert "clusters.east.readyWithinSeconds" in failed.err


def test_without_memory_nothing_is_created(
    side: Side, stand: Stand, here: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(stand, side, NOTHING, side.running)
    monkeypatch.setattr(machine_limits, "read", lambda: Limits(memory=GIB // 2))
    with pytest.raises(SystemExit, match=f"cluster {NAME} is not created: 0.5 GiB of memory available"):
        side.provider.create(here)
    assert not created(stand, side) and not stand.folder(NAME).exists()
    assert not any("network" in line for line in stand.lines())


def test_a_machine_that_is_only_short_of_memory_gets_its_chance(
    side: Side, stand: Stand, here: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(stand, side, NOTHING, side.running)
    monkeypatch.setattr(machine_limits, "read", lambda: Limits(memory=GIB))
    side.provider.create(here)
    assert created(stand, side)


def test_other_checkouts_wait_while_a_cluster_of_the_name_is_made(side: Side, stand: Stand) -> None:
    machine(stand, side, NOTHING, side.running)
    lock = Held(stand.root / "cache" / "mesh-federation" / "locks" / f"cluster-{NAME}")
    process = stand.begin(side.program, "create", settings=SETTINGS)
    assert waits_for_lock(process)
    assert stand.calls() == []
    lock.release()
    assert ended(process).status == 0


def test_the_network_stays_while_a_cluster_is_put_into_it(side: Side, stand: Stand) -> None:
    gate = stand.when(side.program, "create", hold="create")
    machine(stand, side, NOTHING, side.running)
    maker = stand.begin(side.program, "create", settings=SETTINGS)
    with gate.open("w") as opened:
        remover = stand.begin(side.program, "delete", settings=in_docker("west-4d5e6f"))
        assert waits_for_lock(remover)
        assert not any("network rm" in line for line in stand.lines())
        opened.write("go")
    assert ended(maker).status == ended(remover).status == 0


# create: something is there already


def test_a_cluster_of_ours_from_the_same_configuration_is_adopted(side: Side, stand: Stand) -> None:
    machine(stand, side, side.running)
    finished(stand, side)
    done = create(stand, side)
    assert (done.status, done.err) == (0, "")
    assert stand.calls(side.program) == []
    assert [call.argv[0] for call in stand.calls("docker")] == ["ps", "inspect"]


def test_a_stopped_cluster_of_ours_is_started_and_adopted(side: Side, stand: Stand) -> None:
    machine(stand, side, side.running.replace("running", "exited"))
    finished(stand, side)
    assert create(stand, side).status == 0
    assert stand.calls(side.program) == []
    assert f"docker restart {side.main}" in stand.lines() and f"docker restart {side.worker}" in stand.lines()


def test_a_cluster_from_another_configuration_is_refused_with_both(side: Side, stand: Stand) -> None:
    machine(stand, side, side.running, label="old")
    finished(stand, side)
    refused = create(stand, side, "new")
    assert refused.status == 1
    assert f"{side.main} has: {LABEL}=old\n  the stack file asks for: {LABEL}=new\n  -> remove it with" in refused.err
    assert stand.calls(side.program) == []


def test_a_cluster_without_the_label_is_from_another_configuration(side: Side, stand: Stand) -> None:
    machine(stand, side, side.running)
    stand.when("kubectl", "--raw=/api/v1/nodes", out=side.members().replace(LABEL, "other"))
    finished(stand, side)
    refused = create(stand, side)
    assert refused.status == 1 and "has: no such label" in refused.err


def test_a_creation_that_was_killed_is_deleted_and_made_anew(side: Side, stand: Stand) -> None:
    machine(stand, side, side.running)
    started(stand)
    assert create(stand, side).status == 0
    assert acts(stand, side) == ["delete", "create"]
    assert (stand.folder(NAME) / "made").exists()


def test_a_cluster_that_lost_a_node_is_made_anew(side: Side, stand: Stand) -> None:
    machine(stand, side, f"id-worker {side.worker} running\n", side.running)
    finished(stand, side)
    assert create(stand, side).status == 0
    assert deleted(stand, side) and created(stand, side)


def test_a_killed_script_leaves_its_mark_before_anything_is_made(side: Side, stand: Stand) -> None:
    gate = stand.when(side.program, "create", hold="create")
    machine(stand, side, NOTHING)
    process = stand.begin(side.program, "create", settings=SETTINGS)
    with gate.open("w") as opened:
        [entry] = journal.entries(stand.home, "dev")
        assert entry.job == side.program  # by which `./mesh` removes it
        assert not (stand.folder(NAME) / "made").exists()
        process.send_signal(signal.SIGKILL)
        opened.write("go")
    assert ended(process).status == -signal.SIGKILL


def test_a_foreign_cluster_is_refused_with_both_configurations(side: Side, stand: Stand) -> None:
    machine(stand, side, side.running)
    stand.when("docker", *side.kubectl.split()[1:], out=side.members("theirs"))
    refused = create(stand, side, "ours")
    assert refused.status == 1
    assert refused.err.startswith(f"there is a cluster {NAME} that this checkout did not make")
    assert f"it has: {LABEL}=theirs\n  the stack file asks for: {LABEL}=ours\n  -> " in refused.err
    assert stand.calls(side.program) == [] and not any("restart" in line for line in stand.lines())


def test_a_foreign_cluster_is_refused_even_where_its_configuration_is_the_same(side: Side, stand: Stand) -> None:
    machine(stand, side, side.running)
    stand.when("docker", "exec", out=side.members("abc"))
    assert create(stand, side, "abc").status == 1
    assert stand.calls(side.program) == []


def test_a_foreign_cluster_that_does_not_answer_is_refused_too(side: Side, stand: Stand) -> None:
    machine(stand, side, side.running.replace("running", "exited"))
    stand.when("docker", "exec", status=1, err="container is not running\n")
    refused = create(stand, side)
    assert refused.status == 1
    assert "it has: unknown: it does not answer" in refused.err
    assert stand.calls(side.program) == []


def test_a_cluster_that_somebody_made_after_ours_was_removed_by_hand_is_foreign(side: Side, stand: Stand) -> None:
    machine(stand, side, side.running.replace("id-", "new-"))
    finished(stand, side)
    assert create(stand, side).status == 1
    assert stand.calls(side.program) == []


# create: the program fails


def test_a_failure_that_left_nothing_claims_nothing(side: Side, stand: Stand) -> None:
    machine(stand, side, NOTHING)
    stand.when(side.program, "create", status=1, err="ERROR: failed to create cluster: no\n")
    failed = create(stand, side)
    assert failed.status == 1 and "failed to create cluster: no" in failed.err
    assert not stand.folder(NAME).exists()


def test_a_failure_removes_the_network_that_only_it_used(side: Side, stand: Stand) -> None:
    machine(stand, side, NOTHING)
    network = json.dumps([{"Name": "mesh-lab", "Labels": {"mesh-federation": ""}, "IPAM": {"Config": []}}])
    stand.when("docker", "network", "inspect", out=network.replace("[]", '[{"Subnet": "172.30.0.0/16"}]'))
    stand.when(side.program, "create", status=1, err="ERROR: failed to create cluster: no\n")
    create(stand, side)
    assert stand.lines()[-1] == "docker network rm mesh-lab"


def test_a_failure_that_left_nodes_is_cleared_away_by_the_next_run(side: Side, stand: Stand) -> None:
    machine(stand, side, NOTHING, side.running)
    stand.when(side.program, "create", status=[1, 0], err="ERROR: failed to create cluster: no\n")
    assert create(stand, side).status == 1
    assert journal.entries(stand.home, "dev")
    assert create(stand, side).status == 0
    assert deleted(stand, side)


def test_a_name_that_somebody_took_meanwhile_is_not_claimed(side: Side, stand: Stand) -> None:
    machine(stand, side, NOTHING, side.running)
    stand.when(side.program, "create", status=1, err=side.taken)
    failed = create(stand, side)
    assert failed.status == 1 and "already exist" in failed.err
    assert not stand.folder(NAME).exists()


def test_a_published_port_that_the_predecessor_has_is_told_with_the_way_out(side: Side, stand: Stand) -> None:
    machine(stand, side, NOTHING)
    stand.when(
        side.program,
        "create",
        status=1,
        err="Bind for 127.0.0.1:8080 failed: port is already allocated\n\nRun --help\n",
    )
    stand.when("docker", "--filter=publish=8080", out="east-0f0f0f-control-plane east-0f0f0f\n")
    failed = create(stand, side)
    assert failed.err.startswith(f"cluster {NAME} cannot publish port 8080: east-0f0f0f has it, which it replaces\n")
    assert "only one of them can publish a port" in failed.err
    assert "in the same edit, or run `./mesh down` and then `./mesh up`" in failed.err


def test_a_port_that_the_stack_file_does_not_name_is_told_in_its_own_words(side: Side, stand: Stand) -> None:
    machine(stand, side, NOTHING)
    stand.when(side.program, "create", status=1, err="Bind for 127.0.0.1:43210 failed: port is already allocated\n")
    failed = create(stand, side)
    assert "port is already allocated" in failed.err and "ports[].host" not in failed.err


def test_a_node_image_that_cannot_be_pulled_is_told_with_the_keys_that_name_it(side: Side, stand: Stand) -> None:
    machine(stand, side, NOTHING)
    why = "Error response from daemon: manifest unknown"
    stand.when(side.program, "create", status=1, err=side.refused("example.com/node:v0", why))
    failed = create(stand, side)
    assert failed.status == 1
    assert failed.err == (
        f"cluster {NAME} cannot get its node image example.com/node:v0: {why}\n"
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
            "docker failed to pull the image 'example.com/node:v0': write /x: no space left on device",
            "Docker's disk is full\n  -> ",
        ),
        (
            "failed to create fsnotify watcher: too many open files",
            "The machine's inotify limits are used up\n  -> sudo",
        ),
    ],
)
def test_what_keeps_docker_from_working_is_told_in_plain_words(side: Side, stand: Stand, said: str, told: str) -> None:
    machine(stand, side, NOTHING)
    stand.when(side.program, "create", status=1, err=f"ERROR: failed to create cluster: {said}\n")
    assert create(stand, side).err.startswith(told)


def test_a_failure_that_nobody_knows_is_told_with_what_the_machine_is_short_of(
    side: Side, stand: Stand, here: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(stand, side, NOTHING)
    monkeypatch.setattr(machine_limits, "read", lambda: Limits(instances=128))
    stand.when(side.program, "create", status=1, err='could not find a log line that matches "Reached target"\n')
    with pytest.raises(SystemExit) as ended:
        side.provider.create(here)
    said = str(ended.value)
    assert "could not find a log line" in said
    assert "This may be why: fs.inotify.max_user_instances is 128, kind wants 512\n  -> sudo sysctl -w" in said


def test_a_program_that_is_missing_is_named_with_where_to_get_it(side: Side, stand: Stand) -> None:
    machine(stand, side, NOTHING)
    stand.remove(side.program)
    failed = create(stand, side)
    assert failed.status == 1
    assert failed.err.startswith(f"{side.program} is not on PATH\n  -> get it: ./mesh install {side.program}")


# start


def test_start_leaves_a_cluster_that_is_well_alone_and_asks_little(side: Side, stand: Stand) -> None:
    machine(stand, side, side.running)
    finished(stand, side)
    assert other(stand, side, "start").status == 0
    assert [call.program for call in stand.calls()] == ["docker", "docker", "kubectl", "kubectl"]


def test_start_writes_a_kubeconfig_again_that_is_lost(side: Side, stand: Stand) -> None:
    machine(stand, side, side.running)
    finished(stand, side)
    (stand.folder(NAME) / "kubeconfig").unlink()
    stand.when(side.program, "kubeconfig", "get", out="server: east")
    assert other(stand, side, "start").status == 0
    assert (stand.folder(NAME) / "kubeconfig").read_text(encoding="utf-8") == "server: east"
    assert (stand.folder(NAME) / "kubeconfig").stat().st_mode & 0o077 == 0


def test_start_puts_a_stopped_node_back_under_its_address(side: Side, stand: Stand) -> None:
    machine(stand, side, side.running.replace(f"{side.worker} running", f"{side.worker} exited"))
    finished(stand, side)
    assert other(stand, side, "start").status == 0
    assert [line for line in stand.lines("docker") if side.worker in line] == [
        f"docker network disconnect --force mesh-lab {side.worker}",
        f"docker network connect --ip=172.30.0.3 mesh-lab {side.worker}",
        f"docker restart {side.worker}",
    ]
    assert not any(side.main in line for line in stand.lines("docker"))


def test_start_makes_a_network_that_was_pruned(side: Side, stand: Stand) -> None:
    machine(stand, side, side.running.replace("running", "exited"))
    finished(stand, side)
    other(stand, side, "start")
    lines = stand.lines("docker")
    made = next(place for place, line in enumerate(lines) if line.startswith("docker network create"))
    assert made < lines.index(f"docker network connect --ip=172.30.0.2 mesh-lab {side.main}")


def test_start_waits_until_the_cluster_answers_and_every_node_is_ready(
    side: Side, stand: Stand, here: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(stand, side, side.running)
    finished(stand, side)
    stand.when("kubectl", "--raw=/readyz", status=[1, 1, 0])
    stand.when(
        "kubectl",
        "--raw=/api/v1/nodes",
        out=[side.members(worker="Unknown"), side.members(main="False"), side.members()],
    )
    monkeypatch.setattr(readiness, "time", SimpleNamespace(sleep=lambda _: None, monotonic=lambda: 0))
    side.provider.start(here)
    asked = [call.argv[2] for call in stand.calls("kubectl")]
    assert asked.count("--raw=/readyz") == 5 and asked.count("--raw=/api/v1/nodes") == 3


def test_nodes_that_are_not_ready_are_watched_and_asked_for_no_longer_than_the_stack_file_says(
    side: Side, stand: Stand, here: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(stand, side, side.running)
    finished(stand, side)
    stand.when("kubectl", "--raw=/api/v1/nodes", out=[side.members(main="False"), side.members()])
    slept: list[float] = []
    monkeypatch.setattr(readiness, "time", SimpleNamespace(sleep=slept.append, monotonic=lambda: 0))
    side.provider.ready(here)
    (watched,) = (call.argv[1:] for call in stand.calls("kubectl") if "wait" in call.argv)
    within = f"--timeout={SETTINGS.spec.ready_within_seconds}s"
    assert watched == ["wait", "--for=condition=Ready", within, f"node/{side.main}", f"node/{side.worker}"]
    assert not slept


def test_start_of_a_cluster_that_never_answers_ends_with_where_to_look(side: Side, stand: Stand) -> None:
    machine(stand, side, side.running)
    finished(stand, side)
    stand.when("kubectl", status=1)
    failed = other(stand, side, "start", within=0)
    assert failed.status == 1
    assert failed.err.startswith(
        f"cluster {NAME} is not up after 0 s: its API server does not answer\n  -> see `docker logs {side.main}`"
    )


@pytest.mark.parametrize("left", ["nothing", "another", "a part"])
def test_start_of_a_cluster_that_is_gone_foreign_or_robbed_says_so_by_its_status(
    side: Side, stand: Stand, left: str
) -> None:
    another = side.running.replace("id-", "new-")
    listed = {"nothing": NOTHING, "another": another, "a part": f"id-main {side.main} running\n"}[left]
    machine(stand, side, listed)
    finished(stand, side)
    failed = other(stand, side, "start")
    assert (failed.status, failed.err) == (GONE, f"cluster {NAME} is gone\n")
    assert len(stand.calls()) == 1


def test_start_says_that_docker_does_not_run_instead_of_that_the_cluster_is_gone(side: Side, stand: Stand) -> None:
    finished(stand, side)
    stand.when("docker", status=1, err="Cannot connect to the Docker daemon at unix:///var/run/docker.sock.\n")
    failed = other(stand, side, "start")
    assert failed.status == 1 and failed.err.startswith("Docker does not run\n")


# delete


def test_delete_removes_the_cluster_and_its_folder(side: Side, stand: Stand) -> None:
    machine(stand, side, side.running)
    finished(stand, side)
    assert other(stand, side, "delete").status == 0
    assert acts(stand, side) == ["delete"]
    assert not stand.folder(NAME).exists()


def test_delete_removes_a_half_made_cluster(side: Side, stand: Stand) -> None:
    machine(stand, side, side.running)
    started(stand)
    assert other(stand, side, "delete").status == 0
    assert deleted(stand, side) and not stand.folder(NAME).exists()


def test_delete_of_what_is_gone_needs_no_program_and_clears_the_folder(side: Side, stand: Stand) -> None:
    machine(stand, side, NOTHING)
    stand.remove(side.program)
    finished(stand, side)
    assert other(stand, side, "delete").status == 0
    assert not stand.folder(NAME).exists()
    assert other(stand, side, "delete").status == 0


@pytest.mark.parametrize("mine", [True, False])
def test_delete_leaves_a_foreign_cluster_alone_and_says_so(side: Side, stand: Stand, mine: bool) -> None:
    machine(stand, side, side.running.replace("id-", "new-"))
    if mine:
        finished(stand, side)
    done = other(stand, side, "delete")
    assert done.status == 0
    assert done.err == (
        f"cluster {NAME} is left alone: what has that name now was not made by this checkout\n"
        f"  -> if nobody needs it: {side.removal}\n"
    )
    assert stand.calls(side.program) == []


def test_delete_that_fails_keeps_what_it_knows(side: Side, stand: Stand) -> None:
    machine(stand, side, side.running)
    finished(stand, side)
    stand.when(side.program, "delete", status=1, err="ERROR: failed to delete nodes\n")
    failed = other(stand, side, "delete")
    assert failed.status == 1 and "failed to delete nodes" in failed.err
    assert (stand.folder(NAME) / "made").exists()


def test_delete_without_docker_says_so_and_keeps_what_it_knows(side: Side, stand: Stand) -> None:
    finished(stand, side)
    stand.when("docker", status=1, err="failed to connect to the docker API at unix:///var/run/docker.sock\n")
    failed = other(stand, side, "delete")
    assert failed.status == 1 and failed.err.startswith("Docker does not run\n")
    assert (stand.folder(NAME) / "made").exists()


def reach(stand: Stand, stack: str, real: str) -> None:
    """Leave the kubeconfig of the current generation."""
    kubeconfigs.keep(stand.home / kubeconfigs.shown(stack, "east"), "{}", real)


def on_pause(monkeypatch: pytest.MonkeyPatch, act: Callable[[float], None]) -> None:
    """Do something in place of the moment that importers are given; running programs sleeps too, and is let."""
    monkeypatch.setattr(generations, "time", SimpleNamespace(sleep=act))


@pytest.mark.parametrize(
    ("current", "pauses"),
    [
        ({"dev": "east-999999"}, 1),
        ({"dev": NAME}, 0),
        ({}, 0),
        ({"prod": "east-999999"}, 0),
        ({"dev": "east-999999", "prod": NAME}, 1),
    ],
)
def test_only_a_cluster_that_was_replaced_gives_its_importers_a_moment(
    side: Side,
    stand: Stand,
    here: LocalCluster,
    monkeypatch: pytest.MonkeyPatch,
    current: dict[str, str],
    pauses: int,
) -> None:
    machine(stand, side, side.running)
    finished(stand, side)
    for stack, real in current.items():
        reach(stand, stack, real)
    paused: list[bool] = []
    on_pause(monkeypatch, lambda _: paused.append(deleted(stand, side)))
    side.provider.delete(here)
    assert paused == [False] * pauses  # before the deletion, not after it
    assert deleted(stand, side)


def test_nobody_waits_for_a_replaced_cluster_that_is_gone_already(
    side: Side, stand: Stand, here: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(stand, side, NOTHING)
    reach(stand, "dev", "east-999999")
    on_pause(monkeypatch, lambda _: pytest.fail("waited"))
    side.provider.delete(here)
