"""How a cluster comes to be: what its provisioner's script is told, and which changes make it another cluster.

A cluster's real name carries its generation: a few hex digits of a hash of all that cannot be changed in place. So a
cluster and its replacement can stand side by side until every importer has moved (docs/decisions.md).
"""

import json
from dataclasses import dataclass
from hashlib import sha256

from model.addresses import node_range
from model.config import Cluster, Lab, Provisioner

GENERATION_DIGITS = 6


@dataclass(frozen=True)
class Provision:
    """What makes one cluster.

    Attributes:
        cluster: the logical name: context, kubeconfig file and outputs carry it.
        name: the real name: logical name and generation.
        provisioner: which script under components/provisioners makes it.
        generation: hex digits; another value is another cluster.
        config: what the script reads on standard input (JSON or the provisioner's own format).
        environment: further settings for the script.
        ours: the cluster is made, and so deleted, by this program.
    """

    cluster: str
    name: str
    provisioner: Provisioner
    generation: str
    config: str
    environment: dict[str, str]
    ours: bool


def provision(cluster: Cluster, lab: Lab, stack: str) -> Provision:
    """Decide what the cluster's provisioner is told."""
    document, environment = _RECIPES[cluster.provisioner](cluster, lab)
    config = json.dumps(document, indent=2, sort_keys=True)
    identity = json.dumps([stack, cluster.name, cluster.provisioner, document, environment], sort_keys=True)
    generation = sha256(identity.encode()).hexdigest()[:GENERATION_DIGITS]
    return Provision(
        cluster=cluster.name,
        name=f"{cluster.name}-{generation}",
        provisioner=cluster.provisioner,
        generation=generation,
        config=config,
        environment=environment,
        ours=cluster.provisioner is not Provisioner.EXISTING,
    )


Recipe = tuple[dict[str, object], dict[str, str]]


def _kwok(cluster: Cluster, lab: Lab) -> Recipe:
    """Real control plane, simulated nodes. Subnets take part, so that changing them is as on real clusters."""
    document: dict[str, object] = {
        "kubernetesVersion": cluster.kubernetes_version,
        "nodes": cluster.nodes,
        "podSubnet": str(cluster.pod_subnet),
        "serviceSubnet": str(cluster.service_subnet),
    }
    return document, {}


def _kind(cluster: Cluster, lab: Lab) -> Recipe:
    """Source: kind's configuration, v1alpha4; subnets of walk-through 000 section 2.1."""
    image = {"image": cluster.image} if cluster.image else {}
    roles = ["control-plane"] + ["worker"] * (cluster.nodes - 1)
    document: dict[str, object] = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"podSubnet": str(cluster.pod_subnet), "serviceSubnet": str(cluster.service_subnet)},
        "nodes": [{"role": role, **image} for role in roles],
    }
    return document, _docker_network(lab)


def _k3d(cluster: Cluster, lab: Lab) -> Recipe:
    """Source: k3d's configuration, v1alpha5; walk-through 003 section 5."""
    image = {"image": cluster.image} if cluster.image else {}
    subnets = [f"--cluster-cidr={cluster.pod_subnet}", f"--service-cidr={cluster.service_subnet}", "--disable=traefik"]
    document: dict[str, object] = {
        "apiVersion": "k3d.io/v1alpha5",
        "kind": "Simple",
        "servers": 1,
        "agents": cluster.nodes - 1,
        "network": lab.network,
        **image,
        "options": {"k3s": {"extraArgs": [{"arg": arg, "nodeFilters": ["server:*"]} for arg in subnets]}},
    }
    return document, _docker_network(lab)


def _existing(cluster: Cluster, lab: Lab) -> Recipe:
    return {"kubeconfig": cluster.kubeconfig or "", "context": cluster.context or ""}, {}


def _docker_network(lab: Lab) -> dict[str, str]:
    return {"LAB_NETWORK": lab.network, "LAB_SUBNET": str(lab.subnet), "LAB_NODE_RANGE": str(node_range(lab.subnet))}


_RECIPES = {
    Provisioner.KWOK: _kwok,
    Provisioner.KIND: _kind,
    Provisioner.K3D: _k3d,
    Provisioner.EXISTING: _existing,
}
