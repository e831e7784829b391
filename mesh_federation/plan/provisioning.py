"""How a cluster comes to be: the input of its provider's job, and which changes make it another cluster.

A cluster's real name carries its generation: a few hex digits of a hash of all that cannot be changed in place. So a
cluster and its replacement can stand side by side until every importer has moved (docs/decisions.md).
"""

import json
from dataclasses import dataclass, replace
from hashlib import sha256

from mesh_federation.clusters.provider import ClusterSpec, LabNetwork, Provider
from mesh_federation.clusters.settings import ClusterSettings, ContainerClusterSettings
from mesh_federation.stack.config import Cluster, Federation

GENERATION_DIGITS = 6
LABEL_DIGITS = 40
"""Of 64: a label's value has at most 63 characters."""


@dataclass(frozen=True)
class Provision:
    """What makes one cluster.

    Attributes:
        cluster: the logical name: context, kubeconfig file and outputs carry it.
        name: the real name: logical name and generation.
        provider: makes it.
        generation: hex digits; another value is another cluster.
        config: standard input of the provider's job.
        settings: of the job; other settings do not make another cluster.
        nodes: names of the nodes that it will have; empty where they are not ours to label.
    """

    cluster: str
    name: str
    provider: Provider
    generation: str
    config: str
    settings: ClusterSettings
    nodes: tuple[str, ...]


def provision(federation: Federation, cluster: Cluster, stack: str) -> Provision:
    """Decide the input of the cluster's job, and its real name."""
    provider = cluster.provider
    spec = provider.spec(federation, cluster)
    network = _identity(spec.network) if spec.network else {}
    identity = json.dumps([stack, cluster.name, provider.name, provider.identity(spec), network], sort_keys=True)
    digest = sha256(identity.encode()).hexdigest()
    generation = digest[:GENERATION_DIGITS]
    name = f"{cluster.name}-{generation}"
    return Provision(
        cluster=cluster.name,
        name=name,
        provider=provider,
        generation=generation,
        config=json.dumps(provider.input(spec, digest[:LABEL_DIGITS]), indent=2, sort_keys=True),
        settings=_settings(ClusterSettings(name, cluster.name, stack), spec),
        nodes=provider.node_names(name, cluster.nodes),
    )


def kept(made: Provision, name: str) -> Provision:
    """Return the same under the real name that the cluster had before.

    Args:
        made: of an existing cluster.
        name: by which the stack's state has it.
    """
    return replace(made, name=name, generation=name.rpartition("-")[2], settings=replace(made.settings, name=name))


def _settings(settings: ClusterSettings, spec: ClusterSpec) -> ClusterSettings:
    if not spec.network:
        return settings
    name, logical, stack = settings.name, settings.logical, settings.stack
    return ContainerClusterSettings(name, logical, stack, spec.network, spec.ready_within_seconds)


def _identity(network: LabNetwork) -> dict[str, str]:
    """Return the part of a cluster's identity that its network is; other keys would replace every cluster."""
    return {"LAB_NETWORK": network.name, "LAB_SUBNET": network.subnet, "LAB_NODE_RANGE": network.node_range}
