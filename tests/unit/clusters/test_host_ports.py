"""Which host port Docker could not publish, and who has it."""

import pytest

from mesh_federation.clusters import host_ports
from tests.unit.clusters.fake_machine import FakeMachine

NAME = "east-1a2b3c"


@pytest.mark.parametrize(
    "words",
    [
        "Bind for 127.0.0.1:8080 failed: port is already allocated",
        "Bind for :::8080 failed: port is already allocated",
        "Error starting userland proxy: listen tcp4 127.0.0.1:8080: bind: address already in use",
        "Error starting userland proxy: listen tcp6 [::1]:8080: bind: address already in use",
        "failed to bind host port for 127.0.0.1:8080:172.30.0.2:80/tcp: address already in use",
        "failed to bind host port 127.0.0.1:8080/tcp: address already in use",
    ],
)
def test_a_port_that_is_taken_is_read_from_dockers_words(words: str) -> None:
    published = "docker run --publish=127.0.0.1:9999:80/TCP failed with error: exit status 125\n"
    assert host_ports.unavailable(f"{published}Error response from daemon: {words}\n\nRun 'docker run --help'") == 8080


@pytest.mark.parametrize("words", ["", "exit status 125", "Bind for 127.0.0.1:8080 failed: no such address"])
def test_other_failures_are_about_no_port(words: str) -> None:
    assert host_ports.unavailable(words) is None


@pytest.fixture
def path(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine of stubs is where docker is looked for."""
    machine.enter(monkeypatch)


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize(
    ("listed", "what", "fix"),
    [
        ("", "a program on this machine has it", "ss --listening --processes 'sport = :8080'"),
        ("web \n", "container web has it", "or remove that container"),
        ("west-1-control-plane west-1\n", "west-1-control-plane has it, a node of cluster west-1", "or remove that"),
        ("east-0f0f0f-control-plane east-0f0f0f\n", "east-0f0f0f has it, which it replaces", "in the same edit"),
    ],
)
def test_who_has_a_port_is_told_with_what_to_do(machine: FakeMachine, listed: str, what: str, fix: str) -> None:
    machine.when("docker", "ps", "--filter=publish=8080", out=listed)
    told = host_ports.conflict(machine.cluster(NAME), 8080, "k3d.cluster")
    assert told.what.startswith(f"cluster {NAME} cannot publish port 8080: ")
    assert what in told.what and fix in told.fix
    assert "set another clusters.east.ports[].host" in told.fix


@pytest.mark.usefixtures("path")
def test_nodes_of_kind_and_k3d_are_known(machine: FakeMachine) -> None:
    host_ports.conflict(machine.cluster(NAME), 8080, "k3d.cluster")
    (line,) = machine.lines("docker")
    assert '{{.Label "io.x-k8s.kind.cluster"}}{{.Label "k3d.cluster"}}' in line
