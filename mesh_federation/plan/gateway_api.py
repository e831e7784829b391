"""Bodies of the Kubernetes Gateway API: what a gateway offers, and where the gateway of another network is.

Sources: walk-through 002 sections 4.4 and 8.5, pitfalls 25, 26, 29 and 34; Istio's task "Kubernetes Gateway API",
section "Manual Deployment". Both are `gateways.gateway.networking.k8s.io`, and no Gateway of Istio's has their names.
"""

from collections.abc import Iterable, Mapping, Sequence

from mesh_federation.plan.istio_values import EGRESS, GATEWAY, NAMESPACE, NETWORK_LABEL
from mesh_federation.stack.config import Federation, is_address

Body = dict[str, object]

API_VERSION = "gateway.networking.k8s.io/v1"
BY_ROUTE = {"mode": "Passthrough"}
BY_SERVER_NAME = {**BY_ROUTE, "options": {"gateway.istio.io/listener-protocol": "auto-passthrough"}}
"""How TLS is passed on without ending it: to where a route leads, or to the service that the server name tells."""


def used(federation: Federation) -> bool:
    """Say whether any link needs the Gateway API: then all clusters get its definitions, the same ones (pitfall 24)."""
    return any(link.api == "gateway" for link in federation.imports)


def kinds(bodies: Iterable[Body]) -> list[str]:
    """Return what some objects need of the Gateway API, as `group/version Kind`, sorted; a Gateway in any case."""
    found = {str(body["kind"]) for body in bodies if body["apiVersion"] == API_VERSION}
    return [f"{API_VERSION} {kind}" for kind in sorted(found | {"Gateway"})]


def offer(name: str, hosts: Iterable[str], port: int, revision: str) -> Body:
    """Body of the Gateway that offers hosts on the gateway that is there already, which it names as its address.

    A Gateway of its own would come with a second Service, and so with a second address for the network. It carries no
    network label, or istiod would take that Service's name for an address of the network.

    Args:
        name: of the object.
        hosts: exact, each a listener: without one, or with `*.local`, all services would be offered (pitfall 25).
        port: of the gateway's Service.
        revision: of the istiod that reads it; the default one's when empty.
    """
    listeners = [_listener(host.replace(".", "-"), port, BY_SERVER_NAME, hostname=host) for host in hosts]
    return _on(GATEWAY, name, listeners, revision)


def exit_listener(name: str, server_names: str, port: int, revision: str) -> Body:
    """Body of the Gateway by which the egress gateway that is there already takes calls for one host.

    Args:
        name: of the object, and of its one listener.
        server_names: what callers ask for in TLS.
        port: of the egress gateway's Service.
        revision: of the istiod that reads it; the default one's when empty.
    """
    return _on(EGRESS, name, [_listener("tls", port, BY_ROUTE, hostname=server_names)], revision)


def tls_route(name: str, server_names: str, backend: str, port: int) -> Body:
    """Body of the TLSRoute that leads from such a listener to a host that a ServiceEntry describes.

    Args:
        name: of the object, and of the Gateway.
        server_names: what callers ask for in TLS; the plain host never matches (pitfall 33).
        backend: the host.
        port: of the host.
    """
    spec: Body = {
        "parentRefs": [{"name": name, "sectionName": "tls"}],
        "hostnames": [server_names],
        "rules": [
            {"backendRefs": [{"group": "networking.istio.io", "kind": "Hostname", "name": backend, "port": port}]}
        ],
    }
    return _body("TLSRoute", {"name": name, "namespace": NAMESPACE}, spec)


def remote(name: str, network: str, port: int, addresses: object) -> Body:
    """Body of the Gateway that says where another network's gateway is; nothing is deployed for it.

    Args:
        name: of the object.
        network: the other network, as endpoints name it (pitfall 28).
        port: of its gateway.
        addresses: as `typed` returns them, or what stands for them until they are known.
    """
    listeners = [_listener("cross-network", port, BY_SERVER_NAME)]
    spec = {"gatewayClassName": "istio-remote", "addresses": addresses, "listeners": listeners}
    return _gateway(name, {NETWORK_LABEL: network}, spec)


def typed(addresses: Sequence[str]) -> list[Body]:
    """Return addresses with their types: istiod skips one without (pitfall 29)."""
    return [{"type": "IPAddress" if is_address(each) else "Hostname", "value": each} for each in addresses]


def _listener(name: str, port: int, passed_on: Mapping[str, object], **narrowed: str) -> Body:
    return {"name": name, **narrowed, "port": port, "protocol": "TLS", "tls": dict(passed_on)}


def _on(service: str, name: str, listeners: Sequence[Body], revision: str) -> Body:
    """Body of a Gateway whose listeners are on a gateway that is there already, found by its Service."""
    address = {"type": "Hostname", "value": f"{service}.{NAMESPACE}.svc.cluster.local"}
    labels = {"istio.io/rev": revision} if revision else {}
    return _gateway(name, labels, {"gatewayClassName": "istio", "addresses": [address], "listeners": listeners})


def _gateway(name: str, labels: dict[str, str], spec: Body) -> Body:
    metadata = {"name": name, "namespace": NAMESPACE, **({"labels": labels} if labels else {})}
    return _body("Gateway", metadata, spec)


def _body(kind: str, metadata: Mapping[str, object], spec: Body) -> Body:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
