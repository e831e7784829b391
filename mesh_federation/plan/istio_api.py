"""Istio's own API: what its objects have in common, and how it opens gateways.

Sources: walk-throughs 000 to 002; pitfalls 10, 32 and 33.
"""

from collections.abc import Mapping, Sequence

from mesh_federation.plan.istio_values import labels_of
from mesh_federation.plan.objects import Body, object_name
from mesh_federation.plan.routing_api import EgressListener, ExportedHosts, RoutingApi
from mesh_federation.stack.config import NamespacedName, is_address

NETWORKING = "networking.istio.io/v1"
SECURITY = "security.istio.io/v1"


class IstioApi(RoutingApi):
    """Gateways and VirtualServices of Istio; every endpoint has the address of a gateway."""

    finds_gateways_by_network = False

    def export_gateway(self, service: NamespacedName, exported: ExportedHosts) -> Body:
        """Body of the Gateway that exports one service: its exact hosts, as `*.local` would export all (pitfall 10)."""
        name = object_name("export", service)
        namespace, port = exported.gateway.namespace, tls_port(exported.port)
        labels = labels_of(exported.gateway)
        return passthrough_gateway(NamespacedName(namespace, name), labels, port, exported.hosts, "AUTO_PASSTHROUGH")

    def egress_route(self, listener: EgressListener) -> tuple[Body, Body]:
        """Bodies of the Gateway and the VirtualService of one host on the egress gateway."""
        name, namespace = listener.named("egress"), listener.gateway.namespace
        port = tls_port(listener.port, f"tls-{listener.cluster}")
        destination = {"host": listener.upstream_host, "port": {"number": listener.upstream_port}}
        match = {"port": listener.port, "sniHosts": [listener.server_names]}
        spec = {
            "hosts": [listener.server_names],
            "gateways": [name],
            "exportTo": ["."],
            "tls": [{"match": [match], "route": [{"destination": destination}]}],
        }
        return (
            passthrough_gateway(
                NamespacedName(namespace, name),
                labels_of(listener.gateway),
                port,
                [listener.server_names],
                "PASSTHROUGH",
            ),
            manifest(NETWORKING, "VirtualService", name, namespace, spec),
        )


def passthrough_gateway(
    name: NamespacedName, selector: Mapping[str, str], port: Mapping[str, object], hosts: Sequence[str], mode: str
) -> Body:
    """Body of a Gateway of Istio's own API that passes TLS on without terminating it.

    Args:
        name: of the object; Istio can be told to let it select pods of its own namespace alone.
        selector: labels of the gateway's pods.
        port: number, name and protocol.
        hosts: server names that callers may ask for.
        mode: by server names as proxies write them (AUTO_PASSTHROUGH), or by routes (PASSTHROUGH).
    """
    server = {"port": port, "hosts": list(hosts), "tls": {"mode": mode}}
    return manifest(NETWORKING, "Gateway", name.name, name.namespace, {"selector": selector, "servers": [server]})


def tls_port(number: int, name: str = "tls") -> Body:
    """Return a port as Istio's Gateways write it."""
    return {"number": number, "name": name, "protocol": "TLS"}


def resolution(*gateways: Sequence[str]) -> str:
    """Return how Istio finds endpoints: host names (load balancers of some clouds) by DNS, addresses as they are.

    Args:
        gateways: addresses of each gateway that endpoints lead to.
    """
    return "STATIC" if all(is_address(address) for addresses in gateways for address in addresses) else "DNS"


def server_name(host: str, port: int) -> str:
    """Return the server name by which Istio's proxies ask a gateway of AUTO_PASSTHROUGH for a port of a host."""
    return f"outbound_.{port}_._.{host}"


def upstream(host: str, port: int) -> str:
    """Return the name by which Envoy knows a port of a host that it calls."""
    return f"outbound|{port}||{host}"


def manifest(api_version: str, kind: str, name: str, namespace: str, spec: Mapping[str, object]) -> Body:
    """Return an object of a namespace."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}
