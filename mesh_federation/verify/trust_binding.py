"""Checks of trust for links: what each proxy really accepts, and that forged and revoked certificates are refused.

A proxy's configuration shows which authorities vouch for which trust domain. That other authorities are refused is
tried: a check issues certificates for ten minutes with the authority of one cluster, for the identities of another.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from cryptography import x509

from mesh_federation.plan.exports import ExportPlan
from mesh_federation.plan.imports import ImportPlan
from mesh_federation.plan.trust_binding import INBOUND, Binding
from mesh_federation.stack.config import NamespacedName
from mesh_federation.verify.cacerts import ca_certs
from mesh_federation.verify.certificates import (
    Identity,
    broken_link,
    fingerprint,
    identities,
    issue,
    read,
    short,
    title,
)
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.gateway_endpoint import GatewayResponse, ServiceAddress, request
from mesh_federation.verify.objects import EnvoyFilter
from mesh_federation.verify.parallel import map_parallel
from mesh_federation.verify.proxy import BoundDomain, Listeners, Proxy, UpstreamSettingsDump
from mesh_federation.verify.refusals import SEE_FIRST, called_account, first_address, must_present
from mesh_federation.verify.simulated import skip_if_simulated
from mesh_federation.verify.verdict import Inconclusive, Verdict, failed, not_applicable, passed

REPAIR = "./mesh up --refresh restores the EnvoyFilters of the stack"
WHOLE_MESH = "trust.scope is mesh"

Vouching = Mapping[str, frozenset[str]]
"""Fingerprints of the authorities that vouch for each trust domain."""


def checks(context: Context) -> Iterator[Check]:
    """Return the checks of every cluster, export and import, and of everything that is revoked."""
    for cluster in context.clusters.values():
        description = (
            f"{cluster.name}: each proxy accepts the declared trust domains, each under its own authority alone"
        )
        run = skip_if_simulated(cluster, partial(bound, context, cluster))
        yield Check("trust.bound", (cluster.path,), description, run)
    for cluster, export in context.exports():
        service = export.export.service
        description = f"{cluster.name}: {service} refuses identities that the authority of another cluster issued"
        run = skip_if_simulated(cluster, partial(forged_callers, context, cluster, export))
        yield Check("refusals.forged", (export.export.path,), description, run)
    for cluster, link in context.imports():
        description = f"{cluster.name}: callers of {link.host} accept no server whose identity another cluster issued"
        run = skip_if_simulated(cluster, partial(forged_servers, context, cluster, link))
        yield Check("refusals.forged", context.paths(link), description, run)
    for cluster, export in context.exports():
        if context.federation.trust.revoked:
            service = export.export.service
            description = f"{cluster.name}: {service} refuses certificates of what is revoked"
            run = skip_if_simulated(cluster, partial(revoked, context, cluster, export))
            yield Check("refusals.revoked", ("trust.revoked", export.export.path), description, run)


def bound(context: Context, cluster: ClusterUnderTest) -> Verdict:
    """Compare what every proxy accepts with what is declared, part by part."""
    proxies = cluster.proxies
    if not proxies:
        return not_applicable("no pod is in the mesh")
    wrong = [
        f"{proxy.pod.title} {error}"
        for proxy, errors in map_parallel(lambda each: list(_differences(context, cluster, each)), proxies)
        for error in errors
    ]
    if wrong:
        return failed("; ".join(wrong), _hint(cluster))
    count = sum(len(each.patches) for each in cluster.plan.bindings)
    return passed(f"{len(proxies)} proxies have {count} declared bindings and no others")


def _differences(context: Context, cluster: ClusterUnderTest, proxy: Proxy) -> Iterator[str]:
    listeners, upstreams = proxy.listeners(), proxy.settings()
    declared = [each for each in cluster.plan.bindings if _is_about(each, proxy, listeners)]
    yield from (f"rejects its configuration: {reason}" for reason in listeners.rejections)
    yield from _of_arriving(context, declared, listeners)
    yield from _of_leaving(context, declared, upstreams)


def _is_about(binding: Binding, proxy: Proxy, listeners: Listeners) -> bool:
    """Say whether a binding is about this proxy: gateways have no listener for calls that arrive at a pod."""
    metadata = proxy.pod.metadata
    return bool(listeners.named(INBOUND)) and binding.selects(metadata.namespace, metadata.labels)


def _of_arriving(context: Context, declared: Sequence[Binding], listeners: Listeners) -> Iterator[str]:
    """Compare the filter chains for mutual TLS of each port; a binding of the port wins over one of all ports."""
    patches = sorted((patch for each in declared for patch in each.patches if not patch.host), key=lambda p: p.port)
    seen: set[int] = set()
    for chain in listeners.chains_of(INBOUND):
        if chain.filter_chain_match.transport_protocol != "tls" or not chain.is_mutual:
            continue
        port = chain.filter_chain_match.destination_port
        seen.add(port)
        expected = [patch.domains for patch in patches if patch.port in (0, port)]
        yield from _compared(context, f"on port {port or 'of no service'}", expected[-1:], chain.validation.domains)
    for patch in patches:
        if patch.port and patch.port not in seen:
            yield f"accepts no mutual TLS on port {patch.port}, which is exported"


def _of_leaving(context: Context, declared: Sequence[Binding], upstreams: UpstreamSettingsDump) -> Iterator[str]:
    """Compare what is accepted from the servers of each host."""
    expected = {patch.host: patch.domains for each in declared for patch in each.patches if patch.host}
    for each in (entry.cluster for entry in upstreams.configs):
        host = each.name.split("|")[-1] if each.name.startswith("outbound|") else ""
        known = [expected[host]] if host in expected else []
        yield from _compared(context, f"from {each.name}", known, each.validation.domains)


def _compared(
    context: Context, where: str, declared: Sequence[Mapping[str, str]], found: Sequence[BoundDomain]
) -> Iterator[str]:
    expected = {domain: _anchors(context, cluster) for each in declared for cluster, domain in each.items()}
    actual = {each.name: frozenset(map(fingerprint, each.anchors)) for each in found}
    if expected and not actual:
        yield f"accepts every root that it has {where}, not {_described(expected)}"
    elif expected != actual:
        yield f"accepts {_described(actual)} {where}, not {_described(expected) or 'its own roots'}"


def _anchors(context: Context, cluster: str) -> frozenset[str]:
    return frozenset(context.party(cluster).trust.anchors)


def _described(vouching: Vouching) -> str:
    return ", ".join(
        f"{domain} ({', '.join(map(short, sorted(prints)))})" for domain, prints in sorted(vouching.items())
    )


def _hint(cluster: ClusterUnderTest) -> str:
    """Say how to repair it; filters of others for the same parts of proxies can be the cause."""
    ours = {NamespacedName(each.namespace, each.name) for each in cluster.plan.bindings}
    found = cluster.kubectl.get_all(EnvoyFilter, "envoyfilters.networking.istio.io", "--all-namespaces")
    others = [str(each.metadata.reference) for each in found if each.metadata.reference not in ours and each.binds]
    told = f"; these EnvoyFilters of others change the same parts: {', '.join(others)}" if others else ""
    return f"{REPAIR}{told}"


def forged_callers(context: Context, cluster: ClusterUnderTest, export: ExportPlan) -> Verdict:
    """Call as admitted accounts, and as accounts of the exporter, with certificates of other clusters' authorities."""
    address = first_address(export)
    if address is None or not export.export.to:
        return not_applicable("the export admits no account, or no port of it speaks HTTP/1")
    names = {each.cluster: context.party(each.cluster).identity(called_account(each)) for each in export.export.to}
    names[cluster.name] = cluster.identity(export.export.identity)
    tried = [
        (signing.name, issue(ca_certs(signing).signer, uri))
        for signing in context.signing
        for owner, uri in names.items()
        if context.party(owner).trust_domain != signing.trust_domain
    ]
    if not tried:
        return not_applicable("no cluster of another trust domain has an authority of this stack")
    answers = [(signing, each, request(cluster.endpoint, address, each)) for signing, each in tried]
    _must_answer(context, cluster, export, address)
    through = [f"{each.uri} issued by {signing}" for signing, each, answer in answers if answer.status]
    if not through:
        return passed(f"{len(answers)} forged callers refused at TLS", **_told(answers))
    if context.federation.trust.scope == "mesh":
        return not_applicable(f"{WHOLE_MESH}: {address} accepts at TLS {', '.join(through)}")
    return failed(f"{address} accepts at TLS {'; '.join(through)}", f"see trust.bound; {REPAIR}")


def _told(answers: Sequence[tuple[str, Identity, GatewayResponse]]) -> dict[str, str]:
    return {f"{each.uri} issued by {signing}": answer.detail for signing, each, answer in answers}


def _must_answer(context: Context, cluster: ClusterUnderTest, export: ExportPlan, address: ServiceAddress) -> None:
    """See that a declared caller is heard: an endpoint that is closed to all refuses nobody.

    Raises:
        Inconclusive: it is not.
    """
    if not cluster.has_authority:
        must_present(cluster, address)
        return
    for consumer in export.export.to:
        caller = context.party(consumer.cluster)
        if consumer.cluster not in _distrusted(context) and caller.has_authority:
            admitted = issue(ca_certs(caller).signer, caller.identity(called_account(consumer)))
            if request(cluster.endpoint, address, admitted).is_admitted:
                return
    own = issue(ca_certs(cluster).signer, cluster.identity(export.export.identity))
    if not request(cluster.endpoint, address, own).is_admitted:
        message = f"{address} at {cluster.endpoint} refuses every admitted caller too, so that a refusal proves nothing"
        raise Inconclusive(message, SEE_FIRST)


def forged_servers(context: Context, cluster: ClusterUnderTest, link: ImportPlan) -> Verdict:
    """Issue the pinned identities by other clusters, and judge them by what callers' proxies have for the host."""
    callers = cluster.callers(context.callers(link))
    forged = [
        (signing.name, source.principal, issue(ca_certs(signing).signer, f"spiffe://{source.principal}"))
        for source in link.sources
        for signing in context.signing
        if context.party(source.cluster).trust_domain != signing.trust_domain
    ]
    if not forged:
        return not_applicable("no cluster of another trust domain has an authority of this stack")
    through = []
    for proxy in callers:
        found = [each.cluster for each in proxy.settings().configs if each.cluster.name.endswith(f"||{link.host}")]
        if not found:
            raise Inconclusive(f"{proxy.pod.title} does not know {link.host}", "see the checks of imports first")
        roots = proxy.secrets().trusted
        through += [
            f"{proxy.pod.title} accepts {principal} issued by {signing}"
            for each in found
            for signing, principal, server in forged
            if _accepts(each.validation.domains, roots, read(server.chain))
        ]
    if not through:
        return passed(f"{len(forged)} forged servers, {len(callers)} callers: none is accepted")
    if context.federation.trust.scope == "mesh":
        return not_applicable(f"{WHOLE_MESH}: {'; '.join(through)}")
    return failed("; ".join(through), f"see trust.bound; {REPAIR}")


def _accepts(
    domains: Sequence[BoundDomain], roots: Sequence[x509.Certificate], chain: Sequence[x509.Certificate]
) -> bool:
    """Judge a chain as Envoy does: by the anchors of its trust domain, or without a validator by all roots."""
    if not domains:
        return not broken_link(chain, roots)
    [uri] = identities(chain[0])
    domain = uri.removeprefix("spiffe://").split("/")[0]
    anchors = [anchor for each in domains if each.name == domain for anchor in each.anchors]
    return any(not broken_link(chain[: length + 1], anchors) for length in range(len(chain)))


def revoked(context: Context, cluster: ClusterUnderTest, export: ExportPlan) -> Verdict:
    """Call with certificates of revoked clusters, and look for revoked authorities in proxies.

    The key of a revoked authority is in no cluster any more: that no proxy has it as an anchor is what can be seen.
    """
    proxies = cluster.proxies_of(export.export.identity)
    names = frozenset(each.authority for each in context.federation.trust.revoked if each.authority)
    held = [
        f"{proxy.pod.title} still has {title(anchor)} as an anchor of {domain.name}"
        for proxy in proxies
        for chain in proxy.listeners().chains_of(INBOUND)
        for domain in chain.validation.domains
        for anchor in domain.anchors
        if names & {title(anchor), fingerprint(anchor)}
    ]
    address = first_address(export)
    distrusted = (each for each in export.export.to if each.cluster in _distrusted(context))
    callers = [each for each in distrusted if context.party(each.cluster).has_authority]
    if address is not None:
        for each in callers:
            caller = context.party(each.cluster)
            identity = issue(ca_certs(caller).signer, caller.identity(called_account(each)))
            if request(cluster.endpoint, address, identity).status:
                held.append(f"{address} accepts {identity.uri} at TLS, issued by {each.cluster}, which is revoked")
        _must_answer(context, cluster, export, address)
    if held:
        return failed("; ".join(dict.fromkeys(held)), REPAIR)
    if not proxies and not callers:
        return not_applicable("no pod of it runs, and nothing that may call it is revoked")
    return passed(f"{len(callers)} revoked clusters refused, {len(names)} revoked authorities in no proxy")


def _distrusted(context: Context) -> frozenset[str]:
    return frozenset(each.cluster for each in context.federation.trust.revoked if each.cluster)
