"""Clusters that exist already: a job proves which one it is, and changes nothing.

What create and update print is the UID of the namespace kube-system. The program keeps the cluster's kubeconfig in the
cluster's folder, and writes it anew for every run.
"""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mesh_federation.clusters import identity, kubeconfigs
from mesh_federation.clusters.local_cluster import LocalCluster
from mesh_federation.clusters.provider import Document, LoadBalancer, Provider
from mesh_federation.clusters.settings import ClusterSpec

if TYPE_CHECKING:
    from mesh_federation.stack.config import Cluster, Federation


class Existing(Provider):
    """Clusters that others made: reached by their kubeconfigs, and never started or deleted."""

    name = "existing"
    load_balancers = (LoadBalancer.NONE, LoadBalancer.METALLB)
    memory = 1
    keys = frozenset({"kubeconfig", "context", "adopt", "adopted", "apiServer"})
    ours = False

    def spec(self, federation: "Federation", cluster: "Cluster") -> ClusterSpec:
        """Return the way to the cluster."""
        return ClusterSpec(kubeconfig=cluster.kubeconfig or "", context=cluster.context or "")

    def identity(self, spec: ClusterSpec) -> Document:
        """Return nothing: a cluster is the same however it is reached (mesh_federation/plan/identity.py)."""
        return {}

    def node_names(self, name: str, count: int) -> tuple[str, ...]:
        """Return none: nodes are their owners' to label."""
        return ()

    def api_server(self, federation: "Federation", cluster: "Cluster", name: str) -> str:
        """Return what the stack file declares."""
        return cluster.api_server or ""

    def create(self, cluster: LocalCluster) -> None:
        """Print which cluster it is, and record that the stack has reached it."""
        print(_uid(cluster))
        kubeconfigs.record(_shown(cluster), cluster.name)

    def update(self, cluster: LocalCluster, previous: str) -> None:
        """Print which cluster it is, once it is certain that it is the same one.

        Args:
            cluster: which.
            previous: what the last create or update printed.
        """
        uid = _uid(cluster)
        if previous and previous != uid:
            logical = cluster.logical
            sys.exit(
                f"the kubeconfig of {logical} leads to the cluster {uid} (UID of its namespace kube-system); until now"
                f" {logical} was {previous}, where the stack's objects are\n"
                f"-> name the kubeconfig and context of {previous}, or give the other cluster a key of its own under"
                " clusters"
            )
        print(uid)

    def start(self, cluster: LocalCluster) -> None:
        """Do nothing: starting it is not ours."""

    def delete(self, cluster: LocalCluster) -> None:
        """Forget how it is reached; the cluster stays."""
        kubeconfigs.remove(_shown(cluster), cluster.name)
        shutil.rmtree(cluster.folder, ignore_errors=True)


def _shown(cluster: LocalCluster) -> Path:
    """Return the cluster's kubeconfig for people, which the program has written."""
    return cluster.workdir.home / kubeconfigs.shown(cluster.settings.stack, cluster.logical)


def _uid(cluster: LocalCluster) -> str:
    try:
        return identity.ask(cluster.kubeconfig)
    except identity.Silent as silent:
        print(
            f"the API server of {cluster.logical} does not answer:\n{silent}\n"
            f"-> see to it that kubectl reaches the cluster by the kubeconfig of clusters.{cluster.logical}",
            file=sys.stderr,
        )
        sys.exit(identity.SILENT)
