"""Checks of traffic: who may call is answered, by whom the model says, under its own identity, in declared shares.

The identities are those that the server's proxy saw, where the service tells what it was asked.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial

from mesh_federation.plan import calls
from mesh_federation.plan.routing import ImportPlan, called, upstream
from mesh_federation.stack.config import NamespacedName, Port
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.curl import Reply, call, http_ports
from mesh_federation.verify.proxy import Proxy
from mesh_federation.verify.simulated import on_pods
from mesh_federation.verify.troubleshooting import hint
from mesh_federation.verify.verdict import NotApplicable, Verdict, failed, not_applicable, passed

FEW, MANY = 20, 200
"""Calls that go through every connection which a proxy keeps; calls whose shares tell something."""
SIGMAS = 4
"""How far a share may be off, in standard deviations of so many fair throws: one run in 15 000 is further off."""


def checks(scene: Context) -> Iterator[Check]:
    """Plan the checks of every import, and of every discovered service."""
    for site, link in scene.imports():
        about = scene.paths(link)
        callers = scene.callers(link)
        for caller in callers:
            who = str(caller) if caller else "every workload"
            proves = f"{site.name}: {who} is answered by {link.host}, under its own identity"
            yield Check("traffic.answers", about, proves, on_pods(site, partial(answers, site, link, caller)))
        for caller in callers[:1]:
            proves = f"{site.name}: calls of {link.host} are shared as declared"
            yield Check("traffic.shares", about, proves, on_pods(site, partial(shares, site, link, caller)))
    for each in calls.of_discovered(scene.federation):
        site = scene.sites[each.cluster]
        proves = f"{site.name}: {each.caller} is answered by {each.url} of {each.source}"
        yield Check("traffic.discovered", (each.path,), proves, on_pods(site, partial(discovered, scene, each)))


def answers(site: ClusterUnderTest, link: ImportPlan, caller: NamespacedName | None) -> Verdict:
    """Call every declared port as one of the declared callers."""
    [proxy] = site.callers([caller])
    evidence = dict[str, str]()
    for port in _ports(link):
        url, name = calls.url(link.host, port.number), upstream(link.host, port.number)
        before = _connections(proxy, name)
        replies = call(proxy, url, FEW)
        if told := _wrong(site, link, proxy, replies):
            return failed(f"{url}: {told}", _hint(link, proxy.pod.account, replies))
        opened = _connections(proxy, name) - before
        evidence |= {
            f"port {port.number}": f"{FEW} calls on {opened} new connections, {_counted(replies)}",
            "caller": ", ".join(sorted({each.caller for each in replies if each.caller}))
            or "the service does not tell",
            "resolved": ", ".join(sorted({each.resolved for each in replies})),
        }
    return passed(f"{FEW} of {FEW} calls answered, from {proxy.pod.title}", **evidence)


def _ports(link: ImportPlan) -> list[Port]:
    """Return the ports of an import that can be called.

    Raises:
        NotApplicable: there are none.
    """
    if ports := http_ports(link):
        return ports
    raise NotApplicable(f"no port of {link.host} speaks HTTP, and nothing else is called")


def _wrong(site: ClusterUnderTest, link: ImportPlan, proxy: Proxy, replies: list[Reply]) -> str:
    """Say what is wrong with the replies; empty where all are as declared."""
    unanswered = [each for each in replies if not each.is_answer]
    if unanswered:
        return f"{len(unanswered)} of {len(replies)} calls failed: {unanswered[0].told}"
    expected = site.identity(proxy.pod.account)
    if others := {each.caller for each in replies} - {"", expected}:
        return f"the server saw {', '.join(sorted(others))}, not {expected}"
    servers = {f"spiffe://{each}" for each in (*link.own, *(source.principal for source in called(link)))}
    strangers = {each.server for each in replies} - {"", *servers}
    return f"answered by {', '.join(sorted(strangers))}" if strangers else ""


def _hint(link: ImportPlan, caller: NamespacedName, replies: list[Reply]) -> str:
    failing = next((each.told for each in replies if not each.is_answer), "")
    return hint(calls.Call(link.cluster, caller, link.sources[0].cluster, link.host, ""), failing)


def _connections(proxy: Proxy, name: str) -> int:
    known = proxy.upstreams().named(name)
    return sum(each.figure("cx_total") for each in known.endpoints) if known else 0


def _counted(replies: list[Reply]) -> str:
    counts = Counter(each.server or "an unknown server" for each in replies)
    return ", ".join(f"{count} by {server}" for server, count in sorted(counts.items()))


def shares(site: ClusterUnderTest, link: ImportPlan, caller: NamespacedName | None) -> Verdict:
    """Call many times and compare who answered with the declared weights."""
    expected = _declared_shares(link)
    if link.failover:
        return not_applicable("the nearest answers while it can: that is what failover is for")
    if len(expected) < 2:
        return not_applicable("there is one that answers, or nothing says who is to answer how often")
    [proxy] = site.callers([caller])
    replies = call(proxy, calls.url(link.host, _ports(link)[0].number), MANY)
    answered = Counter(each.server for each in replies if each.is_answer)
    if not answered or set(answered) == {""}:
        return not_applicable("the service does not tell who answered")
    seen = {
        server: f"{100 * answered[server] / MANY:.0f} percent, declared {share}, bound {100 * bound(share):.0f}"
        for server, share in expected.items()
    }
    off = [f"{server} answered {told}" for server, told in seen.items()
           if abs(answered[server] / MANY - expected[server] / 100) > bound(expected[server])]  # fmt: skip
    if off:
        return failed("; ".join(off), "see the checks of imports; ./mesh up --refresh puts weights back")
    return passed(f"{MANY} calls, each share within its bound", **seen)


def bound(share: int) -> float:
    """Return how far a share in percent may be off in so many calls, from 0 to 1."""
    part = share / 100
    return SIGMAS * math.sqrt(part * (1 - part) / MANY) + 1 / MANY


def _declared_shares(link: ImportPlan) -> Mapping[str, int]:
    """Return what each identity is to answer, in percent; nothing where pods beside are called like gateways."""
    weighed: dict[str, int] = {}
    for source in called(link):
        if source.weight is None:
            return {}
        identity = f"spiffe://{source.principal}"
        weighed[identity] = weighed.get(identity, 0) + source.weight
    if len(link.own) == 1:
        weighed[f"spiffe://{link.own[0]}"] = 100 - sum(weighed.values())
    return weighed


def discovered(scene: Context, made: calls.Call) -> Verdict:
    """Call a service of another cluster of the mesh by its own name."""
    site = scene.sites[made.cluster]
    [proxy] = site.callers([made.caller])
    replies = call(proxy, made.url, FEW)
    wrong = [each for each in replies if not each.is_answer]
    if wrong:
        told = wrong[0].told
        return failed(f"{made.url}: {len(wrong)} of {len(replies)} calls failed: {told}", hint(made, told))
    return passed(f"{FEW} of {FEW} calls answered, from {proxy.pod.title}", servers=_counted(replies))
