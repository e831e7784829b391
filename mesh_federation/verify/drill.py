"""The failover drill: scales the local pods of an import to zero until remote ones answer.

It changes a running cluster, so it runs only on request. It restores the replicas also after Ctrl-C.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial

from mesh_federation.plan import calls
from mesh_federation.plan.imports import ImportPlan
from mesh_federation.stack.config import NamespacedName
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.curl import CurlResponse, call, http_ports
from mesh_federation.verify.proxy import Proxy
from mesh_federation.verify.simulated import skip_if_simulated
from mesh_federation.verify.troubleshooting import REPAIRS
from mesh_federation.verify.verdict import Inconclusive, Verdict, failed, not_applicable, passed

PATIENCE = 120
"""Seconds until other pods must answer."""
IN_A_ROW = 5
"""Consecutive responses that count as recovered."""


def checks(context: Context) -> Iterator[Check]:
    """Return a drill for every import that pods of the importing cluster serve too."""
    for cluster, link in context.imports():
        if link.own:
            description = (
                f"{cluster.name}: remote pods answer {link.host} while no local pod runs, local ones afterwards"
            )
            run = skip_if_simulated(cluster, partial(failover, context, cluster, link))
            yield Check("drill.failover", context.paths(link), description, run)


def failover(context: Context, cluster: ClusterUnderTest, link: ImportPlan) -> Verdict:
    """Scale the local pods to zero, wait for remote responses, scale back, wait for local responses."""
    here = [each.workload for each in cluster.plan.samples if each.workload.reference == link.service]
    callers = [proxy for account in context.callers(link)[:1] for proxy in cluster.proxies_of(account)]
    ports = http_ports(link)
    if not here or not callers or not ports:
        return not_applicable("it needs a sample behind the import, an HTTP port, and a running pod of a caller")
    url = calls.url(link.host, ports[0].number)
    own = {f"spiffe://{each}" for each in link.own}
    try:
        away = _seconds(
            cluster, link.service, 0, callers[0], url,
            lambda response: response.status == 200 and response.server not in own,
        )  # fmt: skip
    finally:
        back = _seconds(
            cluster, link.service, here[0].replicas, callers[0], url,
            lambda response: response.status == 200 and response.server in own,
        )  # fmt: skip
    if away is None or back is None:
        what = "no other cluster answers" if away is None else "the local pods do not answer again"
        return failed(f"{what} within {PATIENCE} s", f"see the checks of imports and traffic; {REPAIRS}")
    message = f"remote pods answered after {away:.1f} s, local pods again after {back:.1f} s"
    return passed(message, away=f"{away:.1f} s", back=f"{back:.1f} s")


def _seconds(
    cluster: ClusterUnderTest, service: NamespacedName, replicas: int, caller: Proxy, url: str,
    recovered: Callable[[CurlResponse], bool],
) -> float | None:  # fmt: skip
    """Scale a Deployment and return the seconds until calls recover; None if they do not."""
    deployment = [f"--namespace={service.namespace}", f"deployment/{service.name}"]
    start = time.monotonic()
    done = cluster.kubectl.run("scale", *deployment, f"--replicas={replicas}")
    if done.returncode:
        raise Inconclusive(f"{cluster.name}: {service} cannot be scaled to {replicas}: {done.stderr}", REPAIRS)
    while time.monotonic() - start < PATIENCE:
        if all(map(recovered, call(caller, url, IN_A_ROW))):
            return time.monotonic() - start
        time.sleep(0.5)
    return None
