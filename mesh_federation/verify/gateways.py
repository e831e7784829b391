"""Checks of gateways: each has the address that importers use, is reachable there, and serves what is declared."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from ipaddress import ip_address

from mesh_federation.plan.istio_values import egress_gateway, labels_of
from mesh_federation.stack.config import NamespacedName, is_address
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.gateway_endpoint import connection_error, readiness_error
from mesh_federation.verify.objects import IstioGateway, ObjectMetadata, StandardGateway, StandardGateways
from mesh_federation.verify.parallel import map_parallel
from mesh_federation.verify.proxy import Proxy, in_mesh
from mesh_federation.verify.simulated import skip_if_simulated
from mesh_federation.verify.verdict import Verdict, failed, passed

ISTIO, STANDARD = "networking.istio.io", "gateway.networking.k8s.io"


def checks(context: Context) -> Iterator[Check]:
    """Return the checks of every cluster's gateways."""
    for cluster in context.clusters.values():
        if not cluster.plan.has_gateway:
            continue
        description = f"{cluster.name}: the gateway has the address that importers use, in the cluster's pool"
        yield Check("gateways.address", (cluster.path,), description, partial(address, cluster))
        for name, description, look in (
            ("reachable", "the gateway is reachable from outside, and ready", reachable),
            ("current", "gateways accept the current configuration of istiod", current),
        ):
            yield Check(
                f"gateways.{name}",
                (cluster.path,),
                f"{cluster.name}: {description}",
                skip_if_simulated(cluster, partial(look, cluster)),
            )
        description = f"{cluster.name}: no Gateway outside the stack configures its gateways"
        yield Check("gateways.undeclared", (cluster.path,), description, partial(undeclared, cluster))


def _own(cluster: ClusterUnderTest) -> tuple[NamespacedName, NamespacedName]:
    """Return the Services of a cluster's gateways; their names are the values of their pods' label app."""
    return cluster.plan.gateway, egress_gateway(cluster.plan.declared)


def _runs(pod: ObjectMetadata) -> NamespacedName:
    """Return the Service of the gateway that a pod would run if it ran one."""
    return NamespacedName(pod.namespace, pod.labels.get("app", ""))


def address(cluster: ClusterUnderTest) -> Verdict:
    """Compare the address of the Service with the one that importers use, and with the pool."""
    own = cluster.plan.gateway
    service = cluster.kubectl.service(own.namespace, own.name)
    if service is None:
        return failed("there is no gateway", "./mesh up --refresh recreates it")
    used, has = cluster.output.gateway, service.addresses
    if service.node_ports and not _may_have_node_ports(cluster):
        numbers = ", ".join(map(str, service.node_ports))
        return failed(
            f"every node of {cluster.name} also serves it, on port {numbers}, which bypasses filters on its address",
            f"kubectl delete service {own.name} --namespace={own.namespace}; ./mesh up --refresh recreates it without",
        )
    if _is_declared(cluster):
        return passed(
            f"{', '.join(used)}, as declared", service=", ".join(has) or "no load balancer assigned an address"
        )
    if not has:
        return failed("no load balancer assigned an address", "./mesh up --refresh; then read the load balancer's log")
    if set(has) != set(used) and _is_assigned(cluster):
        hint = "./mesh up --refresh updates the importers, or restores the address"
        return failed(f"it has {', '.join(has)}, importers use {', '.join(used)}", hint)
    pool = cluster.plan.pool
    outside = [each for each in has if pool and is_address(each) and ip_address(each) not in pool]
    if outside:
        return failed(f"{', '.join(outside)} is not in the pool {pool}", "./mesh up --refresh restores the pool")
    return passed(", ".join(has), pool=str(pool or "not managed by the stack"))


def _may_have_node_ports(cluster: ClusterUnderTest) -> bool:
    """Return whether its Service may have node ports, which its load balancer may use."""
    service = cluster.plan.values[cluster.plan.gateway.name]["service"]
    return isinstance(service, dict) and service.get("allocateLoadBalancerNodePorts") is not False


def _is_declared(cluster: ClusterUnderTest) -> bool:
    """Return whether the stack file declares the address, which may belong to something in front of the gateway."""
    return bool(cluster.plan.addresses) and cluster.plan.pool is None


def _is_assigned(cluster: ClusterUnderTest) -> bool:
    """Return whether importers use the load balancer's addresses, and not a declared host name."""
    return not any(not is_address(each) for each in cluster.plan.declared.gateway.addresses)


def reachable(cluster: ClusterUnderTest) -> Verdict:
    """Connect to the gateway from this machine; without exports it listens only on its status port."""
    if not cluster.endpoints:
        return failed("the gateway has no address", "see the check gateways.address")
    serves = bool(cluster.plan.exports) or cluster.plan.is_open
    wrong = [
        f"{endpoint}: {error}" for endpoint in cluster.endpoints if serves and (error := connection_error(endpoint))
    ]
    probed = [] if serves and _is_declared(cluster) else cluster.endpoints  # a declared address may not have 15021
    wrong += [f"{replace(each, port=15021)}: {why}" for each in probed if not wrong and (why := readiness_error(each))]
    if wrong:
        hint = "./mesh up --refresh starts it; if it runs, look for a firewall between this machine and the gateway"
        return failed(", ".join(wrong), hint)
    is_ready = ", ready on 15021" if probed else ""
    listens = "" if serves else "; nothing is exported, so it does not listen for calls"
    return passed(f"{', '.join(map(str, cluster.endpoints))}{is_ready}{listens}")


def current(cluster: ClusterUnderTest) -> Verdict:
    """Read whether gateways rejected configuration; nothing else shows it, and they keep the one before."""
    proxies = [each for each in in_mesh(cluster.kubectl) if _runs(each.pod.metadata) in _own(cluster)]
    listeners = map_parallel(Proxy.listeners, proxies)
    rejected = [f"{proxy.pod.title}: {why}" for proxy, each in listeners for why in each.rejections]
    if rejected:
        hint = "look for two Gateways with the same host and port: kubectl get gateways.networking.istio.io -A"
        return failed("; ".join(rejected), hint)
    if not proxies:
        return failed("no pod of a gateway runs", "./mesh up --refresh starts one")
    return passed(", ".join(each.pod.title for each in proxies))


def undeclared(cluster: ClusterUnderTest) -> Verdict:
    """Look for foreign Gateways in all namespaces: Istio applies them to the gateway's pods, wherever they are."""
    ours = {_reference(body) for body in cluster.plan.bodies}
    found: list[tuple[str, IstioGateway | StandardGateway]] = [
        *((ISTIO, each) for each in _attached(cluster)),
        *((STANDARD, each) for each in _served(cluster)),
    ]
    foreign = [(group, each) for group, each in found if (group, each.metadata.reference) not in ours]
    if foreign:
        named = (f"Gateway {each.metadata.reference} serves {each.hosts or 'no host'}" for _, each in foreign)
        command = f"kubectl --context {cluster.name} get gateways.{foreign[0][0]} -A"
        return failed("; ".join(named), f"remove it, or declare its hosts as exports: {command}")
    return passed(f"{len(found)} Gateways, all of this stack")


def _reference(body: Mapping[str, object]) -> tuple[str, NamespacedName]:
    """Return the API group, namespace and name of a Gateway; an empty group for other objects."""
    metadata = body["metadata"]
    assert isinstance(metadata, Mapping)
    group = str(body["apiVersion"]).partition("/")[0] if body["kind"] == "Gateway" else ""
    return group, NamespacedName(str(metadata.get("namespace", "")), str(metadata["name"]))


def _attached(cluster: ClusterUnderTest) -> list[IstioGateway]:
    """Return the Gateways of Istio's API that select pods of the cluster's gateways."""
    own = _own(cluster)
    running = [pod.metadata for pod in cluster.kubectl.pods()]
    known = [labels_of(each) for each in own]
    pods = [*known, *(each.labels for each in running if _runs(each) in own)]
    gateways = cluster.kubectl.listed(IstioGateway, f"gateways.{ISTIO}")
    return [each for each in gateways if any(each.spec.selector.items() <= labels.items() for labels in pods)]


def _served(cluster: ClusterUnderTest) -> list[StandardGateway]:
    """Return the Gateways of the Gateway API whose address is the Service of one of the cluster's gateways."""
    done = cluster.kubectl.get_raw(f"/apis/{STANDARD}/v1/gateways")
    if done.returncode and "could not find" not in done.stderr:
        raise cluster.kubectl.inconclusive("cannot list the Gateways of the Gateway API", done.stderr)
    gateways = () if done.returncode else StandardGateways.model_validate_json(done.stdout).items
    names = {f"{each.name}.{each.namespace}" for each in _own(cluster)}

    def serves(gateway: StandardGateway, address: str) -> bool:
        name, _, rest = address.partition(".")
        return f"{name}.{rest.partition('.')[0] or gateway.metadata.namespace}" in names

    return [each for each in gateways if any(serves(each, address.value) for address in each.spec.addresses)]
