"""How a cluster comes to be: the settings of its provider's job, and which changes make it another cluster.

A cluster's real name carries its generation: a few hex digits of a hash of all that cannot be changed in place. So a
cluster and its replacement can stand side by side until every importer has moved (docs/decisions.md).
"""

import json
from dataclasses import dataclass, replace
from hashlib import sha256

from mesh_federation.clusters.provider import Provider
from mesh_federation.clusters.settings import LabNetwork, ProviderSettings
from mesh_federation.stack.config import Cluster, Federation

GENERATION_DIGITS = 6
LABEL_DIGITS = 40
"""Of 64: a label's value has at most 63 characters."""


@dataclass(frozen=True)
class Provision:
    """What makes one cluster.

    Attributes:
        provider: makes it.
        settings: of the provider's job; other settings alone do not make another cluster.
        nodes: names of the nodes that it will have; empty where they are not ours to label.
    """

    provider: Provider
    settings: ProviderSettings
    nodes: tuple[str, ...]

    @property
    def cluster(self) -> str:
        """The logical name: context, kubeconfig file and outputs carry it."""
        return self.settings.logical

    @property
    def name(self) -> str:
        """The real name: logical name and generation."""
        return self.settings.name

    @property
    def generation(self) -> str:
        """Hex digits; another value is another cluster."""
        return self.name.rpartition("-")[2]


def provision(federation: Federation, cluster: Cluster, stack: str) -> Provision:
    """Decide the settings of the cluster's job, and its real name."""
    provider = cluster.provider
    spec = provider.spec(federation, cluster)
    network = _identity(spec.network) if spec.network else {}
    identity = json.dumps([stack, cluster.name, provider.name, provider.identity(spec), network], sort_keys=True)
    digest = sha256(identity.encode()).hexdigest()
    name = f"{cluster.name}-{digest[:GENERATION_DIGITS]}"
    return Provision(
        provider=provider,
        settings=ProviderSettings(name, cluster.name, stack, digest[:LABEL_DIGITS], spec),
        nodes=provider.node_names(name, cluster.nodes),
    )


def kept(made: Provision, name: str) -> Provision:
    """Return the same under the real name that the cluster had before.

    Args:
        made: of an existing cluster.
        name: by which the stack's state has it.
    """
    return replace(made, settings=replace(made.settings, name=name))


def _identity(network: LabNetwork) -> dict[str, str]:
    """Return the part of a cluster's identity that its network is; other keys would replace every cluster."""
    return {"LAB_NETWORK": network.name, "LAB_SUBNET": network.subnet, "LAB_NODE_RANGE": network.node_range}
