"""Checks of refusals: whoever the model does not admit is turned away, by every door.

Callers that should not exist are made for the occasion: with a cluster's own authority, out of its `cacerts`, a
certificate for ten minutes is issued to the identity that is to be refused. Each check first shows that the door is
open to somebody, so that a refusal means something.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial

from checks.cacerts import held
from checks.certificates import Identity, issue, stranger
from checks.check import Check
from checks.objects import Pod, Slices
from checks.on_pods import on_pods
from checks.outside import Asked, request
from checks.proxy import Proxy
from checks.scene import Scene, Site
from checks.together import together
from checks.verdict import Unseen, Verdict, failed, not_applicable, passed
from model import reach
from model.config import Consumer, NamespacedName, Port, Protocol
from model.mesh import NAMESPACE
from model.routing import ExportPlan, principal

NOBODY = NamespacedName("mesh-federation-verify", "nobody")
"""An account that no export names."""
NOWHERE = "verify.mesh.invalid"
"""A trust domain that no cluster has."""
POLICY = "./mesh up --refresh puts the export's AuthorizationPolicy back"
STRICT = "./mesh up --refresh puts the PeerAuthentication back; look for one that is PERMISSIVE or DISABLE"
BLACK_HOLE = "BlackHoleCluster"
"""Envoy's name for where connections go that lead nowhere."""
RESET = r"error trying to reach service:.*(reset|EOF|broken pipe)"
"""How the API server says that a pod ended a connection in plaintext."""
UNREACHED = r"error trying to reach service: dial|timeout|deadline|unable to connect|forbidden"


def checks(scene: Scene) -> Iterator[Check]:
    """Plan the checks of every export, and of every cluster with an egress gateway."""
    for site, offer in scene.exports():
        what = f"{site.name}: {offer.export.service} refuses"
        for name, proves, judge in (
            ("undeclared", "accounts that the export does not name", undeclared),
            ("other-mesh", "the accounts that it names, in any other mesh", other_mesh),
            ("unknown-root", "certificates of a root that nobody trusts", unknown_root),
            ("plaintext", "calls without mutual TLS", plaintext),
        ):
            seen = on_pods(site, partial(judge, scene, site, offer))
            yield Check(f"refusals.{name}", (offer.export.path,), f"{what} {proves}", seen)
    for site in scene.sites.values():
        if site.plan.egress is not None:
            proves = f"{site.name}: proxies of callers lead past the egress gateway to nowhere"
            about = tuple(path for link in site.plan.imports for path in scene.paths(link))
            yield Check("refusals.bypass", about, proves, on_pods(site, partial(bypass, scene, site)))


def undeclared(scene: Scene, site: Site, offer: ExportPlan) -> Verdict:
    """Call as an account of an importing cluster that the export does not name."""
    named = [consumer for consumer in offer.export.to if consumer.service_accounts is not None]
    if not named:
        return not_applicable("the export admits every workload of its consumers")
    asked = _asked(offer)
    if asked is None:
        return not_applicable("no port of it speaks HTTP/1, and nothing else is called from outside")
    tried = [_as(scene.sites[consumer.cluster], NOBODY) for consumer in named]
    return _all_refused(scene, site, asked, tried, named[0])


def other_mesh(scene: Scene, site: Site, offer: ExportPlan) -> Verdict:
    """Call as an account of the same name as a named one, out of other meshes."""
    asked = _asked(offer)
    named = [consumer for consumer in offer.export.to if consumer.service_accounts]
    if asked is None or not named:
        return not_applicable("the export names no account, or no port of it speaks HTTP/1")
    tried = [each for consumer in named for each in _namesakes(scene, site, offer, consumer)]
    return _all_refused(scene, site, asked, tried, named[0])


def _namesakes(scene: Scene, site: Site, offer: ExportPlan, consumer: Consumer) -> Iterator[Identity]:
    """Issue a named account's name in each trust domain that is not admitted, and in one that nobody has."""
    for account in consumer.service_accounts or ():
        for other in scene.sites.values():
            names = {f"{other.trust_domain}/*", principal(other.trust_domain, account)}
            if names.isdisjoint({f"{site.trust_domain}/*", *offer.allowed}):
                yield _as(other, account)
        yield issue(held(scene.sites[consumer.cluster]).signer, f"spiffe://{principal(NOWHERE, account)}")


def unknown_root(scene: Scene, site: Site, offer: ExportPlan) -> Verdict:
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
        return failed(f"{fake.uri} of an unknown root is answered with {answer.status}", hint)
    return passed(f"{fake.uri} of an unknown root: {answer.said}")


def plaintext(scene: Scene, site: Site, offer: ExportPlan) -> Verdict:
    """Let the API server, which has no certificate of the mesh, call the service's pods."""
    slices = site.cluster.listed(
        Slices, "endpointslices.discovery.k8s.io", f"--namespace={offer.export.service.namespace}",
        f"--selector=kubernetes.io/service-name={offer.export.service.name}",
    )  # fmt: skip
    numbers = sorted({port.port for each in slices for port in each.ports if port.port})
    behind = [each.pod for each in site.proxies_of(offer.export.identity)]
    if not behind or not numbers:
        return not_applicable(f"no pod of {offer.export.service} runs in the mesh")
    for pod in behind:
        control = site.cluster.raw(_path(pod, 15021, "healthz/ready"))
        if control.code:
            raise Unseen(
                f"{site.name}: the API server does not reach {pod.title}: {control.error}",
                "allow pods/proxy to these credentials, and the API server's way to the pods",
            )
        for number in numbers:
            if not _resets(site, pod, number):
                return failed(f"{pod.title} answers on port {number} without mutual TLS", STRICT)
    return passed(f"{', '.join(each.title for each in behind)}, port {', '.join(map(str, numbers))}: reset")


def _resets(site: Site, pod: Pod, port: int) -> bool:
    """Say whether a pod ends a connection in plaintext.

    Raises:
        Unseen: the connection does not come to the pod.
    """
    done = site.cluster.raw(_path(pod, port, ""))
    if re.search(RESET, done.error):
        return True
    if done.code and re.search(UNREACHED, done.error, re.IGNORECASE):
        raise Unseen(f"{site.name}: {pod.title} could not be asked: {done.error}", "./mesh doctor")
    return False


def _path(pod: Pod, port: int, path: str) -> str:
    return f"/api/v1/namespaces/{pod.metadata.namespace}/pods/{pod.metadata.name}:{port}/proxy/{path}"


def bypass(scene: Scene, site: Site) -> Verdict:
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
        reach.with_port(address, each.plan.declared.gateway.port)
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


def _as(site: Site, account: NamespacedName) -> Identity:
    return issue(held(site).signer, site.identity(account))


def _must_admit(scene: Scene, site: Site, asked: Asked, consumer: Consumer) -> None:
    """See that a declared caller gets through: a door that is closed to all refuses nobody.

    Raises:
        Unseen: it does not.
    """
    answer = request(site.door, asked, _as(scene.sites[consumer.cluster], _caller(consumer)))
    if answer.is_refused:
        raise Unseen(
            f"{asked} at {site.door} refuses the declared caller too ({answer.status or 'connection ended'}:"
            f" {answer.said}), so nothing follows from a refusal",
            "see the checks of exports, trust and traffic first",
        )


def _all_refused(scene: Scene, site: Site, asked: Asked, tried: Sequence[Identity], admitted: Consumer) -> Verdict:
    """Call under identities that must be refused, and under one that must not."""
    answers = [(each, request(site.door, asked, each)) for each in tried]
    _must_admit(scene, site, asked, admitted)
    through = [f"{who.uri} is answered with {answer.status}" for who, answer in answers if not answer.is_refused]
    if through:
        return failed(f"{asked}: {'; '.join(through)}", POLICY)
    return passed(
        f"{len(answers)} refused", **{who.uri: f"{answer.status or 'ended'}: {answer.said}" for who, answer in answers}
    )
