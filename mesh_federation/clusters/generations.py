"""A cluster and its replacement side by side: the real name carries the generation (plan/provisioning.py).

Environment:
    STACK: the Pulumi stack, where it is known; else all stacks of the checkout are looked through.
"""

import json
import os
import sys
import time
from dataclasses import dataclass

from mesh_federation.clusters import workdir

QUIET_SECONDS = 5
"""Without a call, until importers count as moved: istiod pushes a new endpoint within a second."""
PAUSES = 12
"""Until a replaced cluster goes in spite of its callers, as some may be none of the stack's."""
NAMESPACE, GATEWAY_LABEL = "istio-system", "istio=eastwestgateway"
"""Where the gateway is (mesh_federation/plan/istio_values.py, of which scripts import nothing)."""
BY_SERVER_NAME = "outbound_."
"""How Istio begins the names of what a gateway passes on by server name; its own calls go by `outbound|`."""


@dataclass(frozen=True)
class Passed:
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


def let_importers_move(name: str) -> None:
    """Wait until nobody calls a cluster that was replaced, before it is removed.

    Its importers were told of the successor just now, and calls on their way still end here. A cluster that is removed
    for good has no successor, so nothing waits then.
    """
    current = _current(logical(name))
    if current and name not in current:
        _wait_until_quiet(name)


def _wait_until_quiet(name: str) -> None:
    """Wait until no connection is open and none was made for a moment; a cluster that does not answer is quiet."""
    before = _passed(name)
    for _ in range(PAUSES):
        time.sleep(QUIET_SECONDS)
        now = _passed(name)
        if now.open == 0 and now.ever == before.ever:
            return
        before = now
    what = f"cluster {name} was replaced and is still called after {PAUSES * QUIET_SECONDS} s"
    fix = "give callers that this stack does not know the address of the new gateway (`pulumi stack output clusters`)"
    print(f"{what} ({before.open} connections open): they are cut off\n  -> {fix}", file=sys.stderr)


def _passed(name: str) -> Passed:
    """Ask every pod of the cluster's gateway."""
    kubectl = [
        "kubectl",
        f"--kubeconfig={workdir.kubeconfig(name)}",
        f"--namespace={NAMESPACE}",
        "--request-timeout=10s",
    ]
    pods = workdir.ask([*kubectl, "get", "pods", f"--selector={GATEWAY_LABEL}", "--output=name"]).stdout.split()
    admin = ("--container=istio-proxy", "--", "pilot-agent", "request", "GET", "clusters?format=json")
    told = [workdir.ask([*kubectl, "exec", pod, *admin]) for pod in pods]
    counts = [_counts(done.stdout) for done in told if done.returncode == 0]
    return Passed(sum(count.open for count in counts), sum(count.ever for count in counts))


def _counts(clusters: str) -> Passed:
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
    return Passed(total["cx_active"], total["cx_total"])


def _current(cluster: str) -> set[str]:
    """Return the real names that a logical name has now, one a stack, as kubeconfig.py notes them."""
    notes = (workdir.home() / "kubeconfigs").glob(f"{os.environ.get('STACK', '*')}/.{cluster}.of")
    return {note.read_text(encoding="utf-8") for note in notes}
