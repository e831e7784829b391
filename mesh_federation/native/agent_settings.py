"""Settings of a node's agent: which node it is, how it reaches the API server, and what pods get."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AgentSettings:
    """One node of a native cluster. The agent runs in the network namespace of that node.

    Attributes:
        cluster: the cluster's real name.
        node: name of the node.
        node_address: IPv4 address of the node in the network of the federation.
        pod_subnet: CIDR of pods; its second address is the node's own, the gateway of all pods.
        pool: CIDR of the addresses that the load balancer gives to Services.
        api_server: `https://` address at which the agent reaches the API server.
        api_address: address of the Service `kubernetes`, at which pods reach the API server.
        authority: path of the certificate with which the API server is checked.
        certificate: path of the agent's client certificate.
        key: path of its key.
        kubelet_port: port of the node at which the agent serves the kubelet's API (logs, exec, port-forward).
        dns: address of the cluster's DNS server.
        cluster_domain: domain of the DNS names of Services.
        images: path of a document with the `ImageTable`.
        folder: for everything that the agent writes.
    """

    cluster: str
    node: str
    node_address: str
    pod_subnet: str
    pool: str
    api_server: str
    api_address: str
    authority: str
    certificate: str
    key: str
    kubelet_port: int
    dns: str
    cluster_domain: str
    images: str
    folder: str
