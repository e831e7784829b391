"""Running Docker: what is seen of nodes, and plain words for what fails."""

import pytest

from mesh_federation.clusters import docker
from mesh_federation.clusters.docker import NodeContainer
from mesh_federation.process import ProcessResult
from tests.unit.clusters.fake_machine import FakeMachine


@pytest.fixture(autouse=True)
def path(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine of stubs is where programs are looked for."""
    machine.enter(monkeypatch)


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        ("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", "does not run", "start"),
        ("failed to connect to the docker API at unix:///x; check if the path is correct", "does not run", "start"),
        ("error during connect: Get http://x/v1.50: lookup x: no such host", "does not run", "DOCKER_HOST"),
        (
            "permission denied while trying to connect to the Docker daemon socket at unix:///x: dial unix /x: connect:"
            " permission denied",
            "refuses this user",
            "group docker",
        ),
        ("permission denied while trying to connect to the docker API at unix:///x", "refuses this user", "group"),
        ("write /x: no space left on device", "disk is full", "docker system prune"),
        (
            "Could not kill running container 1370, cannot remove - tried to kill container, but did not receive an"
            " exit event",
            "stay frozen",
            "THAWED",
        ),
        ("inotify_init: too many open files", "inotify limits are used up", "sysctl -w fs.inotify.max_user_instances="),
    ],
)
def test_what_keeps_docker_from_working_is_recognized(machine: FakeMachine, words: str, what: str, fix: str) -> None:
    machine.when("docker", status=1, err=f"{words}\n")
    with pytest.raises(SystemExit) as ended:
        docker.output("docker", "ps")
    told, mended = str(ended.value).split("\n  -> ")
    assert what in told and fix in mended


@pytest.mark.parametrize(
    ("status", "words", "what"),
    [
        (0, "", ""),
        (1, "Cannot connect to the Docker daemon", "Docker does not run"),
        (1, "permission denied while trying to connect to the Docker daemon", "Docker refuses this user"),
        (1, "the moon is full", "Docker cannot be used"),
    ],
)
def test_docker_is_asked_whether_it_can_be_used(machine: FakeMachine, status: int, words: str, what: str) -> None:
    machine.when("docker", "version", status=status, err=words)
    assert [each.what for each in docker.obstacles.__wrapped__()] == ([what] if what else [])


def test_docker_that_is_not_there_cannot_be_used(machine: FakeMachine) -> None:
    machine.remove("docker")
    assert docker.obstacles.__wrapped__() == (docker.MISSING,)


def test_what_nobody_knows_is_told_in_the_programs_own_words(machine: FakeMachine) -> None:
    machine.when("docker", status=3, err="the moon is full\n")
    with pytest.raises(SystemExit) as ended:
        docker.output("docker", "ps", "--all")
    assert str(ended.value) == "`docker ps --all` failed (3):\nthe moon is full\n"


def test_a_proxys_password_is_not_repeated() -> None:
    said = "docker run -e HTTPS_PROXY=http://anna:secret@proxy:3128 -e X=http://proxy:3128/a@b failed"
    told = docker.last_words(ProcessResult(["kind"], 1, "", said))
    assert "secret" not in told and "anna" not in told
    assert "http://***@proxy:3128 -e X=http://proxy:3128/a@b" in told


def test_a_programs_last_words_are_told_without_its_colours() -> None:
    told = docker.last_words(ProcessResult(["k3d"], 1, "", "\x1b[31mFATA\x1b[0m[0003] no\n"))
    assert told == "`k3d` failed (1):\nFATA[0003] no\n"


@pytest.mark.parametrize("program", ["docker", "kind", "k3d"])
def test_a_missing_program_is_named_with_where_to_get_it(machine: FakeMachine, program: str) -> None:
    (machine.root / "bin" / program).unlink(missing_ok=True)
    where = rf"(install Docker: https://|get it: ./mesh install {program})"
    with pytest.raises(SystemExit, match=rf"{program} is not on PATH\n  -> {where}"):
        docker.run(program, "version")


def test_a_program_that_hangs_is_ended_and_named(machine: FakeMachine) -> None:
    machine.when("docker", hold="forever")
    with pytest.raises(SystemExit, match=r"`docker ps` did not end within 0.2 s\n  -> "):
        docker.run("docker", "ps", timeout=0.2)


def test_a_node_runs_or_does_not(machine: FakeMachine) -> None:
    listed = "1 east-main running\n2 east-worker exited\n3 east-p paused\n"
    machine.when("docker", "ps", "--all", "--filter=label=maker=east-1", out=listed)
    assert docker.nodes("maker", "east-1") == [
        NodeContainer("1", "east-main", running=True),
        NodeContainer("2", "east-worker", running=False),
        NodeContainer("3", "east-p", running=False),
    ]


def test_a_cluster_that_is_nowhere_has_no_nodes() -> None:
    assert docker.nodes("maker", "east-1") == []


def test_locks_are_shared_by_all_checkouts_of_a_user(machine: FakeMachine) -> None:
    assert docker.locks(machine.workdir) == machine.root / "cache" / "mesh-federation" / "locks"
