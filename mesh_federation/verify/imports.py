"""Checks of imports: the endpoints and identities in the proxies of declared callers."""

from collections.abc import Iterator
from functools import partial

from mesh_federation.plan import gateway_addresses
from mesh_federation.plan.exports import principal
from mesh_federation.plan.imports import ImportPlan, Source
from mesh_federation.plan.istio_api import upstream
from mesh_federation.plan.istio_values import egress_gateway
from mesh_federation.stack.config import is_address
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.proxy import Proxy, UpstreamEndpoint
from mesh_federation.verify.simulated import skip_if_simulated
from mesh_federation.verify.troubleshooting import REPAIRS
from mesh_federation.verify.verdict import Verdict, failed, not_applicable, passed

REPAIR = f"{REPAIRS}; proxies learn of it within seconds"


def checks(context: Context) -> Iterator[Check]:
    """Return the checks of every import."""
    for cluster, link in context.imports():
        for name, description, run in (
            ("endpoints", "callers have exactly the declared endpoints", endpoints),
            ("pins", "callers accept only the declared identities", pins),
            ("names", "callers ask for it by the name that the exporter's gateway knows", names),
        ):
            check = skip_if_simulated(cluster, partial(run, context, cluster, link))
            yield Check(f"imports.{name}", context.paths(link), f"{cluster.name}: {link.host}: {description}", check)


def endpoints(context: Context, cluster: ClusterUnderTest, link: ImportPlan) -> Verdict:
    """Compare the endpoints in callers' proxies with the gateways of the sources and the local pods."""
    callers = cluster.callers(context.callers(link))
    sources = [(source, address) for source in link.called_sources for address in _addresses(context, cluster, source)]
    if not all(is_address(address) for _, address in sources):
        return not_applicable("a source's gateway has a host name, and proxies have what it resolves to")
    expected = {gateway_addresses.with_port(address, source.port): source for source, address in sources}
    ready = [pod for pod in cluster.kubectl.pods() if pod.is_ready]
    own = {pod.status.pod_ip for pod in ready if principal(cluster.trust_domain, pod.account) in link.own}
    wrong = [
        error
        for proxy in callers
        for port in link.ports
        if (error := _difference(proxy, upstream(link.host, port.number), link, expected, own))
    ]
    if wrong:
        return failed("; ".join(wrong), REPAIR)
    local = f", and {len(own)} local pods" if link.own else ""
    return passed(f"{', '.join(sorted(expected))}{local}", callers=", ".join(proxy.pod.title for proxy in callers))


def _addresses(context: Context, cluster: ClusterUnderTest, source: Source) -> list[str]:
    """Return the first hop to a source: its gateway, or the egress gateway that leads there."""
    if not source.via_egress:
        return context.party(source.cluster).gateway_addresses
    planned = cluster.plan.egress.address if cluster.plan.egress else ""
    return [planned or _egress_address(cluster)]


def _egress_address(cluster: ClusterUnderTest) -> str:
    gateway = egress_gateway(cluster.plan.declared)
    service = cluster.kubectl.service(gateway.namespace, gateway.name)
    return service.spec.cluster_ip if service else "no egress gateway"


def _difference(proxy: Proxy, name: str, link: ImportPlan, expected: dict[str, Source], own: set[str]) -> str:
    """Return how the endpoints of one proxy differ from the declared ones; empty if they do not."""
    known = proxy.upstreams().named(name)
    if known is None:
        return f"{proxy.pod.title} does not know {name}"
    remote = {each.where: each for each in known.endpoints if each.ip not in own}
    missing = [*sorted(set(expected) - set(remote)), *sorted(own - {each.ip for each in known.endpoints})]
    differences = [
        *(f"lacks {where}" for where in missing),
        *(f"also has {where}" for where in sorted(set(remote) - set(expected))),
        *(_misplaced(remote[where], source) for where, source in sorted(expected.items()) if where in remote),
        "" if link.own else _misweighed(remote, expected),
    ]
    text = ", ".join(filter(None, differences))
    return f"{proxy.pod.title} {text} for {name}" if text else ""


def _misplaced(endpoint: UpstreamEndpoint, source: Source) -> str:
    place = str(endpoint.locality)
    return "" if place == source.locality else f"has {endpoint.where} in the locality {place or '(none)'}"


def _misweighed(remote: dict[str, UpstreamEndpoint], expected: dict[str, Source]) -> str:
    """Compare shares, as only the ratio of a proxy's weights is significant."""
    held = {where: endpoint.weight for where, endpoint in remote.items() if where in expected}
    total, declared = sum(held.values()), sum(expected[where].weight or 1 for where in held)
    odd = [
        f"{where} {100 * weight / total:.0f} percent"
        for where, weight in sorted(held.items())
        if abs(weight / total - (expected[where].weight or 1) / declared) > 0.01
    ]
    return f"gives {', '.join(odd)}" if odd else ""


def pins(context: Context, cluster: ClusterUnderTest, link: ImportPlan) -> Verdict:
    """Compare the identities that callers' proxies accept with the declared ones."""
    callers = cluster.callers(context.callers(link))
    for proxy in callers:
        known = proxy.settings()
        for port in link.ports:
            settings = known.named(upstream(link.host, port.number))
            accepted = settings.accepted_identities if settings else []
            if accepted != link.pinned:
                named = ", ".join(accepted) or "every identity that Istio knows"
                return failed(f"{proxy.pod.title} accepts {named} of {link.host}:{port.number}", REPAIR)
    return passed(", ".join(link.pinned))


def names(context: Context, cluster: ClusterUnderTest, link: ImportPlan) -> Verdict:
    """Compare the server names by which callers' proxies ask gateways with those that gateways pass calls on by.

    Of two DestinationRules for a host, Istio takes the one in the caller's namespace.
    """
    for proxy in cluster.callers(context.callers(link)):
        known = proxy.settings()
        for port in link.ports:
            settings = known.named(upstream(link.host, port.number))
            if (asked := settings.server_name if settings else "") != link.server_name(port):
                return failed(
                    f"{proxy.pod.title} asks for {link.host}:{port.number} as {asked or 'nothing'}, and the gateway"
                    f" knows it as {link.server_name(port)}",
                    f"look for a DestinationRule for {link.host} that the stack did not make; {REPAIR}",
                )
    return passed(", ".join(map(link.server_name, link.ports)))
