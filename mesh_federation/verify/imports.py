"""Checks of imports: what the proxies of the declared callers really hold."""

from collections.abc import Iterator
from functools import partial

from mesh_federation.plan import gateway_addresses
from mesh_federation.plan.istio_values import EGRESS, NAMESPACE
from mesh_federation.plan.routing import ImportPlan, Source, called, principal, upstream
from mesh_federation.stack.config import is_address
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.objects import Service
from mesh_federation.verify.proxy import Endpoint, Proxy
from mesh_federation.verify.simulated import on_pods
from mesh_federation.verify.verdict import Verdict, failed, not_applicable, passed

REPAIR = "./mesh up --refresh puts back what somebody removed or changed; proxies learn of it within seconds"


def checks(scene: Context) -> Iterator[Check]:
    """Plan the checks of every import."""
    for site, link in scene.imports():
        for name, proves, judge in (
            ("endpoints", "callers hold exactly the declared endpoints", endpoints),
            ("pins", "callers accept the declared identities alone", pins),
        ):
            seen = on_pods(site, partial(judge, scene, site, link))
            yield Check(f"imports.{name}", scene.paths(link), f"{site.name}: of {link.host} {proves}", seen)


def endpoints(scene: Context, site: ClusterUnderTest, link: ImportPlan) -> Verdict:
    """Compare what proxies of callers hold with the gateways of the sources and the pods beside them."""
    callers = site.callers(scene.callers(link))
    ways = [(source, address) for source in called(link) for address in _ways(scene, site, source)]
    if not all(is_address(address) for _, address in ways):
        return not_applicable("a source's gateway is known by a host name, and proxies hold what it resolves to")
    expected = {gateway_addresses.with_port(address, source.port): source for source, address in ways}
    ready = [pod for pod in site.cluster.pods() if pod.is_ready]
    own = {pod.status.pod_ip for pod in ready if principal(site.trust_domain, pod.account) in link.own}
    wrong = [
        told
        for proxy in callers
        for port in link.ports
        if (told := _differs(proxy, upstream(link.host, port.number), link, expected, own))
    ]
    if wrong:
        return failed("; ".join(wrong), REPAIR)
    beside = f", beside {len(own)} pods here" if link.own else ""
    return passed(f"{', '.join(sorted(expected))}{beside}", asked=", ".join(proxy.pod.title for proxy in callers))


def _ways(scene: Context, site: ClusterUnderTest, source: Source) -> list[str]:
    """Return where calls to a source go first: its gateway, or the own egress gateway that leads there."""
    if not source.via_egress:
        return scene.sites[source.cluster].called
    planned = site.plan.egress.address if site.plan.egress else ""
    return [planned or _egress_address(site)]


def _egress_address(site: ClusterUnderTest) -> str:
    service = site.cluster.one(Service, "service", EGRESS, NAMESPACE)
    return service.spec.cluster_ip if service else "no egress gateway"


def _differs(proxy: Proxy, name: str, link: ImportPlan, expected: dict[str, Source], own: set[str]) -> str:
    """Say how the endpoints that one proxy holds differ from the declared ones; empty where they do not."""
    known = proxy.upstreams().named(name)
    if known is None:
        return f"{proxy.pod.title} does not know {name}"
    remote = {each.where: each for each in known.endpoints if each.ip not in own}
    lacking = [*sorted(set(expected) - set(remote)), *sorted(own - {each.ip for each in known.endpoints})]
    told = [
        *(f"lacks {where}" for where in lacking),
        *(f"also holds {where}" for where in sorted(set(remote) - set(expected))),
        *(_misplaced(remote[where], source) for where, source in sorted(expected.items()) if where in remote),
        "" if link.own else _misweighed(remote, expected),
    ]
    said = ", ".join(filter(None, told))
    return f"{proxy.pod.title} {said} for {name}" if said else ""


def _misplaced(endpoint: Endpoint, source: Source) -> str:
    place = str(endpoint.locality)
    return "" if place == source.locality else f"takes {endpoint.where} to be in {place or 'no place'}"


def _misweighed(remote: dict[str, Endpoint], expected: dict[str, Source]) -> str:
    """Compare shares: what a proxy holds are weights whose sum means nothing."""
    held = {where: endpoint.weight for where, endpoint in remote.items() if where in expected}
    total, declared = sum(held.values()), sum(expected[where].weight or 1 for where in held)
    odd = [
        f"{where} {100 * weight / total:.0f} percent"
        for where, weight in sorted(held.items())
        if abs(weight / total - (expected[where].weight or 1) / declared) > 0.01
    ]
    return f"gives {', '.join(odd)}" if odd else ""


def pins(scene: Context, site: ClusterUnderTest, link: ImportPlan) -> Verdict:
    """Compare the identities that proxies of callers accept with those that answer."""
    callers = site.callers(scene.callers(link))
    for proxy in callers:
        known = proxy.settings()
        for port in link.ports:
            settings = known.named(upstream(link.host, port.number))
            accepted = settings.pins if settings else []
            if accepted != link.pinned:
                told = ", ".join(accepted) or "any identity that Istio knows"
                return failed(f"{proxy.pod.title} accepts {told} of {link.host}:{port.number}", REPAIR)
    return passed(", ".join(link.pinned))
