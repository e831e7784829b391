"""Waits until a load balancer that is not ours gives a Service its address, and prints what it gave, as JSON.

usage: python3 -m mesh_federation.jobs load-balancer

Environment:
    NAMESPACE, SERVICE: which Service. CLUSTER: in which cluster, as the stack file calls it.
Standard input: the cluster's kubeconfig.
"""

import json
import os
import sys

from mesh_federation.clusters import access, workdir

TIMEOUT = 300
"""Seconds; clouds need up to a few minutes."""


def main() -> None:
    """Ask until there is an address, or end with what that takes."""
    found: list[str] = []
    with access.kubectl(sys.stdin.read()) as kubectl:
        workdir.until_whole(lambda: _lacking(kubectl, found), TIMEOUT)
    print(found[-1])


def _lacking(kubectl: list[str], found: list[str]) -> str:
    """Say what is amiss, empty when nothing is; then what was found is noted."""
    namespace, service, cluster = (os.environ[key] for key in ("NAMESPACE", "SERVICE", "CLUSTER"))
    answer = workdir.ask([*kubectl, "get", "service", service, f"--namespace={namespace}", "--output=json"])
    if answer.returncode:
        return f"Service {namespace}/{service} of {cluster} cannot be read:\n{answer.stderr}"
    ingress = json.loads(answer.stdout)["status"].get("loadBalancer", {}).get("ingress")
    if ingress:
        found.append(json.dumps(ingress))
        return ""
    return (
        f"Service {namespace}/{service} of {cluster} has no address after {TIMEOUT} s: no load balancer gave it one, so"
        " other clusters cannot be told where to call it.\n"
        f"-> install a load balancer in {cluster}, or see why it gives none (kubectl describe service {service}"
        f" --namespace={namespace}); where something else leads to the gateway, write its address under"
        f" clusters.{cluster}.gateway.addresses"
    )
