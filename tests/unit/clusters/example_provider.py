"""An example of a provider: clusters that are nothing but a kubeconfig.

test_registry.py puts this file into a copy of the package, as mesh_federation/clusters/example.py.
"""

import json
import shutil
from typing import TYPE_CHECKING

from mesh_federation.clusters import workdir
from mesh_federation.clusters.local_cluster import LocalCluster
from mesh_federation.clusters.provider import Document, LoadBalancer, Provider
from mesh_federation.clusters.settings import ClusterSpec

if TYPE_CHECKING:
    from mesh_federation.stack.config import Cluster, Federation


class Example(Provider):
    """Clusters without an API server."""

    name = "example"
    load_balancers = (LoadBalancer.SIMULATED,)
    memory = 1
    keys = frozenset({"nodes"})
    programs = {"example-tool": "get it from its publisher"}
    runs_pods = False

    def spec(self, federation: "Federation", cluster: "Cluster") -> ClusterSpec:
        """Return the number of nodes."""
        return ClusterSpec(nodes=cluster.nodes)

    def identity(self, spec: ClusterSpec) -> Document:
        """Return the number of nodes: another number is another cluster."""
        return {"nodes": spec.nodes}

    def node_names(self, name: str, count: int) -> tuple[str, ...]:
        """Number the nodes."""
        return tuple(f"{name}-{index}" for index in range(count))

    def api_server(self, federation: "Federation", cluster: "Cluster", name: str) -> str:
        """Return none."""
        return ""

    def create(self, cluster: LocalCluster) -> None:
        """Write the kubeconfig."""
        workdir.write_secret(cluster.kubeconfig, json.dumps({"nodes": cluster.settings.spec.nodes}))

    def start(self, cluster: LocalCluster) -> None:
        """Do nothing, if the kubeconfig is there."""
        if not cluster.kubeconfig.exists():
            cluster.exit_as_gone()

    def delete(self, cluster: LocalCluster) -> None:
        """Remove the kubeconfig."""
        shutil.rmtree(cluster.folder, ignore_errors=True)
