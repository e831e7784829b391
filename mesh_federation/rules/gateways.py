"""East-west gateways: their ports, the Services that other clusters reach, and the Helm values for both."""

from collections.abc import Iterator, Mapping

from mesh_federation.clusters.provider import LoadBalancer
from mesh_federation.plan import gateway_addresses
from mesh_federation.rules.istio_values import given_values
from mesh_federation.stack.config import Cluster, Federation, Istio
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule
from mesh_federation.stack.text import kind_of

OWN_PORTS = range(15000, 15091)
"""Of Istio's proxies and control plane: admin 15000, capture 15001 to 15009, xDS 15010 and 15012, webhook 15017,
telemetry 15020, status 15021, DNS 15053, metrics 15090, and more between them from release to release."""

TYPES = ("LoadBalancer", "ClusterIP", "NodePort")

LISTS = {
    "values": ("meshConfig.caCertificates",),
    "gatewayValues": ("service.ports", "service.externalIPs"),
    "egressValues": ("service.ports", "service.externalIPs"),
}
"""Lists to which this program adds items, by the key of the stack file that holds the user's values."""


def gateway_ports_are_free(federation: Federation) -> Iterator[Problem]:
    """The gateway is an Istio proxy, which uses some ports itself."""
    for cluster in federation.clusters.values():
        port = cluster.gateway.port
        if port in OWN_PORTS:
            what = (
                "the gateway's status port"
                if port == 15021
                else f"reserved for Istio and Envoy ({OWN_PORTS[0]} to {OWN_PORTS[-1]})"
            )
            yield Problem(
                f"{cluster.path}.gateway.port",
                FederationRule.PORT_OF_ISTIO,
                f"port {port} is {what}: the gateway of {cluster.name} could not accept"
                " calls from other clusters on it",
                "use another port, for example 15443",
            )


def lists_are_lists(federation: Federation) -> Iterator[Problem]:
    """This program adds items to some lists of the values."""
    for where, key, values in given_values(federation):
        for path in LISTS[key]:
            *above, last = path.split(".")
            parent = _value_at(values, above)
            if isinstance(parent, dict) and last in parent and not isinstance(parent[last], list):
                yield Problem(
                    f"{where}.{path}",
                    FederationRule.VALUES_NOT_A_LIST,
                    f"the value is {kind_of(parent[last])}, but Istio's chart takes a list, to which this program adds"
                    " items",
                    "write a list, or remove the key",
                )


def _value_at(values: Mapping[str, object], keys: list[str]) -> object:
    found: object = values
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def services_have_a_type(federation: Federation) -> Iterator[Problem]:
    """Importing clusters and istiods read the addresses of a gateway from its Service."""
    for where, key, values in given_values(federation):
        service = _value_at(values, ["service"]) if key != "values" else None
        if isinstance(service, dict) and "type" in service and service["type"] not in TYPES:
            yield Problem(
                f"{where}.service.type",
                FederationRule.GATEWAY_SERVICE_TYPE,
                f'a gateway cannot be reached by a Service of type "{service["type"]}"',
                f"write {', '.join(TYPES[:-1])} or {TYPES[-1]}, or remove the key",
            )


def services_are_reached(federation: Federation) -> Iterator[Problem]:
    """Without a load balancer, the stack file declares the address at which other clusters reach a gateway."""
    for cluster in federation.clusters.values():
        istio = federation.istio_of(cluster.name)
        kind = gateway_addresses.service_type(istio)
        where = federation.istio_path(cluster.name, "gatewayValues", "service", "type")
        if kind not in TYPES or kind == "LoadBalancer":
            continue
        if cluster.load_balancer is not LoadBalancer.NONE:
            yield Problem(
                where,
                FederationRule.GATEWAY_NOT_BALANCED,
                f"the type is {kind}, but {cluster.name} has loadBalancer {cluster.load_balancer.value}, which gives"
                " addresses only to Services of type LoadBalancer: its gateway would have none",
                f"remove service.type, or set loadBalancer: none in {cluster.name}",
            )
        elif not gateway_addresses.declared(cluster, istio):
            reachable = (
                "only from inside its cluster" if kind == "ClusterIP" else "at the addresses of its cluster's nodes"
            )
            yield Problem(
                f"{cluster.path}.gateway.addresses",
                FederationRule.GATEWAY_WITHOUT_ADDRESS,
                f"{where} is {kind}: such a Service is reachable {reachable}, and the stack file does not say where"
                f" other clusters reach the gateway of {cluster.name}",
                f"list its addresses under {cluster.path}.gateway.addresses, or set"
                f" {where.removesuffix('type')}externalIPs, or remove"
                " service.type",
            )
        elif (
            kind == "NodePort"
            and cluster.gateway.addresses
            and cluster.gateway.port not in gateway_addresses.NODE_PORTS
        ):
            called = gateway_addresses.with_port(cluster.gateway.addresses[0], cluster.gateway.port)
            yield Problem(
                f"{cluster.path}.gateway.port",
                FederationRule.NO_NODE_PORT,
                f"other clusters call the gateway of {cluster.name} at {called}, but {where} is NodePort, and"
                f" nodes serve only ports {gateway_addresses.NODE_PORTS[0]} to {gateway_addresses.NODE_PORTS[-1]}",
                "use a free port of that range, for example 31443, which the Service then requests; or, with your own"
                " load balancer in front, remove service.type: a Service of type LoadBalancer has node ports too",
            )


def services_serve_the_port(federation: Federation) -> Iterator[Problem]:
    """A list of ports replaces the one of this program."""
    for cluster in federation.clusters.values():
        istio = federation.istio_of(cluster.name)
        ports = gateway_addresses.service(istio).get("ports")
        listed = [each for each in ports if isinstance(each, dict)] if isinstance(ports, list) else None
        lacking = _lacking(cluster, istio, listed) if listed is not None else ""
        if lacking:
            yield Problem(
                federation.istio_path(cluster.name, "gatewayValues", "service", "ports"),
                FederationRule.GATEWAY_PORT_NOT_SERVED,
                f"no entry has {lacking}, where other clusters call the gateway of {cluster.name}"
                f" ({cluster.path}.gateway.port)",
                "add such an entry, or remove the list: the needed ports are set without it",
            )


def _lacking(cluster: Cluster, istio: Istio, ports: list[dict[str, object]]) -> str:
    """Return the entry that other clusters need and a list of ports lacks; empty if it lacks none."""
    port = cluster.gateway.port
    served = [each for each in ports if each.get("port") == port]
    by_node = gateway_addresses.service_type(istio) == "NodePort" and cluster.gateway.addresses
    if by_node and not any(each.get("nodePort") == port for each in served):
        return f"both port {port} and nodePort {port}"
    return "" if served else f"port {port}"


RULES = (
    gateway_ports_are_free,
    lists_are_lists,
    services_have_a_type,
    services_are_reached,
    services_serve_the_port,
)
