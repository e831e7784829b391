"""kind and k3d: the cases of tests of the provider that both share."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mesh_federation.clusters.container_provider import ContainerProvider
from mesh_federation.clusters.k3d import K3d
from mesh_federation.clusters.kind import Kind
from tests.unit.clusters.fake_machine import in_docker

NAME = "east-1a2b3c"
LABEL = "mesh-federation/config"


@dataclass(frozen=True)
class ContainerCase:
    """One provider of container clusters, and a cluster of it with two nodes.

    Attributes:
        provider: the program.
        main: name of the container and node of the control plane.
        worker: name of the other container and node.
        made: address of each container, by its id.
        running: what Docker shows of the complete cluster.
        kubectl: command line that asks the API server from inside the node.
        refused: its error if an image cannot be pulled, from the image and the cause.
        taken: its error if another cluster has the name.
    """

    provider: ContainerProvider
    main: str
    worker: str
    made: Mapping[str, str]
    running: str
    kubectl: str
    refused: Callable[[str, str], str]
    taken: str

    @property
    def program(self) -> str:
        """Name of the program and of its job."""
        return self.provider.program

    @property
    def removal(self) -> str:
        """What a person types to remove the cluster."""
        return self.provider.removal(NAME)

    @property
    def config(self) -> str:
        """The configuration of the cluster."""
        return json.dumps(self.provider.labelled(in_docker(NAME)), indent=2, sort_keys=True)

    def members(self, label: str = "abc", **ready: str) -> str:
        """Node objects as the API server gives them."""
        pressure = {"type": "DiskPressure", "status": "True"}
        items = [
            {
                "metadata": {"name": name, "labels": {LABEL: label, "zone": "a"}},
                "status": {"conditions": [pressure, {"type": "Ready", "status": ready.get(role, "True")}]},
            }
            for role, name in (("main", self.main), ("worker", self.worker))
        ]
        return json.dumps({"items": items})


KIND_CASE = ContainerCase(
    provider=Kind(),
    main=f"{NAME}-control-plane",
    worker=f"{NAME}-worker",
    made={"id-main": "172.30.0.2", "id-worker": "172.30.0.3"},
    running=f"id-main {NAME}-control-plane running\nid-worker {NAME}-worker running\n",
    kubectl=f"docker exec {NAME}-control-plane kubectl --kubeconfig=/etc/kubernetes/admin.conf",
    refused=lambda image, why: (
        f'ERROR: failed to create cluster: failed to pull image "{image}": command "docker pull {image}" failed with'
        f" error: exit status 1\n\nCommand Output: {why}\n"
    ),
    taken=f'ERROR: failed to create cluster: node(s) already exist for a cluster with the name "{NAME}"\n',
)

SERVER, AGENT, PROXY = (f"k3d-{NAME}-{part}" for part in ("server-0", "agent-0", "serverlb"))
K3D_CASE = ContainerCase(
    provider=K3d(),
    main=SERVER,
    worker=AGENT,
    made={"id-main": "172.30.0.2", "id-worker": "172.30.0.3", "id-proxy": "172.30.0.4"},
    running=f"id-proxy {PROXY} running\nid-worker {AGENT} running\nid-main {SERVER} running\n",
    kubectl=f"docker exec {SERVER} kubectl --kubeconfig=/output/kubeconfig.yaml",
    refused=lambda image, why: (
        "\x1b[31mERRO\x1b[0m[0002] failed Cluster Creation: failed setup of server/agent node"
        f" {SERVER}: failed to create node: runtime failed to create node '{SERVER}': failed to create container for"
        f" node '{SERVER}': docker failed to pull image '{image}': docker failed to pull the image '{image}': {why} \n"
        "\x1b[31mFATA\x1b[0m[0003] Cluster creation FAILED, also FAILED to rollback changes! \n"
    ),
    taken=(
        f"\x1b[31mFATA\x1b[0m[0000] Failed to create cluster '{NAME}' because a cluster with that name already exists\n"
    ),
)

CASES = (KIND_CASE, K3D_CASE)
