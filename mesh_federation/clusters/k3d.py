"""k3d clusters: k3s nodes in Docker containers, and a proxy in front of their API server.

k3d's configuration is k3d.io/v1alpha5, written as JSON. Where the user has set them, k3d reads K3D_IMAGE_LOADBALANCER
and K3D_IMAGE_TOOLS, which name its own images.

The API server's port on this machine is chosen by k3d when it makes the cluster, and stays through restarts. In the
lab's network it is k3d-NAME-serverlb:6443, which is in its certificate (pitfall 46).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mesh_federation.clusters import docker, workdir
from mesh_federation.clusters.container_provider import ContainerProvider
from mesh_federation.clusters.local_cluster import LocalCluster
from mesh_federation.clusters.provider import Document, LoadBalancer
from mesh_federation.clusters.settings import ClusterSpec
from mesh_federation.process import ProcessResult

if TYPE_CHECKING:
    from mesh_federation.stack.config import Cluster, Federation

TIMEOUT = 900
"""Seconds for k3d to do one thing, until its API server answers: enough for images over a slow line."""
START_ORDER = ("server", "agent", "serverlb")
"""Roles of containers, by their names, in the order in which they must start: agents and the proxy look the server up
by its name, which Docker knows only while it runs. Others are k3d's own, and go when a cluster is up."""
NODES = ("server", "agent")
"""Roles of the containers that are Kubernetes nodes."""


class K3d(ContainerProvider):
    """k3d, which runs k3s."""

    name = program = "k3d"
    load_balancers = (LoadBalancer.SERVICELB, LoadBalancer.METALLB, LoadBalancer.NONE)
    longest_name = 32
    node_image = "rancher/k3s"
    container_label = "k3d.cluster"
    name_in_use = "a cluster with that name already exists"
    image_not_pulled = r"docker failed to pull the image '(.+?)': ([^\n]*)"
    image_variables = {"k3d-proxy": "K3D_IMAGE_LOADBALANCER", "k3d-tools": "K3D_IMAGE_TOOLS"}

    def config(self, spec: ClusterSpec, labels: Mapping[str, str]) -> Document:
        """Write k3d.io/v1alpha5, after walk-through 003 section 5, with subnets of its own (pitfall 43).

        The walk-through's taint keeps pods off the server, so a cluster of one node could run none: it is left out. So
        are its memory limits, which istiod hardly fits in (pitfall 44).
        """
        assert spec.network
        arguments = [
            f"--cluster-cidr={spec.pod_subnet}",
            f"--service-cidr={spec.service_subnet}",
            "--disable=traefik",  # traffic comes in by Istio
        ]
        if spec.cluster_domain:
            arguments.append(f"--cluster-domain={spec.cluster_domain}")
        if spec.load_balancer != LoadBalancer.SERVICELB:
            arguments.append("--disable=servicelb")  # two load balancers would give one Service addresses in turns
        k3s: Document = {"extraArgs": [{"arg": argument, "nodeFilters": ["server:*"]} for argument in arguments]}
        if labels:  # not `all`, which means the proxy too
            k3s["nodeLabels"] = [
                {"label": f"{key}={value}", "nodeFilters": ["server:*", "agent:*"]} for key, value in labels.items()
            ]
        document: Document = {
            "apiVersion": "k3d.io/v1alpha5",
            "kind": "Simple",
            "servers": 1,
            "agents": spec.nodes - 1,
            "network": spec.network.name,
            "kubeAPI": {"hostIP": "127.0.0.1"},
            **({"image": spec.image} if spec.image else {}),
            "options": {
                "k3d": {"wait": True},
                "k3s": k3s,
                "kubeconfig": {"updateDefaultKubeconfig": False, "switchCurrentContext": False},
            },
        }
        if spec.ports:
            document["ports"] = [
                {
                    "port": f"{port.address}:{port.host}:{port.container}/{port.protocol.lower()}",
                    "nodeFilters": ["server:0:direct"],
                }
                for port in spec.ports
            ]
        return document

    def node_names(self, name: str, count: int) -> tuple[str, ...]:
        """Return the names that k3d gives."""
        return (f"k3d-{name}-server-0", *(f"k3d-{name}-agent-{index}" for index in range(count - 1)))

    def api_server(self, federation: "Federation", cluster: "Cluster", name: str) -> str:
        """Return the name of the proxy in front of the servers: it is in the certificate (5.4.8 on, pitfall 46)."""
        return f"https://k3d-{name}-serverlb:6443"

    def make(self, cluster: LocalCluster, config: str) -> ProcessResult:
        """Make a cluster, and write its kubeconfig."""
        made = _k3d(cluster, "cluster", "create", "--config=-", stdin=config)
        if made.returncode:
            # It removes what it began, but for this where no node was made yet; Docker keeps one that is in use.
            docker.run("docker", "volume", "rm", "--force", f"k3d-{cluster.name}-images")
            return made
        read = self.read_kubeconfig(cluster)
        if read.returncode:
            return read
        workdir.write_secret(cluster.kubeconfig, read.stdout)
        return self._wait_for_nodes(cluster)

    def _wait_for_nodes(self, cluster: LocalCluster) -> ProcessResult:
        """Wait until the API server knows every node: k3d waits for the server alone, and nodes are labelled next."""
        nodes = self.kubernetes_nodes(cluster.name, self.containers(cluster.name))
        within = f"--timeout={cluster.spec.ready_within_seconds}s"
        return cluster.kubectl.run("wait", "--for=create", within, *(f"node/{node.name}" for node in nodes))

    def remove(self, cluster: LocalCluster) -> ProcessResult:
        """Remove a cluster."""
        return _k3d(cluster, "cluster", "delete")

    def removal(self, name: str) -> str:
        """Return the command by which a person removes a cluster."""
        return f"k3d cluster delete {name}"

    def read_kubeconfig(self, cluster: LocalCluster) -> ProcessResult:
        """Print the kubeconfig of a cluster."""
        return _k3d(cluster, "kubeconfig", "get")

    def kubectl_inside(self, name: str) -> tuple[str, ...]:
        """Return the words that run kubectl in the server."""
        return ("docker", "exec", f"k3d-{name}-server-0", "kubectl", "--kubeconfig=/output/kubeconfig.yaml")

    def logs(self, name: str) -> str:
        """Name the logs of the server and of the proxy."""
        return f"`docker logs k3d-{name}-server-0` and `docker logs k3d-{name}-serverlb`"

    def in_start_order(self, name: str, containers: list[docker.NodeContainer]) -> list[docker.NodeContainer]:
        """Return servers, agents and the proxy."""
        return _of_roles(name, containers, START_ORDER)

    def kubernetes_nodes(self, name: str, containers: list[docker.NodeContainer]) -> list[docker.NodeContainer]:
        """Return servers and agents."""
        return _of_roles(name, containers, NODES)


def _k3d(cluster: LocalCluster, noun: str, verb: str, *options: str, stdin: str = "") -> ProcessResult:
    """Run k3d with files of the cluster's own: it also cleans up kubeconfigs, by default the user's."""
    variables = {
        "KUBECONFIG": str(cluster.kubeconfig),
        "XDG_CONFIG_HOME": str(cluster.folder),
        "TMPDIR": str(cluster.folder),  # it leaves a copy of the configuration there
        "LOG_LEVEL": "warning",  # what it logs below that goes to standard output, between the lines of a kubeconfig
    }
    return docker.run("k3d", noun, verb, cluster.name, *options, stdin=stdin, variables=variables, timeout=TIMEOUT)


def _of_roles(name: str, containers: list[docker.NodeContainer], roles: tuple[str, ...]) -> list[docker.NodeContainer]:
    """Return the containers of certain roles, in the order of the roles."""
    role = {each: each.name.removeprefix(f"k3d-{name}-").partition("-")[0] for each in containers}
    chosen = [each for each in containers if role[each] in roles]
    return sorted(chosen, key=lambda each: (roles.index(role[each]), each.name))
