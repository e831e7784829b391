"""Endpoint discovery: it makes one mesh of two clusters, so what belongs to two meshes must stay out of it."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from mesh_federation.stack.config import Cluster, Discovery, Federation, NamespacedName
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule


def _links(federation: Federation) -> Iterator[tuple[Discovery, Cluster, Cluster]]:
    """Links between two declared clusters: the reading one and the one that is read."""
    for link in federation.discovery:
        here, there = federation.clusters.get(link.cluster), federation.clusters.get(link.of)
        if here and there and here is not there:
            yield link, here, there


def links_are_declared_once(federation: Federation) -> Iterator[Problem]:
    """A link is one Secret, and no cluster is remote to itself."""
    seen: dict[tuple[str, str], str] = {}
    for link in federation.discovery:
        first = seen.setdefault((link.cluster, link.of), link.path)
        if first != link.path:
            problem = f"{link.cluster} discovers {link.of} in {first} already: both are one remote Secret"
            yield Problem(link.path, FederationRule.DUPLICATE_DISCOVERY, problem, "remove one of the two")
        if link.cluster == link.of:
            problem = f"{link.cluster} discovers itself; its istiod reads its own API server anyway"
            yield Problem(link.path, FederationRule.SELF_DISCOVERY, problem, "name the other cluster under `of`")


def both_are_of_one_mesh(federation: Federation) -> Iterator[Problem]:
    """All services of all namespaces, no consent: so it stays in one mesh (pitfall 45), which has one trust already."""
    for link, here, there in _links(federation):
        if here.mesh_id != there.mesh_id:
            yield Problem(
                link.path,
                FederationRule.DISCOVERY_ACROSS_MESHES,
                f"{link.cluster} (meshID {here.mesh_id}) would read all endpoints of {link.of} (meshID {there.mesh_id})"
                ": endpoint discovery makes one mesh of both, without exports or consent",
                f"give both the same meshID and trustDomain, or export single services of {link.of} instead",
            )


def pods_reach_each_other(federation: Federation) -> Iterator[Problem]:
    """On one network calls go to pods directly, and nobody makes routes between Docker's nodes (pitfall 43)."""
    for link, here, there in _links(federation):
        if here.network != there.network or here.mesh_id != there.mesh_id:
            continue
        confined = next((each for each in (there, here) if each.provider.in_docker), None)
        if confined:
            yield Problem(
                link.path,
                FederationRule.DISCOVERY_WITHOUT_ROUTE,
                f'{here.name} and {there.name} are both on the network "{here.network}", so pods would call each other'
                f" by address, but no route leads to the pods of a {confined.provider.name} cluster (pitfall 43)",
                f"give {confined.name} a network of its own, for example {confined.name}-network: calls then pass the"
                " gateways",
            )


def api_servers_are_reached(federation: Federation) -> Iterator[Problem]:
    """Istiod is a pod: it reads only what pods reach (pitfall 46)."""
    for link, here, there in _links(federation):
        if here.provider.runs_pods and not there.provider.runs_pods:
            yield Problem(
                link.path,
                FederationRule.DISCOVERY_OF_SIMULATED,
                f"{here.name} runs an istiod, but the API server of {there.name}, which is simulated, listens on this"
                " machine's loopback address alone: no pod reaches it",
                f"make {there.name} with {here.provider.name} too, or remove this link",
            )
    for cluster in federation.clusters.values():
        problem = _unreachable(cluster.api_server) if cluster.api_server is not None else None
        if problem:
            yield Problem(
                f"{cluster.path}.apiServer",
                FederationRule.BAD_API_SERVER,
                f'"{cluster.api_server}" {problem}: istiods of other clusters could not read {cluster.name}',
                f"write its address as pods elsewhere reach it, for example https://{cluster.name}.example.com:6443",
            )


def _unreachable(address: str) -> str | None:
    """Say why no pod can read an API server there."""
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError:
        return "is no address"
    if not re.fullmatch(r"https://[^/?#@\s]+(/[^?#@\s]*)?", address) or not parts.hostname:
        return "is no https address of the form https://host:port or https://host:port/path"
    return "is the loopback address of whoever uses it" if _is_loopback(parts.hostname) else None


def _is_loopback(host: str) -> bool:
    """Say whether a host name or address is every machine's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def gateways_are_found(federation: Federation) -> Iterator[Problem]:
    """Other istiods read a gateway's addresses off its Service; what only the stack file knows, they do not."""
    told: set[str] = set()
    for link, here, there in _links(federation):
        if here.network == there.network or there.has_lab_address or there.name in told:
            continue
        if there.gateway.addresses:
            told.add(there.name)
            yield Problem(
                f"{there.path}.gateway.addresses",
                FederationRule.DISCOVERED_GATEWAY_ADDRESS,
                f"{there.gateway.addresses[0]} would not be used: {link.path} lets the istiod of {here.name} read the"
                f" addresses of {there.name}'s gateway off its Service, where its load balancer writes them",
                "remove the addresses, and let the load balancer give the Service one that the other cluster reaches",
            )


def open_gateways_serve_one_mesh(federation: Federation) -> Iterator[Problem]:
    """The gateway of a discovered cluster passes calls for every service on, to whoever its mesh accepts (pitfall 25).

    An export or import makes its workloads accept another mesh's identities, and so would export everything to it.
    """
    opened = {there.name: link for link, here, there in _links(federation) if here.network != there.network}
    for export in federation.exports:
        if link := opened.get(export.cluster):
            yield Problem(
                export.path,
                FederationRule.EXPORT_THROUGH_OPEN_GATEWAY,
                f"{export.cluster} exports {export.service}, but for {link.path} its gateway passes calls for every"
                " service on: whoever may call this one could call all",
                f"remove the export ({link.cluster} sees the service without it), or remove {link.path}",
            )
    for imported in federation.imports:
        if imported.cluster in opened and imported.source not in opened and imported.source != imported.cluster:
            link = opened[imported.cluster]
            yield Problem(
                imported.path,
                FederationRule.IMPORT_THROUGH_OPEN_GATEWAY,
                f"{imported.cluster} imports {imported.service} from {imported.source} and so accepts its identities,"
                f" but for {link.path} its gateway passes calls for every service on: {imported.source} could call all"
                f" services of {imported.cluster}",
                f"import it in a cluster that nobody discovers, or remove {link.path}",
            )


def hosts_are_not_known_twice(federation: Federation) -> Iterator[Problem]:
    """A service of a discovered cluster has its host already; a ServiceEntry for it is undefined (pitfall 14)."""
    sees: dict[str, set[str]] = defaultdict(set)
    for _, here, there in _links(federation):
        sees[here.name].add(there.name)
    running = _running(federation)
    for imported in federation.imports:
        if imported.cluster == imported.source or imported.mode == "global":
            continue
        if imported.source in sees[imported.cluster]:
            what = f"{imported.cluster} discovers {imported.source}, so it knows the service without an import"
        elif imported.mode == "remote" and (found := running.get(imported.service, set()) & sees[imported.cluster]):
            what = f"{imported.cluster} discovers {min(found)}, which runs a service of that name too"
        else:
            continue
        yield Problem(
            imported.path,
            FederationRule.IMPORT_OF_DISCOVERED,
            f"{imported.cluster} imports {imported.service} as {imported.mode}, but {what}: {imported.host} would mean"
            " two things at once, which Istio leaves undefined (pitfall 14)",
            "remove the import, or the discovery",
        )


def _running(federation: Federation) -> Mapping[NamespacedName, set[str]]:
    """Which clusters run a sample of a name."""
    running: dict[NamespacedName, set[str]] = defaultdict(set)
    for workload in federation.workloads:
        running[workload.reference].add(workload.cluster)
    return running


RULES = (
    links_are_declared_once,
    both_are_of_one_mesh,
    pods_reach_each_other,
    api_servers_are_reached,
    gateways_are_found,
    open_gateways_serve_one_mesh,
    hosts_are_not_known_twice,
)
