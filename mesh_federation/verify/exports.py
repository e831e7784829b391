"""Checks of exports, from outside all clusters: what is declared shows itself, and nothing else does."""

import json
from collections.abc import Iterator
from functools import partial
from itertools import product

from mesh_federation.jobs.export_check import Declared, Service, differences, selector
from mesh_federation.plan.routing import ExportPlan, declaration
from mesh_federation.verify.cacerts import own_root
from mesh_federation.verify.certificates import identities
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.gateway_endpoint import Asked, connects, leads_to, ready, shown
from mesh_federation.verify.objects import ServiceEntry
from mesh_federation.verify.parallel import together
from mesh_federation.verify.simulated import on_pods
from mesh_federation.verify.verdict import Verdict, failed, not_applicable, passed


def checks(scene: Context) -> Iterator[Check]:
    """Plan checks for every export, and one for all that a cluster does not export."""
    for site, offer in scene.exports():
        proves = f"{site.name}: the policy of {offer.export.service} covers all its pods, their account and their ports"
        yield Check("exports.covered", (offer.export.path,), proves, partial(covered, site, offer))
    for site, offer in scene.exports():
        proves = f"{site.name}: {offer.export.service} shows its identity at the gateway, under the cluster's root"
        yield Check("exports.shown", (offer.export.path,), proves, on_pods(site, partial(answers, site, offer)))
    for site in scene.sites.values():
        proves = f"{site.name}: the gateway shows nothing of any service that is not exported"
        yield Check("exports.closed", (site.path,), proves, on_pods(site, partial(closed, scene, site)))


def offered(offer: ExportPlan) -> list[Asked]:
    """Return what callers may ask a gateway for, of one export."""
    return [Asked(host, port.number) for host in offer.hosts for port in offer.export.ports]


def covered(site: ClusterUnderTest, offer: ExportPlan) -> Verdict:
    """Compare what the export says of the Service and its pods with what they are, whatever they speak."""
    service, declared = offer.export.service, Declared(**declaration(offer))  # type: ignore[typeddict-item]
    where = f"--namespace={service.namespace}"
    told = site.cluster.told("get", "service", service.name, where, "--ignore-not-found", "--output=json")
    if not told.strip():
        return not_applicable(f"there is no Service {service} yet, so the gateway leads to no pod of it")
    running: Service = json.loads(told)
    which = selector(declared, running)
    pods = json.loads(site.cluster.told("get", "pods", where, which, "--output=json"))["items"] if which else []
    if different := list(differences(declared, running, pods)):
        return failed("; ".join(each for each, _ in different), "; ".join(fix for _, fix in different))
    return passed(f"{len(pods)} pods, account {declared['account']}", ports=", ".join(map(str, offer.targets)))


def answers(site: ClusterUnderTest, offer: ExportPlan) -> Verdict:
    """Ask the gateway for an exported service, and follow the certificate to the cluster's root."""
    root = own_root(site)
    expected = f"spiffe://{offer.principal}"
    hint = f"see that pods of {offer.export.service} run; ./mesh up --refresh puts its Gateway back"
    for door in site.doors:
        if (why := connects(door)) and not ready(door):
            return failed(f"the gateway is ready and does not listen for calls at {door}: {why}", hint)
        for asked in offered(offer):
            certificate = shown(door, asked)
            if certificate is None:
                return failed(f"{door} shows no certificate for {asked}", hint)
            if identities(certificate) != [expected]:
                named = ", ".join(identities(certificate)) or "nobody"
                hint = "declare the ServiceAccount of its pods (exports[].serviceAccount), or let them run as it"
                return failed(f"{asked} is {named}, not {expected}", hint)
            if why := leads_to(door, asked, root):
                return failed(f"the chain of {asked} does not lead to the cluster's root: {why}", "restart its pods")
    return passed(f"{', '.join(map(str, offered(offer)))} at {', '.join(map(str, site.doors))}", identity=expected)


def closed(scene: Context, site: ClusterUnderTest) -> Verdict:
    """Ask the gateway for every service that the cluster knows, and for every global host.

    Not for other ports of what is exported: Istio's gateway leads to all of a Service, and its policy refuses them
    (refusals.ports).
    """
    if site.plan.is_open:
        return not_applicable("clusters of its mesh discover it, so all its services are open to them")
    if all(connects(door) for door in site.doors) and not any(ready(door) for door in site.doors):
        return passed("the gateway is ready and does not listen for calls")
    exported = {host for offer in site.plan.exports for host in offer.hosts}
    tried = sorted((asked for asked in _known(scene, site) if asked.host not in exported), key=str)
    answered = together(lambda each: shown(*each), product(site.doors, tried))
    open_to_all = sorted({str(asked) for (_, asked), shows in answered if shows is not None})
    if open_to_all:
        hint = (
            "look for a Gateway that nobody declared: kubectl get gateways.networking.istio.io -A; ./mesh up --refresh"
        )
        return failed(f"the gateway also leads to {', '.join(open_to_all)}", hint)
    return passed(f"{len(tried)} other names were tried, none shows a certificate", tried=", ".join(map(str, tried)))


def _known(scene: Context, site: ClusterUnderTest) -> set[Asked]:
    """Return what could be asked for: Services, ServiceEntries, and either name of what anybody exports."""
    entries = site.cluster.listed(ServiceEntry, "serviceentries.networking.istio.io", "--all-namespaces")
    services = {Asked(each.host, port.port) for each in site.cluster.services() for port in each.spec.ports}
    named = {Asked(host, port.number) for each in entries for host in each.spec.hosts for port in each.spec.ports}
    every = {
        Asked(host, port.number)
        for _, offer in scene.exports()
        for port in offer.export.ports
        for host in (offer.export.service.host, offer.export.service.global_host)
    }
    return services | named | every
