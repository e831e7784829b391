"""Endpoint discovery: it joins two clusters to one mesh, so it cannot be combined with what needs two meshes."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from mesh_federation.stack.config import Cluster, Discovery, Federation, NamespacedName
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule


def _links(federation: Federation) -> Iterator[tuple[Discovery, Cluster, Cluster]]:
    """Yield the links between declared clusters, with the reading cluster and the cluster that is read."""
    for link in federation.discovery:
        here, there = federation.clusters.get(link.cluster), federation.clusters.get(link.of)
        if here and there and here is not there:
            yield link, here, there


def links_are_declared_once(federation: Federation) -> Iterator[Problem]:
    """A link is one remote Secret, and a cluster is not remote to itself."""
    seen: dict[tuple[str, str], str] = {}
    for link in federation.discovery:
        first = seen.setdefault((link.cluster, link.of), link.path)
        if first != link.path:
            problem = (
                f"{first} already lets {link.cluster} discover {link.of}, and both would be the same remote Secret"
            )
            yield Problem(link.path, FederationRule.DUPLICATE_DISCOVERY, problem, "remove one of the two")
        if link.cluster == link.of:
            problem = f"{link.cluster} discovers itself, but its istiod always reads its own API server"
            yield Problem(link.path, FederationRule.SELF_DISCOVERY, problem, "name the other cluster under `of`")


def both_are_of_one_mesh(federation: Federation) -> Iterator[Problem]:
    """Discovery exposes all services without consent, so it stays in one mesh with one trust domain (pitfall 45)."""
    for link, here, there in _links(federation):
        if here.mesh_id != there.mesh_id:
            yield Problem(
                link.path,
                FederationRule.DISCOVERY_ACROSS_MESHES,
                f"{link.cluster} (meshID {here.mesh_id}) would read all endpoints of {link.of} (meshID"
                f" {there.mesh_id}): endpoint discovery joins both to one mesh, without exports or consent",
                f"give both the same meshID and trustDomain, or export the services of {link.of} instead",
            )


def both_have_istio_in_one_namespace(federation: Federation) -> Iterator[Problem]:
    """Istiod looks for the configuration of a remote cluster in the namespace that it runs in itself."""
    for link, here, there in _links(federation):
        if here.istio_namespace != there.istio_namespace:
            yield Problem(
                link.path,
                FederationRule.DISCOVERY_OF_NAMESPACE,
                f"Istio of {here.name} is in {here.istio_namespace}, and that of {there.name} in"
                f" {there.istio_namespace}: the istiod of {here.name} looks for both in the first",
                "write one namespace for both: istio.namespace",
            )


def pods_reach_each_other(federation: Federation) -> Iterator[Problem]:
    """On one network, pods call each other directly, and there are no routes between Docker's nodes (pitfall 43)."""
    for link, here, there in _links(federation):
        if here.network != there.network or here.mesh_id != there.mesh_id:
            continue
        confined = next((each for each in (there, here) if each.provider.in_docker), None)
        if confined:
            yield Problem(
                link.path,
                FederationRule.DISCOVERY_WITHOUT_ROUTE,
                f'{here.name} and {there.name} are both on the network "{here.network}", so pods would call each other'
                f" by address, but there is no route to the pods of a {confined.provider.name} cluster (pitfall 43)",
                f"give {confined.name} its own network, for example {confined.name}-network, so that calls use the"
                " gateways",
            )


def api_servers_are_reached(federation: Federation) -> Iterator[Problem]:
    """Istiod is a pod: it can read only API servers that pods reach (pitfall 46)."""
    for link, here, there in _links(federation):
        if here.provider.runs_pods and not there.provider.runs_pods:
            yield Problem(
                link.path,
                FederationRule.DISCOVERY_OF_SIMULATED,
                f"the istiod of {here.name} cannot read {there.name}: the API server of a simulated cluster listens"
                " only on this machine's loopback address, which no pod reaches",
                f"use provisioner {here.provider.name} for {there.name} too, or remove this link",
            )
    for cluster in federation.clusters.values():
        problem = _unreachable(cluster.api_server) if cluster.api_server is not None else None
        if problem:
            yield Problem(
                f"{cluster.path}.apiServer",
                FederationRule.BAD_API_SERVER,
                f'"{cluster.api_server}" {problem}, so istiods of other clusters could not read {cluster.name}',
                f"write the address at which other clusters reach it, for example https://{cluster.name}.example.com:6443",
            )


def _unreachable(address: str) -> str | None:
    """Say why no pod can read an API server at an address; None if pods can."""
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError:
        return "is not a URL"
    if not re.fullmatch(r"https://[^/?#@\s]+(/[^?#@\s]*)?", address) or not parts.hostname:
        return "is not of the form https://host:port or https://host:port/path"
    return "is a loopback address" if _is_loopback(parts.hostname) else None


def _is_loopback(host: str) -> bool:
    """Say whether a host name or address is a loopback one."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def gateways_are_found(federation: Federation) -> Iterator[Problem]:
    """Other istiods read a gateway's addresses from its Service, not from the stack file."""
    reported: set[str] = set()
    for link, here, there in _links(federation):
        if here.network == there.network or there.has_lab_address or there.name in reported:
            continue
        if there.gateway.addresses:
            reported.add(there.name)
            yield Problem(
                f"{there.path}.gateway.addresses",
                FederationRule.DISCOVERED_GATEWAY_ADDRESS,
                f"{there.gateway.addresses[0]} would not be used: with {link.path}, the istiod of {here.name} reads the"
                f" addresses of {there.name}'s gateway from its Service, where a load balancer writes them",
                "remove the addresses, and use a load balancer whose addresses the other cluster reaches",
            )


def open_gateways_serve_one_mesh(federation: Federation) -> Iterator[Problem]:
    """The gateway of a discovered cluster forwards calls to every service, from every accepted caller (pitfall 25).

    An export or import makes its workloads accept identities of another mesh, which could then call everything.
    """
    opened = {there.name: link for link, here, there in _links(federation) if here.network != there.network}
    for export in federation.exports:
        if link := opened.get(export.cluster):
            yield Problem(
                export.path,
                FederationRule.EXPORT_THROUGH_OPEN_GATEWAY,
                f"{export.cluster} exports {export.service}, but because of {link.path} its gateway forwards calls to"
                " every service: the consumers of this export could call all of them",
                f"remove the export ({link.cluster} discovers the service without it), or remove {link.path}",
            )
    for imported in federation.imports:
        if imported.cluster in opened and imported.source not in opened and imported.source != imported.cluster:
            link = opened[imported.cluster]
            yield Problem(
                imported.path,
                FederationRule.IMPORT_THROUGH_OPEN_GATEWAY,
                f"{imported.cluster} imports {imported.service} from {imported.source}, so it accepts identities of"
                f" {imported.source}; because of {link.path} its gateway forwards calls to every service:"
                f" {imported.source} could call all services of {imported.cluster}",
                f"import it in a cluster that is not discovered, or remove {link.path}",
            )


def hosts_are_not_known_twice(federation: Federation) -> Iterator[Problem]:
    """A service of a discovered cluster already has a host, and a second definition is undefined (pitfall 14)."""
    sees: dict[str, set[str]] = defaultdict(set)
    for _, here, there in _links(federation):
        sees[here.name].add(there.name)
    running = _running(federation)
    for imported in federation.imports:
        if imported.cluster == imported.source or imported.mode == "global":
            continue
        if imported.source in sees[imported.cluster]:
            what = f"{imported.cluster} discovers {imported.source} and with it this service"
        elif imported.mode == "remote" and (found := running.get(imported.service, set()) & sees[imported.cluster]):
            what = f"{imported.cluster} discovers {min(found)}, which also runs a service of that name"
        else:
            continue
        yield Problem(
            imported.path,
            FederationRule.IMPORT_OF_DISCOVERED,
            f"{imported.cluster} imports {imported.service} as {imported.mode}, but {what}: {imported.host} would be"
            " defined twice, which Istio leaves undefined (pitfall 14)",
            "remove the import, or the discovery link",
        )


def _running(federation: Federation) -> Mapping[NamespacedName, set[str]]:
    """Return the clusters that run each sample."""
    running: dict[NamespacedName, set[str]] = defaultdict(set)
    for workload in federation.workloads:
        running[workload.reference].add(workload.cluster)
    return running


RULES = (
    links_are_declared_once,
    both_are_of_one_mesh,
    both_have_istio_in_one_namespace,
    pods_reach_each_other,
    api_servers_are_reached,
    gateways_are_found,
    open_gateways_serve_one_mesh,
    hosts_are_not_known_twice,
)
