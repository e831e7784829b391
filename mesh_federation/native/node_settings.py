"""What a node is made from, and what it reports: for whoever starts it, without the code that runs it."""

from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

API_PORT, KUBELET_PORT = 6443, 10250
"""Ports of the API server and of the kubelet's API, which every node has in a network of its own."""
CONTROL_PLANE, LOCK = "control-plane.json", "lock"
"""Files of a node: kwokctl's configuration, and what a node holds as long as it runs."""


@dataclass(frozen=True)
class NodeSettings:
    """What a node is made from. All paths are those of the sandbox.

    Attributes:
        cluster: the cluster's real name, which is the node's too.
        folder: for everything that it keeps.
        address: of the node.
        subnet: CIDR of the network of nodes.
        pod_subnet: CIDR of its pods.
        service_subnet: CIDR of its Services; the second address is that of the API server.
        cluster_domain: domain of the DNS names of its Services.
        pool: CIDR of the addresses that its load balancer gives to Services.
        images: path of a document with the `ImageTable`.
        configuration: text of kwokctl's configuration.
    """

    cluster: str
    folder: str
    address: str
    subnet: str
    pod_subnet: str
    service_subnet: str
    cluster_domain: str
    pool: str
    images: str
    configuration: str

    @property
    def kwok(self) -> Path:
        """The folder in which kwokctl keeps clusters."""
        return Path(self.folder) / "kwok"

    @property
    def control_plane(self) -> Path:
        """The file with kwokctl's configuration."""
        return Path(self.folder) / CONTROL_PLANE

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig that kwokctl writes: with it, programs of the node reach the API server."""
        return Path(self.folder) / "kubeconfig"

    @property
    def kept(self) -> Path:
        """The folder in which kwokctl keeps the control plane."""
        return self.kwok / "clusters" / self.cluster

    @property
    def pki(self) -> Path:
        """The certificates of the control plane."""
        return self.kept / "pki"

    @property
    def dns(self) -> str:
        """Address of the DNS server: the node's own in the network of pods."""
        return str(IPv4Network(self.pod_subnet)[1])


@dataclass(frozen=True)
class NodeReport:
    """What a node tells whoever starts it.

    Attributes:
        problem: why it cannot run; empty if it does.
        kubeconfig: of the API server, by its address in the node.
    """

    problem: str
    kubeconfig: str
