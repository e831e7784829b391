"""The jobs that make clusters of containers, kind's and k3d's, against a kind, a k3d and a docker that record."""

import json
import signal
from collections.abc import Callable, Mapping
from types import SimpleNamespace

import pytest

from mesh_federation.clusters import generations, journal, kubeconfigs, machine_limits, readiness
from mesh_federation.clusters.local_cluster import GONE, LocalCluster
from mesh_federation.clusters.machine_limits import GIB, Limits
from tests.unit.clusters.container_cases import CASES, LABEL, NAME, ContainerCase
from tests.unit.clusters.fake_machine import FakeMachine, Held, ended, in_docker, waits_for_lock
from tests.unit.command_result import CommandResult

SETTINGS = in_docker(NAME)
NOTHING = ""


@pytest.fixture(params=CASES, ids=lambda case: case.program)
def case(request: pytest.FixtureRequest) -> ContainerCase:
    """Each program in turn: what holds for one holds for the other."""
    given: ContainerCase = request.param
    return given


def docker_shows(machine: FakeMachine, case: ContainerCase, *listed: str, **ready: str) -> None:
    """A Docker that shows these containers on successive looks, and no network yet; the cluster answers."""
    machine.when("docker", "inspect", out="".join(f"{id} {address}\n" for id, address in case.made.items()))
    machine.when(
        "docker", "network", "inspect", status=1, err="Error response from daemon: network mesh-lab not found\n"
    )
    machine.when("docker", "--no-trunc", out=listed)
    machine.when("kubectl", "--raw=/api/v1/nodes", out=case.members(**ready))


def finished(machine: FakeMachine, case: ContainerCase) -> None:
    """Leave what a finished creation leaves."""
    started(machine)
    (machine.folder(NAME) / "made").write_text(json.dumps(case.made))
    (machine.folder(NAME) / "kubeconfig").touch()


def started(machine: FakeMachine) -> None:
    """Leave what a killed creation leaves."""
    journal.record(machine.of_containers(NAME), "kind")


def create(
    machine: FakeMachine,
    case: ContainerCase,
    label: str = "abc",
    within: int = 300,
    variables: Mapping[str, str] | None = None,
) -> CommandResult:
    return machine.run(case.program, "create", settings=in_docker(NAME, within, label=label), variables=variables)


def other(
    machine: FakeMachine,
    case: ContainerCase,
    action: str,
    within: int = 300,
    variables: Mapping[str, str] | None = None,
) -> CommandResult:
    return machine.run(case.program, action, settings=in_docker(NAME, within), variables=variables)


def acts(machine: FakeMachine, case: ContainerCase) -> list[str]:
    """What the program did to clusters, in order."""
    return [word for call in machine.calls(case.program) for word in call.argv if word in ("create", "delete")]


def deleted(machine: FakeMachine, case: ContainerCase) -> bool:
    return "delete" in acts(machine, case)


def created(machine: FakeMachine, case: ContainerCase) -> bool:
    return "create" in acts(machine, case)


@pytest.fixture
def here(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> LocalCluster:
    """The cluster, for the process of the test, which is on the machine of stubs."""
    machine.enter(monkeypatch)
    return machine.of_containers(NAME)


# create: a fresh cluster


def test_the_network_is_there_with_its_addresses_before_a_cluster_is_made(
    case: ContainerCase, machine: FakeMachine
) -> None:
    docker_shows(machine, case, NOTHING, case.running)
    made = create(machine, case)
    assert (made.status, made.err) == (0, "")
    assert machine.calls(case.program)[0].stdin == case.config
    lines = machine.lines()
    network = lines.index(
        "docker network create --subnet=172.30.0.0/16 --ip-range=172.30.0.0/17 --label=mesh-federation mesh-lab"
    )
    assert network < lines.index(machine.lines(case.program)[0])


def test_a_new_cluster_is_there_before_its_nodes_are_ready(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, NOTHING, case.running, worker="False")
    assert create(machine, case, within=0).status == 0
    assert not any("/api/v1/nodes" in line for line in machine.lines())


def test_a_finished_cluster_is_known_by_its_containers_and_their_addresses(
    case: ContainerCase, machine: FakeMachine
) -> None:
    docker_shows(machine, case, NOTHING, case.running)
    create(machine, case)
    assert json.loads((machine.folder(NAME) / "made").read_text()) == case.made


def test_what_another_generation_left_in_the_folder_is_dropped(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, NOTHING, case.running)
    finished(machine, case)
    (machine.folder(NAME) / "left").write_text("by a cluster that is gone")
    assert create(machine, case).status == 0
    assert not (machine.folder(NAME) / "left").exists()


def test_nodes_that_are_ready_are_not_waited_for(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, case.running)
    assert other(machine, case, "ready", within=0).status == 0


def test_a_worker_that_does_not_get_ready_in_the_stack_files_time_is_named(
    case: ContainerCase, machine: FakeMachine
) -> None:
    docker_shows(machine, case, case.running, worker="False")
    failed = other(machine, case, "ready", within=0)
    assert failed.status == 1
    assert failed.err.startswith(
        f"cluster {NAME} is not up after 0 s: not Ready: {case.worker}\n  -> see `docker logs {case.main}`"
    )
    assert "clusters.east.readyWithinSeconds" in failed.err


def test_without_memory_nothing_is_created(
    case: ContainerCase, machine: FakeMachine, here: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker_shows(machine, case, NOTHING, case.running)
    monkeypatch.setattr(machine_limits, "read", lambda: Limits(memory=GIB // 2))
    with pytest.raises(SystemExit, match=f"cluster {NAME} is not created: 0.5 GiB of memory available"):
        case.provider.create(here)
    assert not created(machine, case) and not machine.folder(NAME).exists()
    assert not any("network" in line for line in machine.lines())


def test_a_machine_that_is_only_short_of_memory_gets_its_chance(
    case: ContainerCase, machine: FakeMachine, here: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker_shows(machine, case, NOTHING, case.running)
    monkeypatch.setattr(machine_limits, "read", lambda: Limits(memory=GIB))
    case.provider.create(here)
    assert created(machine, case)


def test_other_checkouts_wait_while_a_cluster_of_the_name_is_made(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, NOTHING, case.running)
    lock = Held(machine.root / "cache" / "mesh-federation" / "locks" / f"cluster-{NAME}")
    process = machine.begin(case.program, "create", settings=SETTINGS)
    assert waits_for_lock(process)
    assert machine.calls() == []
    lock.release()
    assert ended(process).status == 0


def test_the_network_stays_while_a_cluster_is_put_into_it(case: ContainerCase, machine: FakeMachine) -> None:
    gate = machine.when(case.program, "create", hold="create")
    docker_shows(machine, case, NOTHING, case.running)
    maker = machine.begin(case.program, "create", settings=SETTINGS)
    with gate.open("w") as opened:
        remover = machine.begin(case.program, "delete", settings=in_docker("west-4d5e6f"))
        assert waits_for_lock(remover)
        assert not any("network rm" in line for line in machine.lines())
        opened.write("go")
    assert ended(maker).status == ended(remover).status == 0


# create: something is there already


def test_a_cluster_of_ours_from_the_same_configuration_is_adopted(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, case.running)
    finished(machine, case)
    done = create(machine, case)
    assert (done.status, done.err) == (0, "")
    assert machine.calls(case.program) == []
    assert [call.argv[0] for call in machine.calls("docker")] == ["ps", "inspect"]


def test_a_stopped_cluster_of_ours_is_started_and_adopted(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, case.running.replace("running", "exited"))
    finished(machine, case)
    assert create(machine, case).status == 0
    assert machine.calls(case.program) == []
    assert f"docker restart {case.main}" in machine.lines() and f"docker restart {case.worker}" in machine.lines()


def test_a_cluster_from_another_configuration_is_refused_with_both(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, case.running, label="old")
    finished(machine, case)
    refused = create(machine, case, "new")
    assert refused.status == 1
    assert f"{case.main} has: {LABEL}=old\n  the stack file asks for: {LABEL}=new\n  -> remove it with" in refused.err
    assert machine.calls(case.program) == []


def test_a_cluster_without_the_label_is_from_another_configuration(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, case.running)
    machine.when("kubectl", "--raw=/api/v1/nodes", out=case.members().replace(LABEL, "other"))
    finished(machine, case)
    refused = create(machine, case)
    assert refused.status == 1 and "has: no such label" in refused.err


def test_a_creation_that_was_killed_is_deleted_and_made_anew(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, case.running)
    started(machine)
    assert create(machine, case).status == 0
    assert acts(machine, case) == ["delete", "create"]
    assert (machine.folder(NAME) / "made").exists()


def test_a_cluster_that_lost_a_node_is_made_anew(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, f"id-worker {case.worker} running\n", case.running)
    finished(machine, case)
    assert create(machine, case).status == 0
    assert deleted(machine, case) and created(machine, case)


def test_a_killed_script_leaves_its_mark_before_anything_is_made(case: ContainerCase, machine: FakeMachine) -> None:
    gate = machine.when(case.program, "create", hold="create")
    docker_shows(machine, case, NOTHING)
    process = machine.begin(case.program, "create", settings=SETTINGS)
    with gate.open("w") as opened:
        [entry] = journal.entries(machine.home, "dev")
        assert entry.job == case.program  # by which `./mesh` removes it
        assert not (machine.folder(NAME) / "made").exists()
        process.send_signal(signal.SIGKILL)
        opened.write("go")
    assert ended(process).status == -signal.SIGKILL


def test_a_foreign_cluster_is_refused_with_both_configurations(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, case.running)
    machine.when("docker", *case.kubectl.split()[1:], out=case.members("theirs"))
    refused = create(machine, case, "ours")
    assert refused.status == 1
    assert refused.err.startswith(f"there is a cluster {NAME} that this checkout did not make")
    assert f"it has: {LABEL}=theirs\n  the stack file asks for: {LABEL}=ours\n  -> " in refused.err
    assert machine.calls(case.program) == [] and not any("restart" in line for line in machine.lines())


def test_a_foreign_cluster_is_refused_even_where_its_configuration_is_the_same(
    case: ContainerCase, machine: FakeMachine
) -> None:
    docker_shows(machine, case, case.running)
    machine.when("docker", "exec", out=case.members("abc"))
    assert create(machine, case, "abc").status == 1
    assert machine.calls(case.program) == []


def test_a_foreign_cluster_that_does_not_answer_is_refused_too(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, case.running.replace("running", "exited"))
    machine.when("docker", "exec", status=1, err="container is not running\n")
    refused = create(machine, case)
    assert refused.status == 1
    assert "it has: unknown: it does not answer" in refused.err
    assert machine.calls(case.program) == []


def test_a_cluster_that_somebody_made_after_ours_was_removed_by_hand_is_foreign(
    case: ContainerCase, machine: FakeMachine
) -> None:
    docker_shows(machine, case, case.running.replace("id-", "new-"))
    finished(machine, case)
    assert create(machine, case).status == 1
    assert machine.calls(case.program) == []


# create: the program fails


def test_a_failure_that_left_nothing_claims_nothing(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, NOTHING)
    machine.when(case.program, "create", status=1, err="ERROR: failed to create cluster: no\n")
    failed = create(machine, case)
    assert failed.status == 1 and "failed to create cluster: no" in failed.err
    assert not machine.folder(NAME).exists()


def test_a_failure_removes_the_network_that_only_it_used(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, NOTHING)
    network = json.dumps([{"Name": "mesh-lab", "Labels": {"mesh-federation": ""}, "IPAM": {"Config": []}}])
    machine.when("docker", "network", "inspect", out=network.replace("[]", '[{"Subnet": "172.30.0.0/16"}]'))
    machine.when(case.program, "create", status=1, err="ERROR: failed to create cluster: no\n")
    create(machine, case)
    assert machine.lines()[-1] == "docker network rm mesh-lab"


def test_a_failure_that_left_nodes_is_cleared_away_by_the_next_run(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, NOTHING, case.running)
    machine.when(case.program, "create", status=[1, 0], err="ERROR: failed to create cluster: no\n")
    assert create(machine, case).status == 1
    assert journal.entries(machine.home, "dev")
    assert create(machine, case).status == 0
    assert deleted(machine, case)


def test_a_name_that_somebody_took_meanwhile_is_not_claimed(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, NOTHING, case.running)
    machine.when(case.program, "create", status=1, err=case.taken)
    failed = create(machine, case)
    assert failed.status == 1 and "already exist" in failed.err
    assert not machine.folder(NAME).exists()


def test_a_published_port_that_the_predecessor_has_is_told_with_the_way_out(
    case: ContainerCase, machine: FakeMachine
) -> None:
    docker_shows(machine, case, NOTHING)
    machine.when(
        case.program,
        "create",
        status=1,
        err="Bind for 127.0.0.1:8080 failed: port is already allocated\n\nRun --help\n",
    )
    machine.when("docker", "--filter=publish=8080", out="east-0f0f0f-control-plane east-0f0f0f\n")
    failed = create(machine, case)
    assert failed.err.startswith(f"cluster {NAME} cannot publish port 8080: east-0f0f0f has it, which it replaces\n")
    assert "only one of them can publish a port" in failed.err
    assert "in the same edit, or run `./mesh down` and then `./mesh up`" in failed.err


def test_a_port_that_the_stack_file_does_not_name_is_told_in_its_own_words(
    case: ContainerCase, machine: FakeMachine
) -> None:
    docker_shows(machine, case, NOTHING)
    machine.when(case.program, "create", status=1, err="Bind for 127.0.0.1:43210 failed: port is already allocated\n")
    failed = create(machine, case)
    assert "port is already allocated" in failed.err and "ports[].host" not in failed.err


def test_a_node_image_that_cannot_be_pulled_is_told_with_the_keys_that_name_it(
    case: ContainerCase, machine: FakeMachine
) -> None:
    docker_shows(machine, case, NOTHING)
    why = "Error response from daemon: manifest unknown"
    machine.when(case.program, "create", status=1, err=case.refused("example.com/node:v0", why))
    failed = create(machine, case)
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
def test_what_keeps_docker_from_working_is_told_in_plain_words(
    case: ContainerCase, machine: FakeMachine, said: str, told: str
) -> None:
    docker_shows(machine, case, NOTHING)
    machine.when(case.program, "create", status=1, err=f"ERROR: failed to create cluster: {said}\n")
    assert create(machine, case).err.startswith(told)


def test_a_failure_that_nobody_knows_is_told_with_what_the_machine_is_short_of(
    case: ContainerCase, machine: FakeMachine, here: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker_shows(machine, case, NOTHING)
    monkeypatch.setattr(machine_limits, "read", lambda: Limits(instances=128))
    machine.when(case.program, "create", status=1, err='could not find a log line that matches "Reached target"\n')
    with pytest.raises(SystemExit) as ended:
        case.provider.create(here)
    said = str(ended.value)
    assert "could not find a log line" in said
    assert "This may be why: fs.inotify.max_user_instances is 128, kind wants 512\n  -> sudo sysctl -w" in said


def test_a_program_that_is_missing_is_named_with_where_to_get_it(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, NOTHING)
    machine.remove(case.program)
    failed = create(machine, case)
    assert failed.status == 1
    assert failed.err.startswith(f"{case.program} is not on PATH\n  -> get it: ./mesh install {case.program}")


# start


def test_start_leaves_a_cluster_that_is_well_alone_and_asks_little(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, case.running)
    finished(machine, case)
    assert other(machine, case, "start").status == 0
    assert [call.program for call in machine.calls()] == ["docker", "docker", "kubectl", "kubectl"]


def test_start_writes_a_kubeconfig_again_that_is_lost(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, case.running)
    finished(machine, case)
    (machine.folder(NAME) / "kubeconfig").unlink()
    machine.when(case.program, "kubeconfig", "get", out="server: east")
    assert other(machine, case, "start").status == 0
    assert (machine.folder(NAME) / "kubeconfig").read_text(encoding="utf-8") == "server: east"
    assert (machine.folder(NAME) / "kubeconfig").stat().st_mode & 0o077 == 0


def test_start_puts_a_stopped_node_back_under_its_address(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, case.running.replace(f"{case.worker} running", f"{case.worker} exited"))
    finished(machine, case)
    assert other(machine, case, "start").status == 0
    assert [line for line in machine.lines("docker") if case.worker in line] == [
        f"docker network disconnect --force mesh-lab {case.worker}",
        f"docker network connect --ip=172.30.0.3 mesh-lab {case.worker}",
        f"docker restart {case.worker}",
    ]
    assert not any(case.main in line for line in machine.lines("docker"))


def test_start_makes_a_network_that_was_pruned(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, case.running.replace("running", "exited"))
    finished(machine, case)
    other(machine, case, "start")
    lines = machine.lines("docker")
    made = next(place for place, line in enumerate(lines) if line.startswith("docker network create"))
    assert made < lines.index(f"docker network connect --ip=172.30.0.2 mesh-lab {case.main}")


def test_start_waits_until_the_cluster_answers_and_every_node_is_ready(
    case: ContainerCase, machine: FakeMachine, here: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker_shows(machine, case, case.running)
    finished(machine, case)
    machine.when("kubectl", "--raw=/readyz", status=[1, 1, 0])
    machine.when(
        "kubectl",
        "--raw=/api/v1/nodes",
        out=[case.members(worker="Unknown"), case.members(main="False"), case.members()],
    )
    monkeypatch.setattr(readiness, "time", SimpleNamespace(sleep=lambda _: None, monotonic=lambda: 0))
    case.provider.start(here)
    asked = [call.argv[2] for call in machine.calls("kubectl")]
    assert asked.count("--raw=/readyz") == 5 and asked.count("--raw=/api/v1/nodes") == 3


def test_nodes_that_are_not_ready_are_watched_and_asked_for_no_longer_than_the_stack_file_says(
    case: ContainerCase, machine: FakeMachine, here: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker_shows(machine, case, case.running)
    finished(machine, case)
    machine.when("kubectl", "--raw=/api/v1/nodes", out=[case.members(main="False"), case.members()])
    slept: list[float] = []
    monkeypatch.setattr(readiness, "time", SimpleNamespace(sleep=slept.append, monotonic=lambda: 0))
    case.provider.ready(here)
    (watched,) = (call.argv[1:] for call in machine.calls("kubectl") if "wait" in call.argv)
    within = f"--timeout={SETTINGS.spec.ready_within_seconds}s"
    assert watched == ["wait", "--for=condition=Ready", within, f"node/{case.main}", f"node/{case.worker}"]
    assert not slept


def test_start_of_a_cluster_that_never_answers_ends_with_where_to_look(
    case: ContainerCase, machine: FakeMachine
) -> None:
    docker_shows(machine, case, case.running)
    finished(machine, case)
    machine.when("kubectl", status=1)
    failed = other(machine, case, "start", within=0)
    assert failed.status == 1
    assert failed.err.startswith(
        f"cluster {NAME} is not up after 0 s: its API server does not answer\n  -> see `docker logs {case.main}`"
    )


@pytest.mark.parametrize("left", ["nothing", "another", "a part"])
def test_start_of_a_cluster_that_is_gone_foreign_or_robbed_says_so_by_its_status(
    case: ContainerCase, machine: FakeMachine, left: str
) -> None:
    another = case.running.replace("id-", "new-")
    listed = {"nothing": NOTHING, "another": another, "a part": f"id-main {case.main} running\n"}[left]
    docker_shows(machine, case, listed)
    finished(machine, case)
    failed = other(machine, case, "start")
    assert (failed.status, failed.err) == (GONE, f"cluster {NAME} is gone\n")
    assert len(machine.calls()) == 1


def test_start_says_that_docker_does_not_run_instead_of_that_the_cluster_is_gone(
    case: ContainerCase, machine: FakeMachine
) -> None:
    finished(machine, case)
    machine.when("docker", status=1, err="Cannot connect to the Docker daemon at unix:///var/run/docker.sock.\n")
    failed = other(machine, case, "start")
    assert failed.status == 1 and failed.err.startswith("Docker does not run\n")


# delete


def test_delete_removes_the_cluster_and_its_folder(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, case.running)
    finished(machine, case)
    assert other(machine, case, "delete").status == 0
    assert acts(machine, case) == ["delete"]
    assert not machine.folder(NAME).exists()


def test_delete_removes_a_half_made_cluster(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, case.running)
    started(machine)
    assert other(machine, case, "delete").status == 0
    assert deleted(machine, case) and not machine.folder(NAME).exists()


def test_delete_of_what_is_gone_needs_no_program_and_clears_the_folder(
    case: ContainerCase, machine: FakeMachine
) -> None:
    docker_shows(machine, case, NOTHING)
    machine.remove(case.program)
    finished(machine, case)
    assert other(machine, case, "delete").status == 0
    assert not machine.folder(NAME).exists()
    assert other(machine, case, "delete").status == 0


@pytest.mark.parametrize("mine", [True, False])
def test_delete_leaves_a_foreign_cluster_alone_and_says_so(
    case: ContainerCase, machine: FakeMachine, mine: bool
) -> None:
    docker_shows(machine, case, case.running.replace("id-", "new-"))
    if mine:
        finished(machine, case)
    done = other(machine, case, "delete")
    assert done.status == 0
    assert done.err == (
        f"cluster {NAME} is left alone: what has that name now was not made by this checkout\n"
        f"  -> if nobody needs it: {case.removal}\n"
    )
    assert machine.calls(case.program) == []


def test_delete_that_fails_keeps_what_it_knows(case: ContainerCase, machine: FakeMachine) -> None:
    docker_shows(machine, case, case.running)
    finished(machine, case)
    machine.when(case.program, "delete", status=1, err="ERROR: failed to delete nodes\n")
    failed = other(machine, case, "delete")
    assert failed.status == 1 and "failed to delete nodes" in failed.err
    assert (machine.folder(NAME) / "made").exists()


def test_delete_without_docker_says_so_and_keeps_what_it_knows(case: ContainerCase, machine: FakeMachine) -> None:
    finished(machine, case)
    machine.when("docker", status=1, err="failed to connect to the docker API at unix:///var/run/docker.sock\n")
    failed = other(machine, case, "delete")
    assert failed.status == 1 and failed.err.startswith("Docker does not run\n")
    assert (machine.folder(NAME) / "made").exists()


def reach(machine: FakeMachine, stack: str, real: str) -> None:
    """Leave the kubeconfig of the current generation."""
    kubeconfigs.keep(machine.home / kubeconfigs.shown(stack, "east"), "{}", real)


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
    case: ContainerCase,
    machine: FakeMachine,
    here: LocalCluster,
    monkeypatch: pytest.MonkeyPatch,
    current: dict[str, str],
    pauses: int,
) -> None:
    docker_shows(machine, case, case.running)
    finished(machine, case)
    for stack, real in current.items():
        reach(machine, stack, real)
    paused: list[bool] = []
    on_pause(monkeypatch, lambda _: paused.append(deleted(machine, case)))
    case.provider.delete(here)
    assert paused == [False] * pauses  # before the deletion, not after it
    assert deleted(machine, case)


def test_nobody_waits_for_a_replaced_cluster_that_is_gone_already(
    case: ContainerCase, machine: FakeMachine, here: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker_shows(machine, case, NOTHING)
    reach(machine, "dev", "east-999999")
    on_pause(monkeypatch, lambda _: pytest.fail("waited"))
    case.provider.delete(here)
