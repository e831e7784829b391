"""A cluster and its replacement side by side: the real name carries the generation (plan/provisioning.py)."""

import json
import sys
import time
from dataclasses import dataclass

from mesh_federation.clusters import kubeconfigs
from mesh_federation.clusters.local_cluster import LocalCluster

QUIET_SECONDS = 5
"""Without a call, until importers count as moved: istiod pushes a new endpoint within a second."""
PAUSES = 12
"""Until a replaced cluster goes in spite of its callers, as some may be none of the stack's."""
GATEWAY_LABEL = "istio=eastwestgateway"
"""Of the gateway's pods (mesh_federation/plan/istio_values.py, of which jobs import nothing)."""
PODS = '--output=jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}{"\\n"}{end}'
"""How they are listed: they are in Istio's namespace, wherever that is."""
BY_SERVER_NAME = "outbound_."
"""How Istio begins the names of what a gateway passes on by server name; its own calls go by `outbound|`."""


@dataclass(frozen=True)
class Connections:
    """Connections that other clusters made through a gateway.

    Attributes:
        open: now.
        ever: since it started.
    """

    open: int
    ever: int


def logical(name: str) -> str:
    """Return the name under which people declared the cluster."""
    return name.rpartition("-")[0]


def let_importers_move(cluster: LocalCluster) -> None:
    """Wait until nobody calls a cluster that was replaced, before it is removed.

    Its importers learned of the successor just now, and calls in flight still end here. A cluster that is removed
    for good has no successor, so nothing waits then.
    """
    current = kubeconfigs.current(cluster.workdir.home, cluster.settings.stack, cluster.logical)
    if current not in ("", cluster.name):
        _wait_until_quiet(cluster)


def _wait_until_quiet(cluster: LocalCluster) -> None:
    """Wait until no connection is open and none was made for a moment; a cluster that does not answer is quiet."""
    before = _connections(cluster)
    for _ in range(PAUSES):
        time.sleep(QUIET_SECONDS)
        now = _connections(cluster)
        if now.open == 0 and now.ever == before.ever:
            return
        before = now
    what = f"cluster {cluster.name} was replaced and is still called after {PAUSES * QUIET_SECONDS} s"
    fix = "give callers that this stack does not know the address of the new gateway (`pulumi stack output clusters`)"
    print(f"{what} ({before.open} connections open): they are cut off\n  -> {fix}", file=sys.stderr)


def _connections(cluster: LocalCluster) -> Connections:
    """Add up the counts of all pods of the cluster's gateway."""
    limit = "--request-timeout=10s"
    which = ("get", "pods", "--all-namespaces", f"--selector={GATEWAY_LABEL}", PODS)
    pods = [line.split("/") for line in cluster.kubectl.run(limit, *which).stdout.split()]
    admin = ("--container=istio-proxy", "--", "pilot-agent", "request", "GET", "clusters?format=json")
    answers = [cluster.kubectl.run(limit, f"--namespace={namespace}", "exec", pod, *admin) for namespace, pod in pods]
    counts = [_counts(done.stdout) for done in answers if done.returncode == 0]
    return Connections(sum(count.open for count in counts), sum(count.ever for count in counts))


def _counts(clusters: str) -> Connections:
    """Read what an Envoy counts of each endpoint; it leaves out what is 0."""
    stats = [
        stat
        for cluster in json.loads(clusters)["cluster_statuses"]
        if cluster["name"].startswith(BY_SERVER_NAME)
        for host in cluster.get("host_statuses", [])
        for stat in host["stats"]
    ]
    total = {
        name: sum(int(s.get("value", 0)) for s in stats if s["name"] == name) for name in ("cx_active", "cx_total")
    }
    return Connections(total["cx_active"], total["cx_total"])
