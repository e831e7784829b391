"""What only k3d's job does; test_container_provider.py has what it shares with kind's."""

import json
import stat
from typing import Any

import pytest

from mesh_federation.clusters.docker import NodeContainer
from mesh_federation.clusters.k3d import K3d
from mesh_federation.clusters.settings import ClusterSpec, LabNetwork
from tests.unit.clusters.container_cases import AGENT, K3D_CASE, NAME, PROXY, SERVER
from tests.unit.clusters.fake_machine import Call, FakeMachine
from tests.unit.clusters.test_container_provider import NOTHING, create, docker_shows, finished, other, started
from tests.unit.command_result import CommandResult

RUNNING = K3D_CASE.running
TOOLS = f"id-tools k3d-{NAME}-tools running\n"


def made(machine: FakeMachine, text: str = "kind: Config\n") -> CommandResult:
    docker_shows(machine, K3D_CASE, NOTHING, RUNNING)
    machine.when("k3d", "kubeconfig", "get", out=text)
    return create(machine, K3D_CASE)


def is_of_its_own(machine: FakeMachine, call: Call) -> bool:
    """Say whether k3d would write to files of this cluster alone."""
    own = str(machine.folder(NAME))
    return call.env["KUBECONFIG"] == f"{own}/kubeconfig" and own == call.env["XDG_CONFIG_HOME"] == call.env["TMPDIR"]


def test_a_cluster_is_made_from_its_configuration_and_then_asked_for_its_kubeconfig(machine: FakeMachine) -> None:
    assert made(machine).status == 0
    assert machine.lines("k3d") == [f"k3d cluster create {NAME} --config=-", f"k3d kubeconfig get {NAME}"]
    assert [call.stdin for call in machine.calls("k3d")] == [K3D_CASE.config, ""]


def test_a_cluster_is_not_complete_before_its_api_server_knows_every_node(machine: FakeMachine) -> None:
    """Nodes are labelled next, and what k3d waits for is the API server."""
    machine.when("kubectl", "wait", status=1, err="error: timed out waiting for the condition\n")
    failed = made(machine)
    assert failed.status == 1 and "timed out waiting" in failed.err
    (waited,) = (line for line in machine.lines("kubectl") if " wait " in line)
    assert waited.endswith(f" wait --for=create --timeout=300s node/{SERVER} node/{AGENT}")
    assert not (machine.folder(NAME) / "made").exists()


def test_the_kubeconfig_is_kept_where_its_owner_alone_reads_it_and_is_in_no_output(machine: FakeMachine) -> None:
    done = made(machine, "client-key-data: SECRET-VALUE\n")
    file = machine.folder(NAME) / "kubeconfig"
    assert file.read_text() == "client-key-data: SECRET-VALUE\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "SECRET-VALUE" not in done.out + done.err


def test_k3d_never_touches_the_users_files(machine: FakeMachine) -> None:
    made(machine)
    users = {"KUBECONFIG": "/home/user/.kube/config", "XDG_CONFIG_HOME": "/home/user/.config"}
    other(machine, K3D_CASE, "delete", variables=users)
    calls = machine.calls("k3d")
    assert [call.argv[1] for call in calls] == ["create", "get", "delete"]
    assert all(is_of_its_own(machine, call) for call in calls)


def test_k3d_logs_nothing_between_the_lines_of_a_kubeconfig(machine: FakeMachine) -> None:
    docker_shows(machine, K3D_CASE, NOTHING, RUNNING)
    create(machine, K3D_CASE, variables={"LOG_LEVEL": "trace"})
    assert {call.env["LOG_LEVEL"] for call in machine.calls("k3d")} == {"warning"}


def test_a_cluster_without_a_kubeconfig_is_not_complete_and_made_anew_by_the_next_run(machine: FakeMachine) -> None:
    docker_shows(machine, K3D_CASE, NOTHING, RUNNING)
    machine.when("k3d", "kubeconfig", status=[1, 0], err="\x1b[31mERRO\x1b[0m[0000] failed to get kubeconfig\n")
    failed = create(machine, K3D_CASE)
    assert failed.status == 1
    assert failed.err.startswith(f"`k3d kubeconfig get {NAME}` failed (1):\nERRO[0000] failed to get kubeconfig\n")
    assert not (machine.folder(NAME) / "kubeconfig").exists() and not (machine.folder(NAME) / "made").exists()
    assert create(machine, K3D_CASE).status == 0
    assert [call.argv[1] for call in machine.calls("k3d")] == ["create", "get", "delete", "create", "get"]


def test_a_creation_that_failed_leaves_no_volume(machine: FakeMachine) -> None:
    """k3d removes the one that it made for images only together with nodes."""
    docker_shows(machine, K3D_CASE, NOTHING)
    machine.when("k3d", "create", status=1, err="no\n")
    assert create(machine, K3D_CASE).status == 1
    assert f"docker volume rm --force k3d-{NAME}-images" in machine.lines()


def test_the_proxy_is_a_part_of_the_cluster_and_k3ds_own_container_is_none(machine: FakeMachine) -> None:
    docker_shows(machine, K3D_CASE, NOTHING, TOOLS + RUNNING)
    create(machine, K3D_CASE)
    (inspected,) = (line for line in machine.lines("docker") if line.startswith("docker inspect"))
    assert inspected.split()[-3:] == ["id-main", "id-worker", "id-proxy"]
    assert json.loads((machine.folder(NAME) / "made").read_text()) == K3D_CASE.made


def test_a_creation_killed_before_any_node_was_there_is_cleared_away(machine: FakeMachine) -> None:
    docker_shows(machine, K3D_CASE, TOOLS, RUNNING)
    started(machine)
    assert create(machine, K3D_CASE).status == 0
    assert [call.argv[1] for call in machine.calls("k3d")] == ["delete", "create", "get"]


def test_a_cluster_is_ready_without_its_proxy_being_a_node(machine: FakeMachine) -> None:
    docker_shows(machine, K3D_CASE, RUNNING)
    assert other(machine, K3D_CASE, "ready", within=0).status == 0


def test_what_stopped_starts_server_first_and_proxy_last_each_under_its_address(machine: FakeMachine) -> None:
    docker_shows(machine, K3D_CASE, RUNNING.replace("running", "exited"))
    finished(machine, K3D_CASE)
    assert other(machine, K3D_CASE, "start").status == 0
    assert [line for line in machine.lines("docker") if " connect " in line or " restart " in line] == [
        f"docker network connect --ip=172.30.0.2 mesh-lab {SERVER}",
        f"docker restart {SERVER}",
        f"docker network connect --ip=172.30.0.3 mesh-lab {AGENT}",
        f"docker restart {AGENT}",
        f"docker network connect --ip=172.30.0.4 mesh-lab {PROXY}",
        f"docker restart {PROXY}",
    ]


def test_a_stopped_proxy_is_started_though_all_nodes_run(machine: FakeMachine) -> None:
    docker_shows(machine, K3D_CASE, RUNNING.replace(f"{PROXY} running", f"{PROXY} exited"))
    finished(machine, K3D_CASE)
    woken = other(machine, K3D_CASE, "start")
    assert woken.err == f"{PROXY} did not run: restarted with its address 172.30.0.4\n"


def test_a_cluster_that_lost_its_proxy_is_made_anew(machine: FakeMachine) -> None:
    docker_shows(machine, K3D_CASE, RUNNING.replace(f"id-proxy {PROXY} running\n", ""), RUNNING)
    finished(machine, K3D_CASE)
    assert create(machine, K3D_CASE).status == 0
    assert [call.argv[1] for call in machine.calls("k3d")] == ["delete", "create", "get"]


def test_a_cluster_that_does_not_come_up_names_the_logs_of_server_and_proxy(machine: FakeMachine) -> None:
    docker_shows(machine, K3D_CASE, RUNNING)
    machine.when("kubectl", status=1)
    failed = other(machine, K3D_CASE, "ready", within=0)
    assert f"see `docker logs {SERVER}` and `docker logs {PROXY}`; where the machine" in failed.err
    assert failed.err.endswith(f"docker rm --force --volumes {SERVER} {AGENT}\n")


@pytest.mark.parametrize(
    ("image", "setting"),
    [
        ("ghcr.io/k3d-io/k3d-proxy:5.9.0", "K3D_IMAGE_LOADBALANCER"),
        ("ghcr.io/k3d-io/k3d-tools:5.9.0", "K3D_IMAGE_TOOLS"),
    ],
)
def test_an_image_of_k3ds_own_that_cannot_be_pulled_is_told_with_its_setting(
    machine: FakeMachine, image: str, setting: str
) -> None:
    docker_shows(machine, K3D_CASE, NOTHING)
    machine.when("k3d", "create", status=1, err=K3D_CASE.refused(image, "Error response from daemon: denied"))
    assert create(machine, K3D_CASE).err == (
        f"cluster {NAME} cannot get {image}, which k3d itself needs: Error response from daemon: denied\n"
        f"  -> set {setting} in the environment to an image that `docker pull` gets or `docker images` shows\n"
    )


def test_servers_come_before_agents_and_many_of_them_in_order() -> None:
    names = ("serverlb", "agent-1", "server-0", "tools", "agent-0")
    nodes = [NodeContainer(f"id-{name}", f"k3d-{NAME}-{name}", running=True) for name in names]
    started = [node.id for node in K3d().in_start_order(NAME, nodes)]
    assert started == ["id-server-0", "id-agent-0", "id-agent-1", "id-serverlb"]
    assert [node.id for node in K3d().kubernetes_nodes(NAME, nodes)] == started[:-1]


def test_k3s_gets_the_domain_of_services() -> None:
    spec = ClusterSpec(cluster_domain="in.munich", network=LabNetwork("lab", "172.30.0.0/16"))
    options: Any = K3d().config(spec, {})["options"]
    assert {"arg": "--cluster-domain=in.munich", "nodeFilters": ["server:*"]} in options["k3s"]["extraArgs"]
