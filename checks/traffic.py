"""Checks of traffic: who may call is answered, by whom the model says, under its own identity, in declared shares.

Calls are made from a container of the caller's own pod, through its own proxy; the identities are those that the
server's proxy saw (X-Forwarded-Client-Cert), where the service tells what it was asked.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from checks.check import Check
from checks.meanings import hint
from checks.on_pods import on_pods
from checks.proxy import Endpoint, Proxy
from checks.scene import Scene, Site
from checks.verdict import Verdict, failed, not_applicable, passed
from model import calls
from model.config import NamespacedName, Protocol
from model.routing import ImportPlan, called, upstream

FEW, MANY = 20, 200
"""Calls that go through every connection which a proxy keeps; calls whose shares tell something."""
SIGMAS = 4
"""How far a share may be off, in standard deviations of so many fair throws: one run in 15 000 is further off."""
END, GAP = "\x1e", "\x1f"
HTTP = (Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC)

_IDENTITY = r"\b{role}=(spiffe://[^;,\"]+)"
_NO_CURL = re.compile(r"executable file not found|no such file or directory|not found in \$PATH", re.IGNORECASE)


@dataclass(frozen=True)
class Reply:
    """What came of one call.

    Attributes:
        status: of HTTP; 0 when there was none.
        resolved: address that the name stood for; empty when nobody knew it.
        error: of curl.
        body: of the answer.
    """

    status: int
    resolved: str
    error: str
    body: str

    @property
    def server(self) -> str:
        """Identity of who answered, as far as the service tells."""
        return self._named("By")

    @property
    def caller(self) -> str:
        """Identity of who called, as the server's proxy saw it."""
        return self._named("URI")

    def _named(self, role: str) -> str:
        found = re.search(_IDENTITY.format(role=role), self.body)
        return found[1] if found else ""

    @property
    def told(self) -> str:
        """What went wrong, in a line."""
        first = self.body.strip().splitlines()[:1]
        return f"{self.status} {' '.join(first)}"[:160] if self.status else self.error or "no answer"


class NoCurl(Exception):
    """A caller's pod has nothing to call with."""


def checks(scene: Scene) -> Iterator[Check]:
    """Plan the checks of every import, and of every discovered service."""
    for site, link in scene.imports():
        about = scene.paths(link)
        for caller in scene.callers(link):
            who = str(caller) if caller else "every workload"
            proves = f"{site.name}: {who} is answered by {link.host}, under its own identity"
            yield Check("traffic.answers", about, proves, on_pods(site, partial(answers, site, link, caller)))
        caller = scene.callers(link)[0]
        proves = f"{site.name}: calls of {link.host} are shared as declared"
        yield Check("traffic.shares", about, proves, on_pods(site, partial(shares, site, link, caller)))
    for each in calls.of_discovered(scene.federation):
        site = scene.sites[each.cluster]
        proves = f"{site.name}: {each.caller} is answered by {each.url} of {each.source}"
        yield Check("traffic.discovered", (each.path,), proves, on_pods(site, partial(discovered, scene, each)))


def answers(site: Site, link: ImportPlan, caller: NamespacedName | None) -> Verdict:
    """Call every declared port as one of the declared callers."""
    callers = site.proxies_of(caller)
    if not callers:
        return not_applicable(f"no pod in the mesh of {site.name} runs as {caller or 'a workload'}")
    proxy, evidence = callers[0], dict[str, str]()
    ports = [port for port in link.ports if port.protocol in HTTP]
    for port in ports:
        before = _connections(proxy, upstream(link.host, port.number))
        url = f"http://{link.host}:{port.number}/headers"
        try:
            replies = call(proxy, url, FEW)
        except NoCurl:
            return not_applicable(f"{proxy.pod.title} has no curl to call with; a sample `sleep` has")
        if told := _wrong(site, link, proxy, replies):
            return failed(f"{url}: {told}", _hint(link, proxy.pod.account, replies))
        opened = _connections(proxy, upstream(link.host, port.number)) - before
        evidence |= {
            f"port {port.number}": f"{FEW} calls on {opened} new connections, {_counted(replies)}",
            "caller": ", ".join(sorted({each.caller for each in replies if each.caller}))
            or "the service does not tell",
            "resolved": ", ".join(sorted({each.resolved for each in replies})),
        }
    if not ports:
        return not_applicable(f"no port of {link.host} speaks HTTP, and nothing else is called")
    return passed(f"{FEW} of {FEW} calls answered, from {proxy.pod.title}", **evidence)


def _wrong(site: Site, link: ImportPlan, proxy: Proxy, replies: list[Reply]) -> str:
    """Say what is wrong with the replies; empty where all are as declared."""
    unanswered = [each for each in replies if not _is_answer(each)]
    if unanswered:
        return f"{len(unanswered)} of {len(replies)} calls failed: {unanswered[0].told}"
    expected = site.identity(proxy.pod.account)
    if others := {each.caller for each in replies} - {"", expected}:
        return f"the server saw {', '.join(sorted(others))}, not {expected}"
    strangers = {each.server for each in replies} - {""} - set(servers(link))
    return f"answered by {', '.join(sorted(strangers))}" if strangers else ""


def _is_answer(reply: Reply) -> bool:
    """Say whether a service answered, with whatever it had to say, and no proxy on the way."""
    return reply.status not in (0, 403, 502, 503, 504)


def servers(link: ImportPlan) -> list[str]:
    """Return the identities that may answer."""
    return sorted({f"spiffe://{each}" for each in (*link.own, *(source.principal for source in called(link)))})


def _hint(link: ImportPlan, caller: NamespacedName, replies: list[Reply]) -> str:
    failing = next((each.told for each in replies if not _is_answer(each)), "")
    return hint(calls.Call(link.cluster, caller, link.sources[0].cluster, link.host, ""), failing)


def _connections(proxy: Proxy, name: str) -> int:
    known = proxy.upstreams().named(name)
    return sum(_opened(each) for each in known.endpoints) if known else 0


def _opened(endpoint: Endpoint) -> int:
    return endpoint.figure("cx_total")


def _counted(replies: list[Reply]) -> str:
    counts = Counter(each.server or "an unknown server" for each in replies)
    return ", ".join(f"{count} by {server}" for server, count in sorted(counts.items()))


def shares(site: Site, link: ImportPlan, caller: NamespacedName | None) -> Verdict:
    """Call many times and compare who answered with the declared weights."""
    expected = _declared_shares(link)
    if link.failover:
        return not_applicable("the nearest answers while it can: that is what failover is for")
    if len(expected) < 2:
        return not_applicable("there is one that answers, or nothing says who is to answer how often")
    callers = site.proxies_of(caller)
    if not callers:
        return not_applicable(f"no pod in the mesh of {site.name} runs as {caller or 'a workload'}")
    port = next((port for port in link.ports if port.protocol in HTTP), None)
    if port is None:
        return not_applicable(f"no port of {link.host} speaks HTTP, and nothing else is called")
    try:
        replies = call(callers[0], f"http://{link.host}:{port.number}/headers", MANY)
    except NoCurl:
        return not_applicable(f"{callers[0].pod.title} has no curl to call with; a sample `sleep` has")
    answered = Counter(each.server for each in replies if _is_answer(each))
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


def discovered(scene: Scene, made: calls.Call) -> Verdict:
    """Call a service of another cluster of the mesh by its own name."""
    site = scene.sites[made.cluster]
    callers = site.proxies_of(made.caller)
    if not callers:
        return not_applicable(f"no pod in the mesh of {site.name} runs as {made.caller}")
    replies = call(callers[0], made.url, FEW)
    wrong = [each for each in replies if not _is_answer(each)]
    if wrong:
        told = wrong[0].told
        return failed(f"{made.url}: {len(wrong)} of {len(replies)} calls failed: {told}", hint(made, told))
    return passed(f"{FEW} of {FEW} calls answered, from {callers[0].pod.title}", servers=_counted(replies))


def call(proxy: Proxy, url: str, count: int) -> list[Reply]:
    """Call a number of times from a pod, through its proxy; connections to the proxy are kept.

    Raises:
        NoCurl: the pod has none.
        Unseen: it cannot be asked.
    """
    told = f"{GAP}%{{http_code}}{GAP}%{{remote_ip}}{GAP}%{{errormsg}}{END}"
    curl = ["curl", "--silent", "--globoff", "--max-time", "5", "--write-out", told]
    done = proxy.cluster.run_in(proxy.pod, proxy.pod.own_containers[0], *curl, *[url] * count)
    replies = [_reply(each) for each in done.out.split(END) if each]
    if not replies:
        if _NO_CURL.search(done.error):
            raise NoCurl
        raise proxy.cluster.within(proxy.pod, "nothing can be run in it", done.error)
    return replies


def _reply(text: str) -> Reply:
    body, status, resolved, error = text.rsplit(GAP, 3)
    return Reply(int(status), resolved, error, body)
