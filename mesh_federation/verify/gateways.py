"""Checks of gateways: each has the address that others were told, and is reached there."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from ipaddress import ip_address

from mesh_federation.plan.istio_values import EGRESS, EGRESS_LABELS, GATEWAY, GATEWAY_LABELS, NAMESPACE
from mesh_federation.stack.config import NamespacedName, is_address
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.gateway_endpoint import connects, ready
from mesh_federation.verify.objects import Gateway, Service, StandardGateway, StandardGateways
from mesh_federation.verify.parallel import together
from mesh_federation.verify.proxy import Proxy, in_mesh
from mesh_federation.verify.simulated import on_pods
from mesh_federation.verify.verdict import Verdict, failed, passed

OWN = (GATEWAY, EGRESS)
"""Gateways of a cluster: names of their Services, and their pods' label app."""
ISTIO, STANDARD = "networking.istio.io", "gateway.networking.k8s.io"


def checks(scene: Context) -> Iterator[Check]:
    """Plan the checks of every cluster's gateway."""
    for site in scene.sites.values():
        proves = f"{site.name}: the gateway has the address that importers were told, in the cluster's pool"
        yield Check("gateways.address", (site.path,), proves, partial(address, site))
        for name, proves, look in (
            ("reachable", "the gateway is reached from outside, and ready", reachable),
            ("current", "gateways take what istiod tells them, instead of going on with what they had", current),
        ):
            yield Check(f"gateways.{name}", (site.path,), f"{site.name}: {proves}", on_pods(site, partial(look, site)))
        proves = f"{site.name}: nobody's Gateway but the stack's tells its gateways what to offer"
        yield Check("gateways.undeclared", (site.path,), proves, partial(undeclared, site))


def address(site: ClusterUnderTest) -> Verdict:
    """Compare the address of the running Service with what importers were told, and with the pool."""
    service = site.cluster.one(Service, "service", GATEWAY, NAMESPACE)
    if service is None:
        return failed("there is no gateway", "./mesh up --refresh makes it anew")
    told, has = site.running.gateway, service.addresses
    if service.node_ports and not _may_have_node_ports(site):
        numbers = ", ".join(map(str, service.node_ports))
        return failed(
            f"every node of {site.name} serves it too, on port {numbers}: that goes around what closes its address",
            f"kubectl delete service {GATEWAY} --namespace={NAMESPACE}; ./mesh up --refresh makes it anew, without",
        )
    if _is_declared(site):
        return passed(f"{', '.join(told)}, as declared", service=", ".join(has) or "no load balancer gave it any")
    if not has:
        return failed(
            "its load balancer gave it no address", "./mesh up --refresh; then look at the load balancer's log"
        )
    if set(has) != set(told) and _is_given(site):
        hint = "./mesh up --refresh moves the importers, or puts the address back"
        return failed(f"it has {', '.join(has)}, importers were told {', '.join(told)}", hint)
    pool = site.plan.pool
    outside = [each for each in has if pool and is_address(each) and ip_address(each) not in pool]
    if outside:
        return failed(f"{', '.join(outside)} is not in the pool {pool}", "./mesh up --refresh puts the pool back")
    return passed(", ".join(has), pool=str(pool or "not ours to say"))


def _may_have_node_ports(site: ClusterUnderTest) -> bool:
    """Say whether its load balancer may pass calls on to them."""
    service = site.plan.gateway_values["service"]
    return isinstance(service, dict) and service.get("allocateLoadBalancerNodePorts") is not False


def _is_declared(site: ClusterUnderTest) -> bool:
    """Say whether the stack file alone knows where the gateway is reached: something else may stand in front of it."""
    return bool(site.plan.addresses) and site.plan.pool is None


def _is_given(site: ClusterUnderTest) -> bool:
    """Say whether importers were told what the load balancer gave: a declared name stands for what nobody else sees."""
    return not any(not is_address(each) for each in site.plan.declared.gateway.addresses)


def reachable(site: ClusterUnderTest) -> Verdict:
    """Connect to the gateway from this machine; one that offers nothing listens on its status port alone."""
    if not site.doors:
        return failed("the gateway has no address", "see the check gateways.address")
    offers = bool(site.plan.exports) or site.plan.is_open
    wrong = [f"{door}: {why}" for door in site.doors if offers and (why := connects(door))]
    asked = [] if offers and _is_declared(site) else site.doors  # node ports, and what stands in front, have no 15021
    wrong += [f"{replace(door, port=15021)}: {why}" for door in asked if not wrong and (why := ready(door))]
    if wrong:
        hint = "./mesh up --refresh starts it; where it runs, look for a firewall between this machine and it"
        return failed(", ".join(wrong), hint)
    is_ready = ", ready on 15021" if asked else ""
    listens = "" if offers else "; nothing is exported, so it does not listen for calls"
    return passed(f"{', '.join(map(str, site.doors))}{is_ready}{listens}")


def current(site: ClusterUnderTest) -> Verdict:
    """Ask gateways whether they refused what istiod told them: they say so nowhere else, and serve what was before."""
    proxies = [each for each in in_mesh(site.cluster) if each.pod.metadata.labels.get("app") in OWN]
    told = together(Proxy.listeners, proxies)
    refused = [f"{proxy.pod.title}: {why}" for proxy, has in told for why in has.refused]
    if refused:
        hint = "look for two Gateways that offer one host on one port: kubectl get gateways.networking.istio.io -A"
        return failed("; ".join(refused), hint)
    if not proxies:
        return failed("no pod of a gateway runs", "./mesh up --refresh starts it")
    return passed(", ".join(each.pod.title for each in proxies))


def undeclared(site: ClusterUnderTest) -> Verdict:
    """Look for Gateways of others, in any namespace: Istio lets each of them use any gateway's pods."""
    ours = {_place(body) for body in site.plan.objects}
    found: list[tuple[str, Gateway | StandardGateway]] = [
        *((ISTIO, each) for each in _attached(site)),
        *((STANDARD, each) for each in _served(site)),
    ]
    foreign = [(group, each) for group, each in found if (group, each.metadata.reference) not in ours]
    if foreign:
        told = (f"Gateway {each.metadata.reference} offers {each.offers or 'nothing'}" for _, each in foreign)
        look = f"kubectl --context {site.name} get gateways.{foreign[0][0]} -A"
        return failed("; ".join(told), f"remove it, or declare an export of what it offers: {look}")
    return passed(f"{len(found)} Gateways, all of this stack")


def _place(body: Mapping[str, object]) -> tuple[str, NamespacedName]:
    """Return the group and the names of an object; of those that are Gateways nothing more is needed."""
    metadata = body["metadata"]
    assert isinstance(metadata, Mapping)
    group = str(body["apiVersion"]).partition("/")[0] if body["kind"] == "Gateway" else ""
    return group, NamespacedName(str(metadata.get("namespace", "")), str(metadata["name"]))


def _attached(site: ClusterUnderTest) -> list[Gateway]:
    """Return the Gateways of Istio's own API that select pods of the cluster's gateways."""
    running = [pod.metadata for pod in site.cluster.pods() if pod.metadata.namespace == NAMESPACE]
    pods = [GATEWAY_LABELS, EGRESS_LABELS, *(each.labels for each in running if each.labels.get("app") in OWN)]
    gateways = site.cluster.listed(Gateway, f"gateways.{ISTIO}", "--all-namespaces")
    return [each for each in gateways if any(each.spec.selector.items() <= labels.items() for labels in pods)]


def _served(site: ClusterUnderTest) -> list[StandardGateway]:
    """Return those of the Gateway API that name the Service of one of the cluster's gateways as their address."""
    done = site.cluster.raw(f"/apis/{STANDARD}/v1/gateways")
    if done.code and "could not find" not in done.error:
        raise site.cluster.unseen("cannot list the Gateways of the Gateway API", done.error)
    gateways = () if done.code else StandardGateways.model_validate_json(done.out).items
    names = {f"{name}.{NAMESPACE}" for name in OWN}

    def serves(gateway: StandardGateway, address: str) -> bool:
        name, _, rest = address.partition(".")
        return f"{name}.{rest.partition('.')[0] or gateway.metadata.namespace}" in names

    return [each for each in gateways if any(serves(each, address.value) for address in each.spec.addresses)]
