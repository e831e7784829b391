"""Settings of the jobs that make, start and delete clusters: which cluster, and what it shares with others."""

from dataclasses import dataclass

from mesh_federation.clusters.provider import LabNetwork


@dataclass(frozen=True)
class ClusterSettings:
    """A cluster of a stack.

    Attributes:
        name: its real name, with the generation.
        logical: the name under which people declared it.
        stack: name of the Pulumi stack.
    """

    name: str
    logical: str
    stack: str


@dataclass(frozen=True)
class ContainerClusterSettings(ClusterSettings):
    """A cluster whose nodes are containers.

    Attributes:
        network: of its nodes.
        ready_within_seconds: time until all its nodes must be ready.
    """

    network: LabNetwork
    ready_within_seconds: int
