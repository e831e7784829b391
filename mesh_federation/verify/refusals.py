"""Checks of refusals: whoever the model does not admit is turned away, by every door.

Callers that should not exist are made for the occasion: with a cluster's own authority, out of its `cacerts`, a
certificate for ten minutes is issued to the identity that is to be refused. Each check first shows that the door is
open to somebody, so that a refusal means something.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial

from mesh_federation.plan import gateway_addresses
from mesh_federation.plan.istio_values import NAMESPACE
from mesh_federation.plan.routing import ExportPlan, principal
from mesh_federation.stack.config import Consumer, NamespacedName, Port, Protocol
from mesh_federation.verify.cacerts import held
from mesh_federation.verify.certificates import Identity, issue, stranger
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.curl import call
from mesh_federation.verify.gateway_endpoint import Asked, request, shown
from mesh_federation.verify.objects import PeerAuthentication, Pod, Service, Slices
from mesh_federation.verify.parallel import together
from mesh_federation.verify.proxy import Proxy
from mesh_federation.verify.simulated import on_pods
from mesh_federation.verify.verdict import Inconclusive, NotApplicable, Verdict, failed, not_applicable, passed

NOBODY = NamespacedName("mesh-federation-verify", "nobody")
"""An account that no export names."""
NOWHERE = "verify.mesh.invalid"
"""A trust domain that no cluster has."""
POLICY = "./mesh up --refresh puts the export's AuthorizationPolicy back"
STRICT = "./mesh up --refresh puts the PeerAuthentication back; look for one that is PERMISSIVE or DISABLE"
SHOWN = "see the checks of exports, trust and traffic first"
APART = "part the pod networks, by a firewall or by network policies: docs/trust.md says what policies alone hold"
AGENT_PORT = 15020
"""Of pilot-agent, which no proxy takes inbound. On 15021 the caller's own proxy answers for all (istio/istio#36040)."""
MOST_TRIED = 3
"""Pods of a cluster whose addresses are tried; each that is out of reach takes seconds."""
BLACK_HOLE = "BlackHoleCluster"
"""Envoy's name for where connections go that lead nowhere."""
RESET = r"error trying to reach service:.*(reset|EOF|broken pipe)"
"""How the API server says that a pod ended a connection in plaintext."""
UNREACHED = r"error trying to reach service: dial|timeout|deadline|unable to connect|forbidden"


def checks(scene: Context) -> Iterator[Check]:
    """Plan the checks of every export, and of every cluster with an egress gateway."""
    for site, offer in scene.exports():
        what = f"{site.name}: {offer.export.service} refuses"
        for name, proves, judge in (
            ("undeclared", "accounts that the export does not name", undeclared),
            ("ports", "those that it names, on every port that it does not list", ports),
            ("other-mesh", "the accounts that it names, in any other mesh", other_mesh),
            ("unknown-root", "certificates of a root that nobody trusts", unknown_root),
            ("plaintext", "calls without mutual TLS", plaintext),
        ):
            seen = on_pods(site, partial(judge, scene, site, offer))
            yield Check(f"refusals.{name}", (offer.export.path,), f"{what} {proves}", seen)
    for site in scene.sites.values():
        proves = f"{site.name}: no PeerAuthentication lets calls in without mutual TLS"
        yield Check("refusals.strict", (site.path,), proves, partial(strict, site))
    for site in scene.sites.values():
        proves = f"{site.name}: no pod of another cluster reaches its pods past the gateway"
        yield Check("refusals.direct", (site.path,), proves, on_pods(site, partial(direct, scene, site)))
    for site in scene.sites.values():
        if site.plan.egress is not None:
            proves = f"{site.name}: proxies of callers lead past the egress gateway to nowhere"
            about = tuple(path for link in site.plan.imports for path in scene.paths(link))
            yield Check("refusals.bypass", about, proves, on_pods(site, partial(bypass, scene, site)))


def undeclared(scene: Context, site: ClusterUnderTest, offer: ExportPlan) -> Verdict:
    """Call as an account of an importing cluster that the export does not name."""
    named = [consumer for consumer in offer.export.to if consumer.service_accounts is not None]
    if not named:
        return not_applicable("the export admits every workload of its consumers")
    asked = _asked(offer)
    if asked is None:
        return not_applicable("no port of it speaks HTTP/1, and nothing else is called from outside")
    tried = [_as(scene.sites[consumer.cluster], NOBODY) for consumer in named]
    return _all_refused(scene, site, asked, tried, named[0])


def ports(scene: Context, site: ClusterUnderTest, offer: ExportPlan) -> Verdict:
    """Call as a declared caller on ports of the Service that the export does not list, whatever they speak."""
    service, consumers = offer.export.service, offer.export.to
    if service.host not in offer.hosts:
        return not_applicable("it is offered by its global host alone, which has no other ports")
    found = site.cluster.one(Service, "service", service.name, service.namespace)
    if found is None or not consumers:
        return not_applicable(f"there is no Service {service}" if consumers else "the export admits nobody")
    declared = {port.number for port in offer.export.ports}
    leads = {each.name: each.port for slices in _slices(site, service) for each in slices.ports}
    others = [
        Asked(service.host, each.port)
        for each in found.spec.ports
        if each.protocol == "TCP" and each.port not in declared and leads.get(each.name) not in offer.targets
    ]
    if not others:
        return passed("no port of the Service leads to another port of its pods than those that are exported")
    caller = _as(scene.sites[consumers[0].cluster], _caller(consumers[0]))
    answers = [(asked, request(site.door, asked, caller)) for asked in others]
    _must_be_open(scene, site, offer)
    if through := [f"{asked}: {caller.uri} {answer.told}" for asked, answer in answers if not answer.is_refused]:
        return failed("; ".join(through), POLICY)
    return passed(f"{len(answers)} refused", **{str(asked): answer.said for asked, answer in answers})


def _slices(site: ClusterUnderTest, service: NamespacedName) -> list[Slices]:
    return site.cluster.listed(
        Slices, "endpointslices.discovery.k8s.io", f"--namespace={service.namespace}",
        f"--selector=kubernetes.io/service-name={service.name}",
    )  # fmt: skip


def _must_be_open(scene: Context, site: ClusterUnderTest, offer: ExportPlan) -> None:
    """Make sure that an exported port is there for declared callers; one that speaks no HTTP at least shows itself.

    Raises:
        Unseen: it is not.
    """
    asked = _asked(offer)
    if asked is not None:
        _must_admit(scene, site, asked, offer.export.to[0])
        return
    asked = Asked(offer.export.service.host, offer.export.ports[0].number)
    if shown(site.door, asked) is None:
        raise Inconclusive(f"{site.door} shows no certificate for {asked}, so nothing follows from a refusal", SHOWN)


def strict(site: ClusterUnderTest) -> Verdict:
    """Look for what lets calls in without mutual TLS, whoever made it: Istio takes the narrowest, not the strictest."""
    found = site.cluster.listed(PeerAuthentication, "peerauthentications.security.istio.io", "--all-namespaces")
    if opened := [f"{each.metadata.reference} says {' and '.join(each.lets_in)}" for each in found if each.lets_in]:
        return failed("; ".join(opened), STRICT)
    return passed(f"{len(found)} looked at: {', '.join(str(each.metadata.reference) for each in found)}")


def direct(scene: Context, site: ClusterUnderTest) -> Verdict:
    """Ask proxies of this cluster, by their pods' addresses, from callers in clusters of other networks."""
    network = site.plan.declared.network
    others = [each for each in scene.sites.values() if each is not site and not each.is_simulated]
    parted = [each for each in others if each.plan.declared.network != network]
    if others and not parted:
        return not_applicable(f"all are declared to be on one network, {network}: their pods reach each other")
    tried = [way for other in parted for way in _ways(site, other)]
    if not tried:
        return not_applicable("no other cluster has a pod to call from, or this one none to be called")
    answers = together(lambda way: _reaches(*way), tried)
    if reached := [f"{other.name} reaches {pod.title} by its address" for (other, pod), reaches in answers if reaches]:
        return failed("; ".join(reached), APART)
    return passed(f"{len(tried)} addresses were tried, none answers")


def _ways(site: ClusterUnderTest, other: ClusterUnderTest) -> list[tuple[ClusterUnderTest, Pod]]:
    """Return another cluster that has callers with each of some pods here, whose addresses no pod there has."""
    taken = {pod.status.pod_ip for pod in other.cluster.pods()}
    pods = [each.pod for each in site.proxies_of(None) if each.pod.status.pod_ip not in ("", *taken)]
    return [(other, pod) for pod in pods[:MOST_TRIED]] if other.proxies_of(None) else []


def _reaches(other: ClusterUnderTest, pod: Pod) -> bool:
    """Ask a pod's agent whether it is ready, from a pod of another cluster.

    Raises:
        NotApplicable: no pod there has anything to ask with.
    """
    for caller in other.proxies_of(None):
        try:
            return call(caller, f"http://{pod.status.pod_ip}:{AGENT_PORT}/healthz/ready", 1)[0].status == 200
        except NotApplicable:
            continue
    raise NotApplicable(f"no pod of {other.name} has curl to call with; a sample `sleep` has")


def other_mesh(scene: Context, site: ClusterUnderTest, offer: ExportPlan) -> Verdict:
    """Call as an account of the same name as a named one, out of other meshes."""
    asked = _asked(offer)
    named = [consumer for consumer in offer.export.to if consumer.service_accounts]
    if asked is None or not named:
        return not_applicable("the export names no account, or no port of it speaks HTTP/1")
    tried = [each for consumer in named for each in _namesakes(scene, site, offer, consumer)]
    return _all_refused(scene, site, asked, tried, named[0])


def _namesakes(scene: Context, site: ClusterUnderTest, offer: ExportPlan, consumer: Consumer) -> Iterator[Identity]:
    """Issue a named account's name in each trust domain that is not admitted, and in one that nobody has."""
    for account in consumer.service_accounts or ():
        for other in scene.sites.values():
            names = {f"{other.trust_domain}/*", principal(other.trust_domain, account)}
            if names.isdisjoint({f"{site.trust_domain}/*", *offer.allowed}):
                yield _as(other, account)
        yield issue(held(scene.sites[consumer.cluster]).signer, f"spiffe://{principal(NOWHERE, account)}")


def unknown_root(scene: Context, site: ClusterUnderTest, offer: ExportPlan) -> Verdict:
    """Call as a declared caller whose certificate comes from a root that nobody trusts."""
    asked = _asked(offer)
    if asked is None or not offer.export.to:
        return not_applicable("the export admits nobody, or no port of it speaks HTTP/1")
    consumer = offer.export.to[0]
    fake = issue(stranger(), scene.sites[consumer.cluster].identity(_caller(consumer)))
    answer = request(site.door, asked, fake)
    _must_admit(scene, site, asked, consumer)
    if answer.status:
        hint = f"{site.name} must trust the declared roots alone: see trust.cacerts and trust.workloads"
        return failed(f"{fake.uri} of an unknown root {answer.told}", hint)
    return passed(f"{fake.uri} of an unknown root: {answer.said}")


def plaintext(scene: Context, site: ClusterUnderTest, offer: ExportPlan) -> Verdict:
    """Let the API server, which has no certificate of the mesh, call the service's pods."""
    slices = _slices(site, offer.export.service)
    numbers = sorted({port.port for each in slices for port in each.ports if port.port})
    behind = [each.pod for each in site.proxies_of(offer.export.identity)]
    if not behind or not numbers:
        return not_applicable(f"no pod of {offer.export.service} runs in the mesh")
    for pod in behind:
        control = site.cluster.raw(_path(pod, 15021, "healthz/ready"))
        if control.code:
            raise Inconclusive(
                f"{site.name}: the API server does not reach {pod.title}: {control.error}",
                "allow pods/proxy to these credentials, and the API server's way to the pods",
            )
        for number in numbers:
            if not _resets(site, pod, number):
                return failed(f"{pod.title} answers on port {number} without mutual TLS", STRICT)
    return passed(f"{', '.join(each.title for each in behind)}, port {', '.join(map(str, numbers))}: reset")


def _resets(site: ClusterUnderTest, pod: Pod, port: int) -> bool:
    """Say whether a pod ends a connection in plaintext.

    Raises:
        Unseen: the connection does not come to the pod.
    """
    done = site.cluster.raw(_path(pod, port, ""))
    if re.search(RESET, done.error):
        return True
    if done.code and re.search(UNREACHED, done.error, re.IGNORECASE):
        raise Inconclusive(f"{site.name}: {pod.title} could not be asked: {done.error}", "./mesh doctor")
    return False


def _path(pod: Pod, port: int, path: str) -> str:
    return f"/api/v1/namespaces/{pod.metadata.namespace}/pods/{pod.metadata.name}:{port}/proxy/{path}"


def bypass(scene: Context, site: ClusterUnderTest) -> Verdict:
    """Look where proxies of callers send what the mesh does not know, and whether any leads to another's gateway."""
    assert site.plan.egress is not None
    confined = site.plan.egress.confined
    everyone = NAMESPACE in confined
    callers = [each for each in site.proxies_of(None) if everyone or each.pod.metadata.namespace in confined]
    if not callers:
        return not_applicable(f"no caller runs in {', '.join(confined)}")
    left = {source.cluster for link in site.plan.imports for source in link.sources if source.via_egress} - {
        source.cluster for link in site.plan.imports for source in link.sources if not source.via_egress
    }
    others = [scene.sites[name] for name in left]
    gateways = {
        gateway_addresses.with_port(address, each.plan.declared.gateway.port)
        for each in others for address in each.running.gateway
    }  # fmt: skip
    wrong = [
        f"{each.pod.title} sends what the mesh does not know to {known.unknown_goes_to or 'an unknown place'}"
        for each, known in together(Proxy.listeners, callers) if known.unknown_goes_to != BLACK_HOLE
    ]  # fmt: skip
    wrong += [
        f"{each.pod.title} leads to {endpoint.where} for {upstream.name}"
        for each, known in together(Proxy.upstreams, callers)
        for upstream in known.upstreams for endpoint in upstream.endpoints if endpoint.where in gateways
    ]  # fmt: skip
    if wrong:
        return failed("; ".join(wrong), "./mesh up --refresh puts the Sidecar and the imports back")
    return passed(
        f"{', '.join(each.pod.title for each in callers)}: {BLACK_HOLE}", unreached=", ".join(sorted(gateways))
    )


def _asked(offer: ExportPlan) -> Asked | None:
    """Return what to ask for: the first port that a plain request can be made of."""
    port: Port | None = next((each for each in offer.export.ports if each.protocol is Protocol.HTTP), None)
    return Asked(offer.hosts[0], port.number) if port else None


def _caller(consumer: Consumer) -> NamespacedName:
    """Return an account that is admitted; where all are, any will do."""
    return (consumer.service_accounts or (NOBODY,))[0]


def _as(site: ClusterUnderTest, account: NamespacedName) -> Identity:
    return issue(held(site).signer, site.identity(account))


def _must_admit(scene: Context, site: ClusterUnderTest, asked: Asked, consumer: Consumer) -> None:
    """See that a declared caller gets through: a door that is closed to all refuses nobody.

    Raises:
        Unseen: it does not.
    """
    answer = request(site.door, asked, _as(scene.sites[consumer.cluster], _caller(consumer)))
    if not answer.is_answer:
        raise Inconclusive(
            f"{asked} at {site.door} refuses the declared caller too ({answer.status or 'connection ended'}:"
            f" {answer.said}), so nothing follows from a refusal",
            SHOWN,
        )


def _all_refused(
    scene: Context, site: ClusterUnderTest, asked: Asked, tried: Sequence[Identity], admitted: Consumer
) -> Verdict:
    """Call under identities that must be refused, and under one that must not."""
    answers = [(each, request(site.door, asked, each)) for each in tried]
    _must_admit(scene, site, asked, admitted)
    through = [f"{who.uri} {answer.told}" for who, answer in answers if not answer.is_refused]
    if through:
        return failed(f"{asked}: {'; '.join(through)}", POLICY)
    return passed(
        f"{len(answers)} refused", **{who.uri: f"{answer.status or 'ended'}: {answer.said}" for who, answer in answers}
    )
