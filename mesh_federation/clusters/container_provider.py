"""A program that makes clusters of containers, as kind and k3d do: all that their lifecycle asks of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mesh_federation.clusters import docker


@dataclass(frozen=True)
class Order:
    """What a stack file asks for, read from the configuration that the program is given.

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
    """Such a program. Where its functions take a string alone, that is the cluster's real name.

    Attributes:
        program: its name, that of its script too.
        order: reads a configuration.
        make: makes a cluster, and a kubeconfig where place.py says.
        remove: removes a cluster.
        kubeconfig: prints the kubeconfig of a cluster.
        removal: what a person types to remove one.
        lasting: those containers of a cluster that stay, in the order in which they must start.
        members: those containers of a cluster that are its Kubernetes nodes.
        kubectl: asks a cluster's API server from inside, whoever made it.
        logs: where to look when a cluster does not come up.
        taken: what it says where somebody has a cluster's name.
        unpulled: what it says of an image that cannot be had, and why.
        helpers: settings that name images of its own, by a part of the image's name.
    """

    program: str
    order: Callable[[str], Order]
    make: Callable[[str, str], docker.Done]
    remove: Callable[[str], docker.Done]
    kubeconfig: Callable[[str], docker.Done]
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
