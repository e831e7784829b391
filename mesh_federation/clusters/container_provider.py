"""A program that makes clusters of containers, as kind and k3d do: all that their lifecycle needs of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mesh_federation.clusters import docker
from mesh_federation.clusters.local_cluster import ContainerCluster
from mesh_federation.process import ProcessResult


@dataclass(frozen=True)
class ContainerConfig:
    """The cluster that a stack file declares, read from the configuration for the program.

    Attributes:
        text: the configuration.
        labels: of every node: a hash of what the cluster is made from.
        published: ports of this machine.
    """

    text: str
    labels: Mapping[str, str]
    published: frozenset[int]


@dataclass(frozen=True)
class ContainerProvider:
    """Such a program. A function that takes a string alone takes the cluster's real name.

    Attributes:
        program: its name, and that of its job.
        config: reads a configuration.
        make: makes a cluster, and its kubeconfig.
        remove: removes a cluster.
        kubeconfig: prints the kubeconfig of a cluster.
        removal: the command by which a person removes one.
        lasting: those containers of a cluster that stay, in the order in which they must start.
        members: those containers of a cluster that are its Kubernetes nodes.
        kubectl: runs kubectl on a cluster from inside, whoever made it.
        logs: where to look when a cluster does not come up.
        taken: its error text if the name of the cluster is in use.
        unpulled: pattern of its error text if it cannot get an image: the image, and why.
        helpers: variables that name images of its own, by a part of the image's name.
    """

    program: str
    config: Callable[[str], ContainerConfig]
    make: Callable[[ContainerCluster, str], ProcessResult]
    remove: Callable[[ContainerCluster], ProcessResult]
    kubeconfig: Callable[[ContainerCluster], ProcessResult]
    removal: Callable[[str], str]
    lasting: Callable[[str, list[docker.Node]], list[docker.Node]]
    members: Callable[[str, list[docker.Node]], list[docker.Node]]
    kubectl: Callable[[str], tuple[str, ...]]
    logs: Callable[[str], str]
    taken: str
    unpulled: str
    helpers: Mapping[str, str] = field(default_factory=dict)

    def containers(self, name: str) -> list[docker.Node]:
        """Return all containers of a cluster, stopped ones too."""
        return docker.nodes(docker.CLUSTER_LABELS[self.program], name)
