"""The Kubernetes Gateway API: what a gateway exports, and where the gateway of another network is.

Sources: walk-through 002 sections 4.4 and 8.5, pitfalls 25, 26, 29 and 34; Istio's task "Kubernetes Gateway API",
section "Manual Deployment". Both are `gateways.gateway.networking.k8s.io`, and no Gateway of Istio's has their names.
"""

from collections.abc import Iterable, Mapping, Sequence

from mesh_federation.plan.istio_values import NETWORK_LABEL
from mesh_federation.plan.objects import Body, object_name
from mesh_federation.plan.routing_api import EgressListener, ExportedHosts, RoutingApi
from mesh_federation.stack.config import Federation, NamespacedName, is_address

API_VERSION = "gateway.networking.k8s.io/v1"
BY_ROUTE = {"mode": "Passthrough"}
BY_SERVER_NAME = {**BY_ROUTE, "options": {"gateway.istio.io/listener-protocol": "auto-passthrough"}}
"""How TLS is passed on without terminating it: along a route, or to the service that the server name names."""


def used(federation: Federation) -> bool:
    """Say whether any import needs the Gateway API: then all clusters get the same definitions (pitfall 24)."""
    return any(link.api == "gateway" for link in federation.linked_imports)


def kinds(bodies: Iterable[Body]) -> list[str]:
    """Return the kinds of the Gateway API that objects need, as `group/version Kind`, sorted; Gateway in any case."""
    needed = {str(body["kind"]) for body in bodies if body["apiVersion"] == API_VERSION}
    return [f"{API_VERSION} {kind}" for kind in sorted(needed | {"Gateway"})]


class GatewayApi(RoutingApi):
    """Gateways and TLSRoutes of the Kubernetes Gateway API; istiod finds the gateways of other networks by network."""

    finds_gateways_by_network = True

    def export_gateway(self, service: NamespacedName, exported: ExportedHosts) -> Body:
        """Body of the Gateway that exports hosts on the existing east-west gateway, which it names as its address.

        A Gateway with a deployment of its own would come with a second Service, and so with a second address for the
        network. It carries no network label, or istiod would take that Service's name for an address of the network.
        Each exact host is a listener: without one, or with `*.local`, all services would be exported (pitfall 25).
        It has the name of its host, because no two listeners of a Gateway may share one.
        """
        name = NamespacedName(exported.gateway.namespace, object_name("passthrough", service))
        listeners = [_listener(host, exported.port, BY_SERVER_NAME, hostname=host) for host in exported.hosts]
        return _on(exported.gateway_host, name, listeners, exported.revision)

    def egress_route(self, listener: EgressListener) -> tuple[Body, Body]:
        """Bodies of the Gateway and the TLSRoute of one host on the existing egress gateway.

        The route matches server names as callers write them; the plain host never matches (pitfall 33).
        """
        name, namespace = listener.named("egress-tls"), listener.gateway.namespace
        tls = _listener("tls", listener.port, BY_ROUTE, hostname=listener.server_names)
        backend = {
            "group": "networking.istio.io",
            "kind": "Hostname",
            "name": listener.upstream_host,
            "port": listener.upstream_port,
        }
        spec: Body = {
            "parentRefs": [{"name": name, "sectionName": "tls"}],
            "hostnames": [listener.server_names],
            "rules": [{"backendRefs": [backend]}],
        }
        return (
            _on(listener.gateway_host, NamespacedName(namespace, name), [tls], listener.revision),
            _body("TLSRoute", {"name": name, "namespace": namespace}, spec),
        )


def remote(name: NamespacedName, network: str, port: int, addresses: object) -> Body:
    """Body of the Gateway that says where another network's gateway is; nothing is deployed for it.

    Args:
        name: of the object.
        network: the other network, as endpoints name it (pitfall 28).
        port: of its gateway.
        addresses: as `typed` returns them.
    """
    listeners = [_listener("cross-network", port, BY_SERVER_NAME)]
    spec = {"gatewayClassName": "istio-remote", "addresses": addresses, "listeners": listeners}
    return _gateway(name, {NETWORK_LABEL: network}, spec)


def typed(addresses: Sequence[str]) -> list[Body]:
    """Return addresses with their types: istiod skips one without (pitfall 29)."""
    return [{"type": "IPAddress" if is_address(each) else "Hostname", "value": each} for each in addresses]


def _listener(name: str, port: int, tls: Mapping[str, object], **narrowed: str) -> Body:
    return {"name": name, **narrowed, "port": port, "protocol": "TLS", "tls": dict(tls)}


def _on(host: str, name: NamespacedName, listeners: Sequence[Body], revision: str) -> Body:
    """Body of a Gateway whose listeners are on an existing gateway, which istiod finds by its Service's host."""
    address = {"type": "Hostname", "value": host}
    labels = {"istio.io/rev": revision} if revision else {}
    return _gateway(name, labels, {"gatewayClassName": "istio", "addresses": [address], "listeners": listeners})


def _gateway(name: NamespacedName, labels: dict[str, str], spec: Body) -> Body:
    metadata = {"name": name.name, "namespace": name.namespace, **({"labels": labels} if labels else {})}
    return _body("Gateway", metadata, spec)


def _body(kind: str, metadata: Mapping[str, object], spec: Body) -> Body:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
