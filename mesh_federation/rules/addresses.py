"""Subnets and gateway addresses: what may not overlap, and what must fit where."""

from collections import defaultdict
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

from mesh_federation.clusters.addresses import LARGEST_LAB, MOST_CLUSTERS, SMALLEST_LAB, capacity, largest_prefix
from mesh_federation.clusters.provider import LoadBalancer
from mesh_federation.plan import gateway_addresses
from mesh_federation.rules.names import SUBDOMAIN
from mesh_federation.stack.config import Cluster, Federation, is_address
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule

MOST_ADDRESSES = 16
"""Of a partner's gateway; each is an endpoint of every import."""
_NODE_PREFIX = 24  # kube-controller-manager gives every node a /24 of the pod subnet
_WIDEST_SERVICES, _NARROWEST_SERVICES = 12, 28

_UNUSABLE = {
    "loopback": IPv4Network("127.0.0.0/8"),
    "link-local": IPv4Network("169.254.0.0/16"),
    "multicast": IPv4Network("224.0.0.0/4"),
    "reserved": IPv4Network("240.0.0.0/4"),
    "this host": IPv4Network("0.0.0.0/8"),
}


_EXAMPLES = {"podSubnet": "10.10.0.0/16", "serviceSubnet": "10.255.10.0/24"}


def _subnets(cluster: Cluster) -> tuple[tuple[str, IPv4Network], ...]:
    """Return a cluster's subnets. Of an existing cluster, only the declared ones are known."""
    known = {
        "pod_subnet": ("podSubnet", cluster.pod_subnet),
        "service_subnet": ("serviceSubnet", cluster.service_subnet),
    }
    return tuple(each for field, each in known.items() if cluster.provider.ours or field in cluster.model_fields_set)


def subnets_are_usable(federation: Federation) -> Iterator[Problem]:
    """Loopback, link-local and multicast addresses cannot be routed to pods."""
    places = [("lab.subnet", federation.lab.subnet)]
    for cluster in federation.clusters.values():
        places += [(f"{cluster.path}.{key}", network) for key, network in _subnets(cluster)]
    for path, network in places:
        if network.prefixlen == 32:
            problem = f"{network} is a single address, not a subnet: its prefix length is missing or wrong"
            wider = IPv4Network((network.network_address, 16), strict=False)
            yield Problem(path, FederationRule.SINGLE_ADDRESS, problem, f"write a subnet, for example {wider}")
        for kind, unusable in _UNUSABLE.items():
            if network.overlaps(unusable):
                problem = f"{network} contains {kind} addresses ({unusable}), which pods and nodes cannot have"
                yield Problem(
                    path, FederationRule.UNUSABLE_SUBNET, problem, "use private addresses, for example 10.10.0.0/16"
                )
                break


def subnets_have_the_right_size(federation: Federation) -> Iterator[Problem]:
    """Kubernetes has limits on the size of both subnets."""
    for cluster in federation.clusters.values():
        if not cluster.provider.ours:
            continue
        pods, services = cluster.pod_subnet, cluster.service_subnet
        room = 2 ** (_NODE_PREFIX - pods.prefixlen) if pods.prefixlen <= _NODE_PREFIX else 0
        if room < cluster.nodes and pods.prefixlen < 32:
            widest = _NODE_PREFIX - (cluster.nodes - 1).bit_length()
            count = "no" if room == 0 else "only one" if room == 1 else f"only {room}"
            nodes = "1 node" if cluster.nodes == 1 else f"{cluster.nodes} nodes"
            yield Problem(
                f"{cluster.path}.podSubnet",
                FederationRule.SUBNET_SIZE,
                f"{pods} has {count} /{_NODE_PREFIX} for the {nodes} of {cluster.name}, and Kubernetes gives every"
                " node one",
                f"use a /{widest} or larger",
            )
        if not _WIDEST_SERVICES <= services.prefixlen <= _NARROWEST_SERVICES and services.prefixlen < 32:
            yield Problem(
                f"{cluster.path}.serviceSubnet",
                FederationRule.SUBNET_SIZE,
                f"{services} cannot hold the Services of {cluster.name}: API servers accept a /{_WIDEST_SERVICES} or"
                f" smaller, and less than a /{_NARROWEST_SERVICES} has no room for the cluster's own Services",
                f"use a prefix from /{_WIDEST_SERVICES} to /{_NARROWEST_SERVICES}",
            )


def subnets_of_a_cluster_are_disjoint(federation: Federation) -> Iterator[Problem]:
    """An address belongs to a pod, a Service or a node, to one of them only."""
    for cluster in federation.clusters.values():
        if len(_subnets(cluster)) == 2 and cluster.pod_subnet.overlaps(cluster.service_subnet):
            yield Problem(
                f"{cluster.path}.serviceSubnet",
                FederationRule.SUBNETS_OVERLAP,
                f"{cluster.service_subnet} overlaps {cluster.pod_subnet}, the podSubnet of {cluster.name} itself: a"
                " pod and a Service could get the same address",
                "use separate subnets, for example 10.10.0.0/16 for pods and 10.255.10.0/24 for Services",
            )
        if not cluster.provider.ours:
            continue
        for key, network in _subnets(cluster):
            if network.overlaps(federation.lab.subnet):
                yield Problem(
                    f"{cluster.path}.{key}",
                    FederationRule.SUBNET_OVERLAPS_LAB,
                    f"{network} overlaps lab.subnet {federation.lab.subnet}, the network of the nodes and gateways:"
                    f" {cluster.name} could not reach them",
                    f"change one of the two, for example {key}: {_EXAMPLES[key]}",
                )


def subnets_on_one_network_are_disjoint(federation: Federation) -> Iterator[Problem]:
    """On one Istio network, pods call each other directly, so an address must belong to one pod."""
    groups: dict[str, list[Cluster]] = defaultdict(list)
    for cluster in federation.clusters.values():
        groups[cluster.network].append(cluster)
    for network, group in groups.items():
        for index, later in enumerate(group):
            for earlier in group[:index]:
                yield from _overlaps(network, earlier, later)


def _overlaps(name: str, earlier: Cluster, later: Cluster) -> Iterator[Problem]:
    for key, network in _subnets(later):
        for other, taken in _subnets(earlier):
            if network.overlaps(taken):
                yield Problem(
                    f"{later.path}.{key}",
                    FederationRule.SUBNETS_OVERLAP,
                    f"{network} overlaps {other} {taken} of cluster {earlier.name}. Both clusters are on the Istio"
                    " network"
                    f' "{name}", where pods call each other by address, so calls would reach the wrong cluster',
                    f"use another subnet for {later.name}, or give it its own network",
                )


def lab_has_room(federation: Federation) -> Iterator[Problem]:
    """The lab's subnet holds the addresses of the nodes, and an address pool for each cluster."""
    lab = federation.lab.subnet
    clusters = sum(cluster.provider.ours for cluster in federation.clusters.values())
    if not clusters or lab.prefixlen == 32:
        return
    if clusters > MOST_CLUSTERS:
        yield Problem(
            "lab.subnet",
            FederationRule.LAB_TOO_SMALL,
            f"the lab network has address pools for at most {MOST_CLUSTERS} clusters, and {clusters} clusters need one",
            "move clusters to another stack, or run them on other machines with provisioner existing",
        )
        return
    room = capacity(lab) if lab.prefixlen <= SMALLEST_LAB else 0
    if room < clusters:
        needed = largest_prefix(clusters)
        example = IPv4Network((lab.network_address, needed), strict=False)
        yield Problem(
            "lab.subnet",
            FederationRule.LAB_TOO_SMALL,
            f"{lab} must hold the nodes, and an address pool for each of {clusters} clusters; a /{lab.prefixlen} has"
            f" {f'only {room} pools' if room else 'no room for pools'}",
            f"use a /{needed} or larger, for example {example}",
        )
    elif lab.prefixlen < LARGEST_LAB:
        problem = f"{lab} is larger than a /{LARGEST_LAB}, the largest network that the lab can divide into pools"
        fix = f"use a /{LARGEST_LAB}, for example {IPv4Network((lab.network_address, LARGEST_LAB), strict=False)}"
        yield Problem("lab.subnet", FederationRule.LAB_TOO_LARGE, problem, fix)


def gateway_addresses_fit(federation: Federation) -> Iterator[Problem]:
    """A gateway has addresses or host names: Istio resolves the endpoints of an entry in one way."""
    inside = (".localhost", ".svc", *(f".svc.{each}" for each in federation.own_domains))
    for cluster in federation.clusters.values():
        path = f"{cluster.path}.gateway.addresses"
        addresses = [value for value in cluster.gateway.addresses if is_address(value)]
        hosts = [value for value in cluster.gateway.addresses if not is_address(value)]
        if cluster.name in federation.partners and len(cluster.gateway.addresses) > MOST_ADDRESSES:
            problem = f"{len(cluster.gateway.addresses)} addresses are more than a gateway has"
            yield Problem(path, FederationRule.BAD_GATEWAY_ADDRESS, problem, f"list at most {MOST_ADDRESSES} of them")
        for host in hosts:
            if f".{host}".endswith(inside):
                problem = f"{host} is the name of something in the caller's own cluster"
                yield Problem(path, FederationRule.BAD_GATEWAY_ADDRESS, problem, _WRITTEN)
            if not SUBDOMAIN.fullmatch(host) or len(host) > 253 or host.replace(".", "").isdecimal():
                problem = f'"{host}" is neither an IP address nor a lower-case host name'
                yield Problem(path, FederationRule.BAD_GATEWAY_ADDRESS, problem, _WRITTEN)
        for address in addresses:
            if why := _unreachable(ip_address(address)):
                problem = f"{address} {why}: other clusters cannot reach the gateway of {cluster.name} at it"
                yield Problem(path, FederationRule.BAD_GATEWAY_ADDRESS, problem, _WRITTEN)
        if addresses and hosts:
            yield Problem(
                path,
                FederationRule.MIXED_ADDRESSES,
                f"the gateway of {cluster.name} has the address {addresses[0]} and the host name {hosts[0]}. A"
                " ServiceEntry resolves its endpoints as STATIC or as DNS, so one of the two would never work",
                "list only addresses, or only host names",
            )
        if cluster.provider.ours and cluster.load_balancer is not LoadBalancer.SERVICELB:
            yield from _inside_lab(federation, cluster, addresses)


_WRITTEN = "write it as 203.0.113.10, 2001:db8::10 or gateway.example.com"


def _unreachable(address: IPv4Address | IPv6Address) -> str:
    """Say why other machines cannot reach a gateway at an address; empty if they can."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return f"is the IPv4 address {address.ipv4_mapped} in IPv6 form"
    kinds = {
        "is a loopback address": address.is_loopback,
        "is the unspecified address": address.is_unspecified,
        "is a link-local address": address.is_link_local,
        "is a multicast address": address.is_multicast,
        "is a reserved address": any(address in _UNUSABLE[kind] for kind in ("reserved", "this host")),
    }
    return next((kind for kind, holds in kinds.items() if holds), "")


def external_ips_fit(federation: Federation) -> Iterator[Problem]:
    """Kubernetes accepts IP addresses as external IPs, and other clusters must reach them."""
    given = {
        f"{federation.istio_path(name, 'gatewayValues', 'service', 'externalIPs')}[{number}]": value
        for name in federation.clusters
        for number, value in enumerate(gateway_addresses.external_ips(federation.istio_of(name)))
    }
    for path, value in given.items():
        why = _unreachable(ip_address(value)) if is_address(value) else "is not an IP address"
        if why:
            problem = f"{value} {why}: other clusters cannot reach a gateway at it"
            yield Problem(path, FederationRule.BAD_EXTERNAL_IP, problem, "write it as 203.0.113.10 or 2001:db8::10")


def _inside_lab(federation: Federation, cluster: Cluster, addresses: list[str]) -> Iterator[Problem]:
    lab = federation.lab.subnet
    if lab.prefixlen >= 31:
        return
    upper = list(lab.subnets())[1]
    for value in addresses:
        if ip_address(value) not in upper:
            yield Problem(
                f"{cluster.path}.gateway.addresses",
                FederationRule.GATEWAY_OUTSIDE_LAB,
                f"{value} is not in {upper}, the half of lab.subnet {lab} for load balancers: other clusters could not"
                f" reach the gateway of {cluster.name}, or a node could get the same address",
                "remove gateway.addresses, so that the address is computed, or use an address of that half",
            )


def gateway_addresses_differ(federation: Federation) -> Iterator[Problem]:
    """Of two gateways with one address and port, only one can be reached."""
    seen: dict[tuple[str, int], str] = {}
    for cluster in federation.clusters.values():
        for address in gateway_addresses.declared(cluster, federation.istio_of(cluster.name)):
            first = seen.setdefault((address, cluster.gateway.port), cluster.name)
            if first != cluster.name:
                yield Problem(
                    f"{cluster.path}.gateway.addresses",
                    FederationRule.GATEWAY_ADDRESS_TAKEN,
                    f"{gateway_addresses.with_port(address, cluster.gateway.port)} is also the address of the"
                    f" gateway of {first}: calls to {cluster.name} would arrive in {first}",
                    "give each gateway its own address or port",
                )


RULES = (
    subnets_are_usable,
    subnets_have_the_right_size,
    subnets_of_a_cluster_are_disjoint,
    subnets_on_one_network_are_disjoint,
    lab_has_room,
    gateway_addresses_fit,
    external_ips_fit,
    gateway_addresses_differ,
)
