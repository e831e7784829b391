"""What only kind's job does; test_container_provider.py has what it shares with k3d's."""

from tests.unit.clusters.sides import KIND_SIDE, NAME
from tests.unit.clusters.stand import Stand
from tests.unit.clusters.test_container_provider import NOTHING, create, finished, machine, other


def test_a_cluster_is_made_in_the_labs_network_with_a_kubeconfig_of_its_own(stand: Stand) -> None:
    machine(stand, KIND_SIDE, NOTHING, KIND_SIDE.running)
    assert create(stand, KIND_SIDE).status == 0
    (call,) = stand.calls("kind")
    assert call.argv == [
        "create", "cluster", f"--name={NAME}", f"--kubeconfig={stand.folder(NAME)}/kubeconfig", "--config=-",
    ]  # fmt: skip
    assert call.env["KIND_EXPERIMENTAL_DOCKER_NETWORK"] == "mesh-lab"


def test_kind_uses_docker_where_it_would_take_podman(stand: Stand) -> None:
    machine(stand, KIND_SIDE, NOTHING, KIND_SIDE.running)
    create(stand, KIND_SIDE, variables={"KIND_EXPERIMENTAL_PROVIDER": "podman"})
    assert stand.calls("kind")[0].env["KIND_EXPERIMENTAL_PROVIDER"] == "docker"


def test_the_users_kubeconfig_is_spared_when_a_cluster_is_removed(stand: Stand) -> None:
    machine(stand, KIND_SIDE, KIND_SIDE.running)
    finished(stand, KIND_SIDE)
    assert other(stand, KIND_SIDE, "delete").status == 0
    assert stand.lines("kind") == [f"kind delete cluster --name={NAME} --kubeconfig={stand.folder(NAME)}/kubeconfig"]
