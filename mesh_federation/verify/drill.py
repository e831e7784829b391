"""The failover drill: takes the pods beside an import away, for as long as it takes remote ones to answer.

It changes a running cluster, so it is asked for by name; what it scaled down it scales up again, also when somebody
presses Ctrl-C.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial

from mesh_federation.plan import calls
from mesh_federation.plan.routing import ImportPlan
from mesh_federation.stack.config import NamespacedName
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.curl import Reply, call, http_ports
from mesh_federation.verify.proxy import Proxy
from mesh_federation.verify.simulated import on_pods
from mesh_federation.verify.verdict import Inconclusive, Verdict, failed, not_applicable, passed

PATIENCE = 120
"""Seconds until the others must answer."""
IN_A_ROW = 5
"""Answers that count as recovered."""


def checks(scene: Context) -> Iterator[Check]:
    """Plan a drill for every import that pods of the importing cluster answer too."""
    for site, link in scene.imports():
        if link.own:
            proves = f"{site.name}: {link.host} is answered from elsewhere while no pod here does, and from here after"
            judge = on_pods(site, partial(failover, scene, site, link))
            yield Check("drill.failover", scene.paths(link), proves, judge)


def failover(scene: Context, site: ClusterUnderTest, link: ImportPlan) -> Verdict:
    """Scale the pods here to none, wait for the others, scale back, wait for these."""
    here = [each for each in site.plan.workloads if each.reference == link.service]
    callers = [proxy for account in scene.callers(link)[:1] for proxy in site.proxies_of(account)]
    ports = http_ports(link)
    if not here or not callers or not ports:
        return not_applicable("only samples are scaled, and only HTTP is called, by a declared caller that runs")
    url = calls.url(link.host, ports[0].number)
    own = {f"spiffe://{each}" for each in link.own}
    try:
        away = _timed(
            site, link.service, 0, callers[0], url, lambda reply: reply.status == 200 and reply.server not in own
        )
    finally:
        back = _timed(
            site, link.service, here[0].replicas, callers[0], url,
            lambda reply: reply.status == 200 and reply.server in own,
        )  # fmt: skip
    if away is None or back is None:
        said = "no other cluster answers" if away is None else "the pods here do not answer again"
        return failed(f"{said} within {PATIENCE} s", "see the checks of imports and traffic; ./mesh up --refresh")
    told = f"others answered after {away:.1f} s, the pods here again after {back:.1f} s"
    return passed(told, away=f"{away:.1f} s", back=f"{back:.1f} s")


def _timed(
    site: ClusterUnderTest,
    service: NamespacedName,
    replicas: int,
    caller: Proxy,
    url: str,
    recovered: Callable[[Reply], bool],
) -> float | None:
    """Scale, and return the seconds until calls are answered as they should be; None where they never are."""
    deployment = [f"--namespace={service.namespace}", f"deployment/{service.name}"]
    begun = time.monotonic()
    done = site.cluster.asked("scale", *deployment, f"--replicas={replicas}")
    if done.code:
        raise Inconclusive(
            f"{site.name}: {service} cannot be scaled to {replicas}: {done.error}", "./mesh up --refresh"
        )
    while time.monotonic() - begun < PATIENCE:
        if all(map(recovered, call(caller, url, IN_A_ROW))):
            return time.monotonic() - begun
        time.sleep(0.5)
    return None
