"""What only kind's job does; test_container_provider.py has what it shares with k3d's."""

import json
from typing import Any

from mesh_federation.clusters.kind import Kind
from mesh_federation.clusters.settings import ClusterSpec
from tests.unit.clusters.container_cases import KIND_CASE, NAME
from tests.unit.clusters.fake_machine import FakeMachine
from tests.unit.clusters.test_container_provider import NOTHING, create, docker_shows, finished, other


def test_a_cluster_is_made_in_the_labs_network_with_a_kubeconfig_of_its_own(machine: FakeMachine) -> None:
    docker_shows(machine, KIND_CASE, NOTHING, KIND_CASE.running)
    assert create(machine, KIND_CASE).status == 0
    (call,) = machine.calls("kind")
    assert call.argv == [
        "create", "cluster", f"--name={NAME}", f"--kubeconfig={machine.folder(NAME)}/kubeconfig", "--config=-",
    ]  # fmt: skip
    assert call.env["KIND_EXPERIMENTAL_DOCKER_NETWORK"] == "mesh-lab"


def test_kind_uses_docker_where_it_would_take_podman(machine: FakeMachine) -> None:
    docker_shows(machine, KIND_CASE, NOTHING, KIND_CASE.running)
    create(machine, KIND_CASE, variables={"KIND_EXPERIMENTAL_PROVIDER": "podman"})
    assert machine.calls("kind")[0].env["KIND_EXPERIMENTAL_PROVIDER"] == "docker"


def test_the_users_kubeconfig_is_spared_when_a_cluster_is_removed(machine: FakeMachine) -> None:
    docker_shows(machine, KIND_CASE, KIND_CASE.running)
    finished(machine, KIND_CASE)
    assert other(machine, KIND_CASE, "delete").status == 0
    assert machine.lines("kind") == [
        f"kind delete cluster --name={NAME} --kubeconfig={machine.folder(NAME)}/kubeconfig"
    ]


def test_kubeadm_gives_kubelets_and_dns_the_domain_of_services() -> None:
    patches: Any = Kind().config(ClusterSpec(cluster_domain="in.munich"), {})["kubeadmConfigPatches"]
    assert [json.loads(each) for each in patches] == [
        {"kind": "ClusterConfiguration", "networking": {"dnsDomain": "in.munich"}}
    ]
    assert "kubeadmConfigPatches" not in Kind().config(ClusterSpec(), {})
