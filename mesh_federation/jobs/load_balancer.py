"""Waits until a load balancer that is not ours gives a Service its address, and prints what it gave, as JSON."""

import json
from dataclasses import dataclass

from mesh_federation.clusters.kubectl import Kubectl
from mesh_federation.clusters.workdir import wait_until_complete
from mesh_federation.jobs.job import Job, JobContext

TIMEOUT = 300
"""Seconds; clouds need up to a few minutes."""


@dataclass(frozen=True)
class LoadBalancerSettings:
    """Which Service.

    Attributes:
        cluster: its cluster, by the logical name.
        namespace: of the Service.
        service: its name.
    """

    cluster: str
    namespace: str
    service: str


def run(settings: LoadBalancerSettings, context: JobContext, timeout: float = TIMEOUT) -> None:
    """Look until there is an address, or end with what that needs."""
    addresses: list[str] = []
    with context.kubectl() as kubectl:
        wait_until_complete(lambda: _missing(settings, kubectl, addresses), timeout)
    print(addresses[-1])


def _missing(settings: LoadBalancerSettings, kubectl: Kubectl, addresses: list[str]) -> str:
    """Describe what is missing; if nothing is, add the addresses to the list."""
    namespace, service, cluster = settings.namespace, settings.service, settings.cluster
    answer = kubectl.run("get", "service", service, f"--namespace={namespace}", "--output=json")
    if answer.returncode:
        return f"Service {namespace}/{service} of {cluster} cannot be read:\n{answer.stderr}"
    ingress = json.loads(answer.stdout)["status"].get("loadBalancer", {}).get("ingress")
    if ingress:
        addresses.append(json.dumps(ingress))
        return ""
    return (
        f"Service {namespace}/{service} of {cluster} has no address after {TIMEOUT} s: no load balancer gave it one, so"
        " other clusters cannot know where to call it.\n"
        f"-> install a load balancer in {cluster}, or see why it gives none (kubectl describe service {service}"
        f" --namespace={namespace}); where something else leads to the gateway, write its address under"
        f" clusters.{cluster}.gateway.addresses"
    )


JOB = Job("load-balancer", LoadBalancerSettings, {"": run})
