"""How a cluster comes to be: what its provisioner's script is told, and which changes make it another cluster.

A cluster's real name carries its generation: a few hex digits of a hash of all that cannot be changed in place. So a
cluster and its replacement can stand side by side until every importer has moved (docs/decisions.md).
"""

import json
from dataclasses import dataclass, replace
from hashlib import sha256

from mesh_federation.plan.addresses import node_range
from mesh_federation.stack.config import Cluster, Federation, LoadBalancer, Provisioner

GENERATION_DIGITS = 6
CONFIG_LABEL = "mesh-federation/config"
"""Label on the nodes of kind and k3d clusters: a hash of what they were made from; no other config adopts them."""
LABEL_DIGITS = 40
"""Of 64: a label's value has at most 63 characters."""


@dataclass(frozen=True)
class Provision:
    """What makes one cluster.

    Attributes:
        cluster: the logical name: context, kubeconfig file and outputs carry it.
        name: the real name: logical name and generation.
        provisioner: which script under components/provisioners makes it.
        generation: hex digits; another value is another cluster.
        config: what the script reads on standard input (JSON or the provisioner's own format).
        environment: further settings for the script; another one does not make another cluster.
        ours: the cluster is made, and so deleted, by this program.
        nodes: names of the nodes that it will have; empty where they are not ours to label.
        boots: those nodes get ready some time after the cluster is made.
    """

    cluster: str
    name: str
    provisioner: Provisioner
    generation: str
    config: str
    environment: dict[str, str]
    ours: bool
    nodes: tuple[str, ...]
    boots: bool


def provision(federation: Federation, cluster: Cluster, stack: str) -> Provision:
    """Decide what the cluster's provisioner is told."""
    document = _RECIPES[cluster.provisioner](federation, cluster)
    network = _docker_network(federation) if cluster.provisioner in _IN_DOCKER else {}
    # A cluster that exists is the same however it is reached (mesh_federation/plan/identity.py).
    made_of = {} if cluster.is_existing else document
    identity = json.dumps([stack, cluster.name, cluster.provisioner, made_of, network], sort_keys=True)
    digest = sha256(identity.encode()).hexdigest()
    generation = digest[:GENERATION_DIGITS]
    waits = {"READY_WITHIN": str(cluster.ready_within_seconds)} if cluster.provisioner in _IN_DOCKER else {}
    name = f"{cluster.name}-{generation}"
    return Provision(
        cluster=cluster.name,
        name=name,
        provisioner=cluster.provisioner,
        generation=generation,
        config=json.dumps(_SEALED[cluster.provisioner](document, digest[:LABEL_DIGITS]), indent=2, sort_keys=True),
        environment={**network, **waits},
        ours=not cluster.is_existing,
        nodes=_NODES[cluster.provisioner](name, cluster.nodes),
        boots=cluster.provisioner in _IN_DOCKER,
    )


def kept(made: Provision, name: str) -> Provision:
    """Return the same under the real name that the cluster had before.

    Args:
        made: of an existing cluster.
        name: by which the stack's state has it; an older release derived it from the kubeconfig's path.
    """
    return replace(made, name=name, generation=name.rpartition("-")[2])


Document = dict[str, object]


def _kwok(federation: Federation, cluster: Cluster) -> Document:
    """Real control plane, simulated nodes. Subnets take part, so that changing them is as on real clusters."""
    return {
        "kubernetesVersion": cluster.kubernetes_version,
        "nodes": cluster.nodes,
        "podSubnet": str(cluster.pod_subnet),
        "serviceSubnet": str(cluster.service_subnet),
    }


def _kind(federation: Federation, cluster: Cluster) -> Document:
    """Source: kind's configuration, v1alpha4; subnets of walk-through 000 section 2.1."""
    workers: list[Document] = [{"role": "worker", **_image(federation, cluster)} for _ in range(cluster.nodes - 1)]
    first: Document = {"role": "control-plane", **_image(federation, cluster)}
    if cluster.ports:
        first["extraPortMappings"] = [
            {
                "containerPort": port.container,
                "hostPort": port.host,
                "listenAddress": str(port.address),
                "protocol": port.protocol,
            }
            for port in cluster.ports
        ]
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"podSubnet": str(cluster.pod_subnet), "serviceSubnet": str(cluster.service_subnet)},
        "nodes": [first, *workers],
    }


def _k3d(federation: Federation, cluster: Cluster) -> Document:
    """Source: k3d's configuration, v1alpha5; walk-through 003 section 5, with subnets of its own (pitfall 43).

    The walk-through's taint keeps pods off the server, so a cluster of one node could run none: it is left out. So are
    its memory limits, which istiod hardly fits in (pitfall 44).
    """
    arguments = [
        f"--cluster-cidr={cluster.pod_subnet}",
        f"--service-cidr={cluster.service_subnet}",
        "--disable=traefik",  # traffic comes in by Istio
    ]
    if cluster.load_balancer is not LoadBalancer.SERVICELB:
        arguments.append("--disable=servicelb")  # two load balancers would give one Service addresses in turns
    document: Document = {
        "apiVersion": "k3d.io/v1alpha5",
        "kind": "Simple",
        "servers": 1,
        "agents": cluster.nodes - 1,
        "network": federation.lab.network,
        "kubeAPI": {"hostIP": "127.0.0.1"},
        **_image(federation, cluster),
        "options": {
            "k3d": {"wait": True},
            "k3s": {"extraArgs": [{"arg": argument, "nodeFilters": ["server:*"]} for argument in arguments]},
            "kubeconfig": {"updateDefaultKubeconfig": False, "switchCurrentContext": False},
        },
    }
    if cluster.ports:
        document["ports"] = [
            {
                "port": f"{port.address}:{port.host}:{port.container}/{port.protocol.lower()}",
                "nodeFilters": ["server:0:direct"],
            }
            for port in cluster.ports
        ]
    return document


def _existing(federation: Federation, cluster: Cluster) -> Document:
    return {"kubeconfig": cluster.kubeconfig or "", "context": cluster.context or ""}


def _image(federation: Federation, cluster: Cluster) -> Document:
    image = cluster.image or federation.images.node
    return {"image": image} if image else {}


def _docker_network(federation: Federation) -> dict[str, str]:
    lab = federation.lab
    return {"LAB_NETWORK": lab.network, "LAB_SUBNET": str(lab.subnet), "LAB_NODE_RANGE": str(node_range(lab.subnet))}


def _unsealed(document: Document, seal: str) -> Document:
    return document


def _sealed_kind(document: Document, seal: str) -> Document:
    """Write the hash of the config onto every node."""
    nodes = document["nodes"]
    assert isinstance(nodes, list)
    return {**document, "nodes": [{**node, "labels": {CONFIG_LABEL: seal}} for node in nodes]}


def _sealed_k3d(document: Document, seal: str) -> Document:
    """Write the hash of the config onto every node; the proxy, which `all` means too, is none."""
    options = document["options"]
    assert isinstance(options, dict)
    label = {"label": f"{CONFIG_LABEL}={seal}", "nodeFilters": ["server:*", "agent:*"]}
    return {**document, "options": {**options, "k3s": {**options["k3s"], "nodeLabels": [label]}}}


def _kwok_nodes(name: str, count: int) -> tuple[str, ...]:
    return tuple(f"node-{index:06}" for index in range(count))


def _kind_nodes(name: str, count: int) -> tuple[str, ...]:
    workers = (f"{name}-worker{index if index > 1 else ''}" for index in range(1, count))
    return (f"{name}-control-plane", *workers)


def _k3d_nodes(name: str, count: int) -> tuple[str, ...]:
    return (f"k3d-{name}-server-0", *(f"k3d-{name}-agent-{index}" for index in range(count - 1)))


def _unknown_nodes(name: str, count: int) -> tuple[str, ...]:
    return ()


_IN_DOCKER = {Provisioner.KIND, Provisioner.K3D}

_RECIPES = {
    Provisioner.KWOK: _kwok,
    Provisioner.KIND: _kind,
    Provisioner.K3D: _k3d,
    Provisioner.EXISTING: _existing,
}

_SEALED = {
    Provisioner.KWOK: _unsealed,
    Provisioner.KIND: _sealed_kind,
    Provisioner.K3D: _sealed_k3d,
    Provisioner.EXISTING: _unsealed,
}

_NODES = {
    Provisioner.KWOK: _kwok_nodes,
    Provisioner.KIND: _kind_nodes,
    Provisioner.K3D: _k3d_nodes,
    Provisioner.EXISTING: _unknown_nodes,
}
