"""Checks of traffic: declared callers are answered by declared servers, with declared identities and shares.

Identities are those that the server's proxy saw, if the service echoes its request headers.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial

from mesh_federation.plan import calls
from mesh_federation.plan.imports import ImportPlan
from mesh_federation.plan.istio_api import upstream
from mesh_federation.stack.config import NamespacedName, Port
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.curl import CurlResponse, call, http_ports
from mesh_federation.verify.proxy import Proxy
from mesh_federation.verify.simulated import skip_if_simulated
from mesh_federation.verify.troubleshooting import remedy
from mesh_federation.verify.verdict import NotApplicable, Verdict, failed, not_applicable, passed

FEW, MANY = 20, 200
"""Calls that use every connection that a proxy keeps; calls whose shares are significant."""
SIGMAS = 4
"""Accepted deviation of a share, in standard deviations: one run in 15 000 deviates further by chance."""


def checks(context: Context) -> Iterator[Check]:
    """Return the checks of every import, and of every discovered service."""
    for cluster, link in context.imports():
        about = context.paths(link)
        callers = context.callers(link)
        for caller in callers:
            who = str(caller) if caller else "every workload"
            description = f"{cluster.name}: {who} calls {link.host} under its own identity, and is answered"
            yield Check(
                "traffic.answers",
                about,
                description,
                skip_if_simulated(cluster, partial(answers, cluster, link, caller)),
            )
        for caller in callers[:1]:
            description = f"{cluster.name}: calls of {link.host} are distributed as declared"
            yield Check(
                "traffic.shares", about, description, skip_if_simulated(cluster, partial(shares, cluster, link, caller))
            )
    for each in calls.of_discovered(context.federation):
        cluster = context.clusters[each.cluster]
        description = f"{cluster.name}: {each.caller} calls {each.url} of {each.source}, and is answered"
        yield Check(
            "traffic.discovered",
            (each.path,),
            description,
            skip_if_simulated(cluster, partial(discovered, context, each)),
        )


def answers(cluster: ClusterUnderTest, link: ImportPlan, caller: NamespacedName | None) -> Verdict:
    """Call every declared port as a declared caller."""
    [proxy] = cluster.callers([caller])
    evidence = dict[str, str]()
    for port in _ports(link):
        url, name = calls.url(link.host, port.number), upstream(link.host, port.number)
        before = _connections(proxy, name)
        responses = call(proxy, url, FEW)
        if error := _error(cluster, link, proxy, responses):
            return failed(f"{url}: {error}", _remedy(link, proxy.pod.account, responses))
        opened = _connections(proxy, name) - before
        evidence |= {
            f"port {port.number}": f"{FEW} calls on {opened} new connections, {_counted(responses)}",
            "caller": ", ".join(sorted({each.caller for each in responses if each.caller}))
            or "unknown: the service does not echo headers",
            "resolved": ", ".join(sorted({each.resolved for each in responses})),
        }
    return passed(f"{FEW} of {FEW} calls answered, from {proxy.pod.title}", **evidence)


def _ports(link: ImportPlan) -> list[Port]:
    """Return the HTTP ports of an import.

    Raises:
        NotApplicable: there are none.
    """
    if ports := http_ports(link):
        return ports
    raise NotApplicable(f"no port of {link.host} speaks HTTP")


def _error(cluster: ClusterUnderTest, link: ImportPlan, proxy: Proxy, responses: list[CurlResponse]) -> str:
    """Return what is wrong with the responses; empty if all are as declared."""
    unanswered = [each for each in responses if not each.is_from_service]
    if unanswered:
        return f"{len(unanswered)} of {len(responses)} calls failed: {unanswered[0].failure}"
    expected = cluster.identity(proxy.pod.account)
    if others := {each.caller for each in responses} - {"", expected}:
        return f"the server saw {', '.join(sorted(others))}, not {expected}"
    servers = {f"spiffe://{each}" for each in (*link.own, *(source.principal for source in link.called_sources))}
    unexpected = {each.server for each in responses} - {"", *servers}
    return f"answered by {', '.join(sorted(unexpected))}" if unexpected else ""


def _remedy(link: ImportPlan, caller: NamespacedName, responses: list[CurlResponse]) -> str:
    failing = next((each.failure for each in responses if not each.is_from_service), "")
    return remedy(calls.Call(link.cluster, caller, link.sources[0].cluster, link.host, ""), failing)


def _connections(proxy: Proxy, name: str) -> int:
    known = proxy.upstreams().named(name)
    return sum(each.stat("cx_total") for each in known.endpoints) if known else 0


def _counted(responses: list[CurlResponse]) -> str:
    counts = Counter(each.server or "an unknown server" for each in responses)
    return ", ".join(f"{count} by {server}" for server, count in sorted(counts.items()))


def shares(cluster: ClusterUnderTest, link: ImportPlan, caller: NamespacedName | None) -> Verdict:
    """Call many times and compare the shares of the servers with the declared weights."""
    expected = _declared_shares(link)
    if link.failover:
        return not_applicable("with failover, the nearest healthy server answers all calls")
    if len(expected) < 2:
        return not_applicable("there is only one server, or no weight is declared")
    [proxy] = cluster.callers([caller])
    responses = call(proxy, calls.url(link.host, _ports(link)[0].number), MANY)
    answered = Counter(each.server for each in responses if each.is_from_service)
    if not answered or set(answered) == {""}:
        return not_applicable("the service does not echo the server's identity")
    observed = {
        server: f"{100 * answered[server] / MANY:.0f} percent, declared {share}, bound {100 * bound(share):.0f}"
        for server, share in expected.items()
    }
    off = [f"{server} answered {share}" for server, share in observed.items()
           if abs(answered[server] / MANY - expected[server] / 100) > bound(expected[server])]  # fmt: skip
    if off:
        return failed("; ".join(off), "see the checks of imports; ./mesh up --refresh restores weights")
    return passed(f"{MANY} calls, each share within its bound", **observed)


def bound(share: int) -> float:
    """Return the accepted deviation of a share in percent, from 0 to 1."""
    part = share / 100
    return SIGMAS * math.sqrt(part * (1 - part) / MANY) + 1 / MANY


def _declared_shares(link: ImportPlan) -> Mapping[str, int]:
    """Return the declared share of each identity in percent; empty if no weights are declared."""
    weighed: dict[str, int] = {}
    for source in link.called_sources:
        if source.weight is None:
            return {}
        identity = f"spiffe://{source.principal}"
        weighed[identity] = weighed.get(identity, 0) + source.weight
    if len(link.own) == 1:
        weighed[f"spiffe://{link.own[0]}"] = 100 - sum(weighed.values())
    return weighed


def discovered(context: Context, made: calls.Call) -> Verdict:
    """Call a discovered service of another cluster by its own name."""
    cluster = context.clusters[made.cluster]
    [proxy] = cluster.callers([made.caller])
    responses = call(proxy, made.url, FEW)
    wrong = [each for each in responses if not each.is_from_service]
    if wrong:
        error = wrong[0].failure
        return failed(f"{made.url}: {len(wrong)} of {len(responses)} calls failed: {error}", remedy(made, error))
    return passed(f"{FEW} of {FEW} calls answered, from {proxy.pod.title}", servers=_counted(responses))
