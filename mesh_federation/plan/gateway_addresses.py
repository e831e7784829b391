"""Addresses of a cluster's east-west gateway: the declared ones, those that its Service got, and those for importers.

Sources: Kubernetes' Services (an address inside the cluster is nobody else's; external IPs are served on the Service's
own ports, node ports on the nodes' addresses); docs/decisions.md for the choice between IPv4 and IPv6.
"""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address

from mesh_federation.stack.config import Cluster, Istio, is_address

NODE_PORTS = range(30000, 32768)
"""Where Kubernetes has node ports unless an API server is told otherwise."""


def service(istio: Istio) -> Mapping[str, object]:
    """Return the stack file's values for the Services of east-west gateways, beyond what this program decides."""
    given = istio.gateway_values.get("service")
    return given if isinstance(given, dict) else {}


def service_type(istio: Istio) -> str:
    """Return the type of those Services."""
    return str(service(istio).get("type", "LoadBalancer"))


def external_ips(istio: Istio) -> tuple[str, ...]:
    """Return the addresses at which Services without a load balancer are served, as far as the stack file has any."""
    given = service(istio).get("externalIPs")
    return tuple(map(str, given)) if isinstance(given, list) and service_type(istio) != "LoadBalancer" else ()


def declared(cluster: Cluster, istio: Istio) -> tuple[str, ...]:
    """Return the addresses that the stack file gives to a gateway; empty where it leaves that open."""
    return cluster.gateway.addresses or external_ips(istio)


def assigned(ingress: Iterable[Mapping[str, str]]) -> list[str]:
    """Return what a load balancer assigned to a Service: IPv4 addresses, IPv6 ones, then host names, each sorted."""
    return sorted((each.get("ip") or each.get("hostname", "") for each in ingress), key=_rank)


def for_importers(addresses: Sequence[str]) -> list[str]:
    """Return those of a gateway's addresses that importers call, in the same order.

    Clusters have IPv4 subnets: an IPv6 address beside an IPv4 one would fail a share of their calls.
    """
    has_ipv4 = any(_family(each) == 4 for each in addresses)
    return [each for each in addresses if not (has_ipv4 and is_ipv6(each))]


def with_port(address: str, port: int) -> str:
    """Write an address or host name with a port; an IPv6 address has colons of its own, and stands in brackets."""
    return f"[{address}]:{port}" if is_ipv6(address) else f"{address}:{port}"


def block(address: str) -> str:
    """Write an address as a block that holds nothing else."""
    return f"{address}/{ip_address(address).max_prefixlen}"


def is_ipv6(address: str) -> bool:
    """Say whether something is an IPv6 address."""
    return _family(address) == 6


def _family(address: str) -> int:
    """Return 4, 6, or 0 for a host name."""
    return ip_address(address).version if is_address(address) else 0


def _rank(address: str) -> tuple[int, str]:
    return _family(address) or 7, address
