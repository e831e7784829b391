"""Takes a cluster that exists already: proves which one it is, and changes nothing.

usage: python3 -m mesh_federation.jobs existing create|update|start|delete

Environment:
    CLUSTER: the real name. CONTEXT: the logical name. STACK: the Pulumi stack. MESH_HOME: see place.py.
    PULUMI_COMMAND_STDOUT: what the last create or update printed.
Standard output of create and update: the UID of its namespace kube-system.

The program keeps the cluster's kubeconfig in the cluster's folder, and reads it anew for every run.
"""

import os
import shutil
import sys
from typing import TYPE_CHECKING

from mesh_federation.clusters import identity, workdir
from mesh_federation.clusters.provider import ClusterSpec, Document, LoadBalancer, Provider
from mesh_federation.jobs import kubeconfig

if TYPE_CHECKING:
    from mesh_federation.stack.config import Cluster, Federation


def create(name: str) -> None:
    """Print which cluster it is."""
    print(_found(name))


def update(name: str) -> None:
    """Print which cluster it is, once it is certain that it is the one that it was."""
    was, found = os.environ.get("PULUMI_COMMAND_STDOUT", "").strip(), _found(name)
    if was and was != found:
        logical = os.environ["CONTEXT"]
        sys.exit(
            f"the kubeconfig of {logical} leads to the cluster {found} (UID of its namespace kube-system); until now"
            f" {logical} was {was}, where the stack's objects are\n"
            f"-> name the kubeconfig and context of {was}, or give the other cluster a key of its own under clusters"
        )
    print(found)


def _found(name: str) -> str:
    try:
        return identity.ask(workdir.kubeconfig(name))
    except identity.Silent as silent:
        print(
            f"the API server of {os.environ['CONTEXT']} does not answer:\n{silent}\n"
            f"-> see to it that kubectl reaches the cluster by the kubeconfig of clusters.{os.environ['CONTEXT']}",
            file=sys.stderr,
        )
        sys.exit(identity.SILENT)


def start(name: str) -> None:
    """Do nothing: starting it is not ours."""


def delete(name: str) -> None:
    """Forget how it is reached; the cluster stays."""
    kubeconfig.delete(name)
    shutil.rmtree(workdir.folder(name), ignore_errors=True)


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

    def input(self, spec: ClusterSpec, label: str) -> Document:
        """Return the way to the cluster."""
        return {"kubeconfig": spec.kubeconfig, "context": spec.context}

    def node_names(self, name: str, count: int) -> tuple[str, ...]:
        """Return none: nodes are their owners' to label."""
        return ()

    def api_server(self, cluster: "Cluster", name: str) -> str:
        """Return what the stack file declares."""
        return cluster.api_server or ""


def main() -> None:
    """Run the action that the command line names."""
    workdir.run({"create": create, "update": update, "start": start, "delete": delete})
