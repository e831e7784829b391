"""Checks of refusals: every gateway and every pod refuses the callers that the stack file does not admit.

To call as an identity that must be refused, a check issues a certificate for ten minutes with a cluster's own
authority, read from its `cacerts`. A check passes only if an admitted caller gets through as well.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial

from mesh_federation.plan import gateway_addresses
from mesh_federation.plan.exports import ExportPlan, principal
from mesh_federation.stack.config import Consumer, NamespacedName, Port, Protocol
from mesh_federation.verify.cacerts import ca_certs
from mesh_federation.verify.certificates import Identity, issue, stranger
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.curl import call
from mesh_federation.verify.gateway_endpoint import ServiceAddress, presented_certificate, request
from mesh_federation.verify.objects import EndpointSlice, PeerAuthentication, Pod
from mesh_federation.verify.parallel import map_parallel
from mesh_federation.verify.proxy import Proxy
from mesh_federation.verify.simulated import skip_if_simulated
from mesh_federation.verify.verdict import Inconclusive, NotApplicable, Verdict, failed, not_applicable, passed

NOBODY = NamespacedName("mesh-federation-verify", "nobody")
"""An account that no export admits."""
UNKNOWN_DOMAIN = "verify.mesh.invalid"
"""A trust domain that no cluster has."""
POLICY = "./mesh up --refresh restores the AuthorizationPolicy of the export"
STRICT = "./mesh up --refresh restores the PeerAuthentication; look for one that is PERMISSIVE or DISABLE"
SEE_FIRST = "see the checks of exports, trust and traffic first"
SEPARATE = "separate the pod networks with a firewall or network policies; see docs/trust.md for the limits of policies"
AGENT_PORT = 15020
"""Port of pilot-agent, which proxies do not intercept. On 15021 the caller's own proxy answers (istio/istio#36040)."""
MOST_TRIED = 3
"""Pods of a cluster that are tried; each unreachable one takes seconds."""
BLACK_HOLE = "BlackHoleCluster"
"""Envoy's upstream for blocked connections."""
RESET = r"error trying to reach service:.*(reset|EOF|broken pipe)"
"""Pattern of the API server's error when a pod closes a plaintext connection."""
UNREACHABLE = r"error trying to reach service: dial|timeout|deadline|unable to connect|forbidden"


def checks(context: Context) -> Iterator[Check]:
    """Return the checks of every export, of every cluster, and of every egress gateway."""
    for cluster, export in context.exports():
        what = f"{cluster.name}: {export.export.service} refuses"
        for name, description, run in (
            ("undeclared", "accounts that the export does not admit", undeclared),
            ("ports", "admitted accounts on every port that it does not list", ports),
            ("other-mesh", "accounts of the same name in any other mesh", other_mesh),
            ("unknown-root", "certificates of an untrusted root", unknown_root),
            ("plaintext", "calls without mutual TLS", plaintext),
        ):
            check = skip_if_simulated(cluster, partial(run, context, cluster, export))
            yield Check(f"refusals.{name}", (export.export.path,), f"{what} {description}", check)
    for cluster in context.signing:
        description = f"{cluster.name}: no PeerAuthentication admits calls without mutual TLS"
        yield Check("refusals.strict", (cluster.path,), description, partial(strict, cluster))
    for cluster in context.clusters.values():
        description = f"{cluster.name}: no pod of another cluster reaches its pods directly, without the gateway"
        yield Check(
            "refusals.direct",
            (cluster.path,),
            description,
            skip_if_simulated(cluster, partial(direct, context, cluster)),
        )
    for cluster in context.clusters.values():
        if cluster.plan.egress is not None:
            description = f"{cluster.name}: proxies of callers block every route that avoids the egress gateway"
            about = tuple(path for link in cluster.plan.imports for path in context.paths(link))
            yield Check(
                "refusals.bypass", about, description, skip_if_simulated(cluster, partial(bypass, context, cluster))
            )


def undeclared(context: Context, cluster: ClusterUnderTest, export: ExportPlan) -> Verdict:
    """Call as an account of an importing cluster that the export does not admit."""
    named = [consumer for consumer in export.export.to if consumer.service_accounts is not None]
    if not named:
        return not_applicable("the export admits every workload of its consumers")
    address = first_address(export)
    if address is None:
        return not_applicable("no port of it speaks HTTP/1")
    tried = [_as(context.party(consumer.cluster), NOBODY) for consumer in named]
    return _all_refused(context, cluster, address, tried, named[0])


def ports(context: Context, cluster: ClusterUnderTest, export: ExportPlan) -> Verdict:
    """Call as an admitted caller on ports of the Service that the export does not list, whatever their protocol."""
    service, consumers = export.export.service, export.export.to
    if export.export.service_host not in export.hosts:
        return not_applicable("it is exported only by its global host, which has no other ports")
    running = cluster.kubectl.service(service.namespace, service.name)
    if running is None or not consumers:
        return not_applicable(f"there is no Service {service}" if consumers else "the export admits no account")
    declared = {port.number for port in export.export.ports}
    leads = {each.name: each.port for slices in _slices(cluster, service) for each in slices.ports}
    others = [
        ServiceAddress(export.export.service_host, each.port)
        for each in running.spec.ports
        if each.protocol == "TCP" and each.port not in declared and leads.get(each.name) not in export.targets
    ]
    if not others:
        return passed("the Service has no other port that leads to other ports of its pods")
    caller = _as(context.party(consumers[0].cluster), called_account(consumers[0]))
    responses = [(address, request(cluster.endpoint, address, caller)) for address in others]
    _must_be_open(context, cluster, export)
    if through := [f"{to}: {caller.uri} {got.description}" for to, got in responses if not got.is_refused]:
        return failed("; ".join(through), POLICY)
    return passed(f"{len(responses)} refused", **{str(to): got.detail for to, got in responses})


def _slices(cluster: ClusterUnderTest, service: NamespacedName) -> list[EndpointSlice]:
    return cluster.kubectl.get_all(
        EndpointSlice, "endpointslices.discovery.k8s.io", f"--namespace={service.namespace}",
        f"--selector=kubernetes.io/service-name={service.name}",
    )  # fmt: skip


def _must_be_open(context: Context, cluster: ClusterUnderTest, export: ExportPlan) -> None:
    """Require that an exported port is open to admitted callers; without HTTP, that it presents its certificate.

    Raises:
        Inconclusive: it is not.
    """
    address = first_address(export)
    if address is not None:
        _must_admit(context, cluster, address, export.export.to[0])
        return
    must_present(cluster, ServiceAddress(export.export.service_host, export.export.ports[0].number))


def must_present(cluster: ClusterUnderTest, address: ServiceAddress) -> None:
    """See that a service can be reached through its gateway.

    Raises:
        Inconclusive: it cannot.
    """
    if presented_certificate(cluster.endpoint, address) is None:
        raise Inconclusive(
            f"{cluster.endpoint} presents no certificate for {address}, so that a refusal proves nothing", SEE_FIRST
        )


def strict(cluster: ClusterUnderTest) -> Verdict:
    """Look for any PeerAuthentication that admits plaintext: Istio applies the narrowest, not the strictest."""
    found = cluster.kubectl.listed(PeerAuthentication, "peerauthentications.security.istio.io")
    if opened := [
        f"{each.metadata.reference} has {' and '.join(each.permissive)}" for each in found if each.permissive
    ]:
        return failed("; ".join(opened), STRICT)
    return passed(f"{len(found)} examined: {', '.join(str(each.metadata.reference) for each in found)}")


def direct(context: Context, cluster: ClusterUnderTest) -> Verdict:
    """Call pods of this cluster by their addresses from clusters of other networks."""
    network = cluster.plan.declared.network
    others = [each for each in context.clusters.values() if each is not cluster and not each.is_simulated]
    remote = [each for each in others if each.plan.declared.network != network]
    if others and not remote:
        return not_applicable(f"all clusters are declared on one network, {network}, on which pods reach each other")
    tried = [pair for other in remote for pair in _pairs(cluster, other)]
    if not tried:
        return not_applicable("no other cluster has a calling pod, or this one has no pod to call")
    results = map_parallel(lambda pair: _reaches(*pair), tried)
    if reached := [f"{other.name} reaches {pod.title} by its address" for (other, pod), reaches in results if reaches]:
        return failed("; ".join(reached), SEPARATE)
    return passed(f"{len(tried)} addresses were tried, none answers")


def _pairs(cluster: ClusterUnderTest, other: ClusterUnderTest) -> list[tuple[ClusterUnderTest, Pod]]:
    """Pair another cluster that has callers with pods of this one; skip addresses that its own pods have too."""
    taken = {pod.status.pod_ip for pod in other.kubectl.pods()}
    pods = [each.pod for each in cluster.proxies_of(None) if each.pod.status.pod_ip not in ("", *taken)]
    return [(other, pod) for pod in pods[:MOST_TRIED]] if other.proxies_of(None) else []


def _reaches(other: ClusterUnderTest, pod: Pod) -> bool:
    """Return whether a pod of another cluster reaches a pod's agent.

    Raises:
        NotApplicable: no pod there has curl.
    """
    for caller in other.proxies_of(None):
        try:
            return call(caller, f"http://{pod.status.pod_ip}:{AGENT_PORT}/healthz/ready", 1)[0].status == 200
        except NotApplicable:
            continue
    raise NotApplicable(f"no pod of {other.name} has curl; the sample `sleep` has")


def other_mesh(context: Context, cluster: ClusterUnderTest, export: ExportPlan) -> Verdict:
    """Call as an account of an admitted name from other meshes."""
    address = first_address(export)
    named = [consumer for consumer in export.export.to if consumer.service_accounts]
    if address is None or not named:
        return not_applicable("the export names no account, or no port of it speaks HTTP/1")
    tried = [each for consumer in named for each in _namesakes(context, cluster, export, consumer)]
    return _all_refused(context, cluster, address, tried, named[0])


def _namesakes(
    context: Context, cluster: ClusterUnderTest, export: ExportPlan, consumer: Consumer
) -> Iterator[Identity]:
    """Issue identities of an admitted name in every trust domain that is not admitted, and in an unknown one."""
    for account in consumer.service_accounts or ():
        for other in context.clusters.values():
            names = {f"{other.trust_domain}/*", principal(other.trust_domain, account)}
            if names.isdisjoint({f"{cluster.trust_domain}/*", *export.allowed}):
                yield _as(other, account)
        yield issue(ca_certs(context.party(consumer.cluster)).signer, f"spiffe://{principal(UNKNOWN_DOMAIN, account)}")


def unknown_root(context: Context, cluster: ClusterUnderTest, export: ExportPlan) -> Verdict:
    """Call as an admitted caller with a certificate of an untrusted root."""
    address = first_address(export)
    if address is None or not export.export.to:
        return not_applicable("the export admits no account, or no port of it speaks HTTP/1")
    consumer = export.export.to[0]
    fake = issue(stranger(), context.party(consumer.cluster).identity(called_account(consumer)))
    response = request(cluster.endpoint, address, fake)
    _must_admit(context, cluster, address, consumer)
    if response.status:
        hint = f"{cluster.name} must trust only the declared roots: see trust.cacerts and trust.workloads"
        return failed(f"{fake.uri} of an unknown root {response.description}", hint)
    return passed(f"{fake.uri} of an unknown root: {response.detail}")


def plaintext(context: Context, cluster: ClusterUnderTest, export: ExportPlan) -> Verdict:
    """Call the service's pods through the API server, which has no certificate of the mesh."""
    if (mesh := cluster.plan.declared.observed) and mesh.mutual_tls != "STRICT":
        return not_applicable(f"the owner of {cluster.name} admits calls without mutual TLS inside of the cluster")
    slices = _slices(cluster, export.export.service)
    numbers = sorted({port.port for each in slices for port in each.ports if port.port})
    pods = [each.pod for each in cluster.proxies_of(export.export.identity)]
    if not pods or not numbers:
        return not_applicable(f"no pod of {export.export.service} runs in the mesh")
    for pod in pods:
        control = cluster.kubectl.get_raw(_path(pod, 15021, "healthz/ready"))
        if control.returncode:
            raise Inconclusive(
                f"{cluster.name}: the API server does not reach {pod.title}: {control.stderr}",
                "allow pods/proxy to these credentials, and traffic from the API server to the pods",
            )
        for number in numbers:
            if not _resets(cluster, pod, number):
                return failed(f"{pod.title} answers on port {number} without mutual TLS", STRICT)
    return passed(f"{', '.join(each.title for each in pods)}, port {', '.join(map(str, numbers))}: reset")


def _resets(cluster: ClusterUnderTest, pod: Pod, port: int) -> bool:
    """Return whether a pod closes a plaintext connection.

    Raises:
        Inconclusive: the connection does not reach the pod.
    """
    done = cluster.kubectl.get_raw(_path(pod, port, ""))
    if re.search(RESET, done.stderr):
        return True
    if done.returncode and re.search(UNREACHABLE, done.stderr, re.IGNORECASE):
        raise Inconclusive(f"{cluster.name}: {pod.title} could not be called: {done.stderr}", "./mesh doctor")
    return False


def _path(pod: Pod, port: int, path: str) -> str:
    return f"/api/v1/namespaces/{pod.metadata.namespace}/pods/{pod.metadata.name}:{port}/proxy/{path}"


def bypass(context: Context, cluster: ClusterUnderTest) -> Verdict:
    """Examine where callers' proxies send unknown destinations, and whether any has a direct endpoint of a gateway."""
    assert cluster.plan.egress is not None
    confined = cluster.plan.egress.confined
    everyone = cluster.plan.declared.root_namespace in confined
    callers = [each for each in cluster.proxies_of(None) if everyone or each.pod.metadata.namespace in confined]
    if not callers:
        return not_applicable(f"no caller runs in {', '.join(confined)}")
    only_egress = {source.cluster for link in cluster.plan.imports for source in link.sources if source.via_egress} - {
        source.cluster for link in cluster.plan.imports for source in link.sources if not source.via_egress
    }
    others = [context.party(name) for name in only_egress]
    gateways = {
        gateway_addresses.with_port(address, each.plan.declared.gateway.port)
        for each in others for address in each.output.gateway
    }  # fmt: skip
    wrong = [
        f"{each.pod.title} sends unknown destinations to {known.upstream_of_unknown or 'an unknown upstream'}"
        for each, known in map_parallel(Proxy.listeners, callers) if known.upstream_of_unknown != BLACK_HOLE
    ]  # fmt: skip
    wrong += [
        f"{each.pod.title} has the endpoint {endpoint.where} of {upstream.name}"
        for each, known in map_parallel(Proxy.upstreams, callers)
        for upstream in known.upstreams for endpoint in upstream.endpoints if endpoint.where in gateways
    ]  # fmt: skip
    if wrong:
        return failed("; ".join(wrong), "./mesh up --refresh restores the Sidecar and the imports")
    return passed(f"{', '.join(each.pod.title for each in callers)}: {BLACK_HOLE}", blocked=", ".join(sorted(gateways)))


def first_address(export: ExportPlan) -> ServiceAddress | None:
    """Return the address of the first port that speaks HTTP/1."""
    port: Port | None = next((each for each in export.export.ports if each.protocol is Protocol.HTTP), None)
    return ServiceAddress(export.hosts[0], port.number) if port else None


def called_account(consumer: Consumer) -> NamespacedName:
    """Return an admitted account; if all are admitted, any."""
    return (consumer.service_accounts or (NOBODY,))[0]


def _as(cluster: ClusterUnderTest, account: NamespacedName) -> Identity:
    return issue(ca_certs(cluster).signer, cluster.identity(account))


def _must_admit(context: Context, cluster: ClusterUnderTest, address: ServiceAddress, consumer: Consumer) -> None:
    """See that a declared caller gets through: an endpoint that is closed to all refuses nobody.

    Where others have its authority, it must be enough that the endpoint presents its certificate.

    Raises:
        Inconclusive: it does not.
    """
    if not context.party(consumer.cluster).has_authority:
        must_present(cluster, address)
        return
    response = request(cluster.endpoint, address, _as(context.party(consumer.cluster), called_account(consumer)))
    if not response.is_admitted:
        raise Inconclusive(
            f"{address} at {cluster.endpoint} refuses the admitted caller too ("
            f"{response.status or 'connection closed'}: {response.detail}), so that a refusal proves nothing",
            SEE_FIRST,
        )


def _all_refused(
    context: Context, cluster: ClusterUnderTest, address: ServiceAddress, tried: Sequence[Identity], admitted: Consumer
) -> Verdict:
    """Call under identities that must be refused, and under one that must be admitted."""
    responses = [(each, request(cluster.endpoint, address, each)) for each in tried]
    _must_admit(context, cluster, address, admitted)
    through = [f"{who.uri} {got.description}" for who, got in responses if not got.is_refused]
    if through:
        return failed(f"{address}: {'; '.join(through)}", POLICY)
    return passed(
        f"{len(responses)} refused", **{who.uri: f"{got.status or 'closed'}: {got.detail}" for who, got in responses}
    )
