"""Imports: both clusters agree, each host has one definition, and remote pods match the local ones."""

import re
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from mesh_federation.plan.imports import has_local_endpoints
from mesh_federation.plan.samples import SAMPLES
from mesh_federation.rules.exports import exports_by_service
from mesh_federation.rules.names import SUBDOMAIN, from_name
from mesh_federation.stack.config import Export, Federation, Import, NamespacedName, Workload, is_address
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule
from mesh_federation.stack.text import excerpt, nearest

_LABEL_VALUE = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_LOCALITY = re.compile(f"{_LABEL_VALUE}(/{_LABEL_VALUE}){{0,2}}")
"""Each part is a label of nodes."""


def clusters_do_not_import_from_themselves(federation: Federation) -> Iterator[Problem]:
    """A second definition of the host would hide the service."""
    for link in federation.imports:
        if link.cluster == link.source:
            yield Problem(
                link.path,
                FederationRule.SELF_IMPORT,
                f"{link.cluster} imports {link.service} from itself: a second definition of its host would hide the"
                " service",
                "name the exporting cluster under `from`, or remove the import",
            )


def imports_are_consented(federation: Federation) -> Iterator[Problem]:
    """An import needs an export of that service whose `to` names the importing cluster."""
    index = exports_by_service(federation)
    exported: dict[str, list[str]] = defaultdict(list)
    for cluster, service in index:
        exported[cluster].append(str(service))
    for link in federation.imports:
        known = link.cluster in federation.clusters and link.source in federation.clusters
        if not known or link.cluster == link.source:
            continue
        export = index.get((link.source, link.service))
        if export is None:
            meant = nearest(str(link.service), exported[link.source])
            lacks, fix = _not_exported(federation, link)
            yield Problem(
                link.path,
                FederationRule.IMPORT_WITHOUT_EXPORT,
                f"{link.cluster} imports {link.service} from {link.source}, but {lacks}",
                f"write {meant}, which {link.source} exports" if meant else fix,
            )
        elif link.cluster not in export.consumers:
            yield Problem(
                link.path,
                FederationRule.IMPORT_WITHOUT_CONSENT,
                f"{link.source} exports {link.service}, but not to {link.cluster}",
                f"add {link.cluster} under `to` of {export.path}",
            )


def _not_exported(federation: Federation, link: Import) -> tuple[str, str]:
    """Say that a service is not exported where its export would be declared, and what to do."""
    if link.source not in federation.partners:
        return f"{link.source} does not export it", f"export {link.service} from {link.source}, or remove the import"
    domain = federation.clusters[link.cluster].trust_domain
    fix = f"ask {link.source} to export {link.service} to {domain} and to send a new card, or remove the import"
    return f"the card of {link.source} does not offer it to {domain}", fix


def imports_are_declared_once(federation: Federation) -> Iterator[Problem]:
    """An import is identified by cluster, source, service and mode."""
    seen: dict[tuple[str, str, NamespacedName, str, str], Import] = {}
    for link in federation.imports:
        first = seen.setdefault((link.cluster, link.source, link.service, link.mode, link.host), link)
        if first is not link:
            yield Problem(
                link.path,
                FederationRule.DUPLICATE_IMPORT,
                f"{first.path} already imports {link.service} from {link.source} into {link.cluster} as {link.mode}",
                "remove one of the two",
            )


def own_hosts_are_names_of_their_own(federation: Federation) -> Iterator[Problem]:
    """Callers' own name for a service is a host name that nothing else in the cluster has."""
    seen: dict[tuple[str, str], Import] = {}
    for link in federation.imports:
        if link.own_host is None:
            continue
        first = seen.setdefault((link.cluster, link.own_host), link)
        if (link.mode, link.via, link.api) != ("remote", "direct", "istio"):
            yield Problem(
                f"{link.path}.host",
                FederationRule.OWN_HOST,
                "a name of your own for a service works with `as: remote`, `via: direct` and `api: istio` alone",
                "use these, or remove `host`",
            )
        elif not _is_of_no_cluster(federation, link.own_host):
            yield Problem(
                f"{link.path}.host",
                FederationRule.OWN_HOST,
                f"{excerpt(link.own_host) or 'the empty text'} is no host name that a service of another mesh can have:"
                " it needs two labels in lower case, and names that end with .svc, cluster.local or another cluster"
                " domain are those of Services in a cluster",
                "write, for example, payments.partner.example",
            )
        elif taken := _taken(federation, link):
            yield Problem(
                f"{link.path}.host",
                FederationRule.OWN_HOST,
                f"{link.own_host} is {taken}: of two services under one name, calls could reach either",
                "give the import another name",
            )
        elif first.service != link.service:
            yield Problem(
                f"{link.path}.host",
                FederationRule.OWN_HOST,
                f"{first.path} imports {first.service} under the same name, {link.own_host}: calls could reach either"
                " service",
                "give one of them another name",
            )


def _is_of_no_cluster(federation: Federation, host: str) -> bool:
    """Say whether a name has the form of a host name, and is none of a Service in any cluster of this stack."""
    of_services = (".svc", *(f".{each}" for each in federation.own_domains))
    return "." in host and SUBDOMAIN.fullmatch(host) is not None and not f".{host}".endswith(of_services)


def _taken(federation: Federation, link: Import) -> str:
    """Say what in the importing cluster has the own name of an import already; empty if nothing is known to."""
    others: tuple[Export | Import, ...] = (*federation.exports, *federation.imports)
    for other in others:
        service, is_global = other.service, isinstance(other, Export) or other.mode == "global"
        if other is link or other.cluster != link.cluster:
            continue
        if is_global and other.global_host == link.own_host:
            return f"the global host of {service} ({other.path})"
        if link.own_host in (f"{service.name}.{service.namespace}", f"{service.name}.{service.namespace}.svc"):
            return f"a name of {service} ({other.path})"
    for workload in federation.workloads:
        reference = workload.reference
        if workload.cluster == link.cluster and link.own_host == f"{reference.name}.{reference.namespace}":
            return f"a name of the sample {workload.path}"
    return ""


def hosts_mean_one_thing(federation: Federation) -> Iterator[Problem]:
    """A host that is both a Service and a ServiceEntry is undefined in Istio (pitfall 14)."""
    running = {(w.cluster, w.reference): w.path for w in federation.workloads}
    exported = exports_by_service(federation)
    circular = {edge for cycle in _cycles(federation) for edge in cycle}
    modes: dict[tuple[str, NamespacedName], dict[str, Import]] = defaultdict(dict)
    for link in federation.imports:
        if link.cluster == link.source or link.own_host is not None:
            continue
        modes[link.cluster, link.service].setdefault(link.mode, link)
    for (cluster, service), first in modes.items():
        remote, local = first.get("remote"), first.get("local")
        if remote is None:
            continue
        if local is not None:
            later = max(remote, local, key=lambda link: link._index)
            yield Problem(
                later.path,
                FederationRule.DUPLICATE_HOST,
                f"{remote.path} imports {service} as remote and {local.path} as local, both in {cluster}:"
                f" {remote.host} would be a ServiceEntry and a Service, which Istio leaves undefined (pitfall 14)",
                f"use `as: local` for both where {cluster} runs the service, else `as: remote`",
            )
            continue
        if (cluster, service) in running:
            here = f"{cluster} runs it itself ({running[cluster, service]})"
        elif (cluster, service) in exported and (cluster, service) not in circular:
            here = f"{cluster} exports it itself ({exported[cluster, service].path})"
        else:
            continue
        yield Problem(
            remote.path,
            FederationRule.DUPLICATE_HOST,
            f"{cluster} imports {service} as remote, but {here}: {remote.host} would be a ServiceEntry and a"
            " Service, which Istio leaves undefined (pitfall 14)",
            "write `as: local` to call the pods of both clusters, or `as: global` for a separate host",
        )


def services_do_not_go_in_circles(federation: Federation) -> Iterator[Problem]:
    """A cluster that imports what it exports forwards calls; in a circle of such clusters, none answers."""
    links: dict[tuple[str, str, NamespacedName], Import] = {}
    for link in federation.imports:
        if link.mode == "remote":
            links.setdefault((link.cluster, link.source, link.service), link)
    for cycle in _cycles(federation):
        service = cycle[0][1]
        names = [cluster for cluster, _ in cycle]
        hops = list(zip(names, names[1:] + names[:1], strict=True))
        path = ", ".join(f"{a} from {b} ({links[a, b, service].path})" for a, b in hops)
        first = min((links[a, b, service] for a, b in hops), key=lambda link: link._index)
        yield Problem(
            first.path,
            FederationRule.RE_EXPORT_CYCLE,
            f"{service} is imported in a circle: {path}. Each cluster exports it again, so no call would reach a pod",
            "in the cluster that runs it, remove the import or write `as: local`",
        )


def _cycles(federation: Federation) -> list[list[tuple[str, NamespacedName]]]:
    """Find circles of clusters that import a service as remote and export it; each starts at its first name."""
    exported = exports_by_service(federation)
    graph: dict[tuple[str, NamespacedName], set[tuple[str, NamespacedName]]] = defaultdict(set)
    for link in federation.imports:
        ends = (link.cluster, link.service), (link.source, link.service)
        if link.mode == "remote" and link.cluster != link.source and all(end in exported for end in ends):
            graph[ends[0]].add(ends[1])
    found = []
    while (cycle := _cycle(graph)) is not None:
        found.append(cycle)
        graph[cycle[0]].discard(cycle[1 % len(cycle)])
    return found


def _cycle(
    graph: dict[tuple[str, NamespacedName], set[tuple[str, NamespacedName]]],
) -> list[tuple[str, NamespacedName]] | None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # graphlib lists a circle against the direction of our edges, its first node again at the end.
        nodes: list[tuple[str, NamespacedName]] = list(reversed(error.args[1]))[:-1]
        start = nodes.index(min(nodes))
        return nodes[start:] + nodes[:start]
    return None


def behind_host_names(federation: Federation, mode: str) -> Iterator[tuple[Import, str]]:
    """Find imports of a mode that need the gateway's IP addresses, although it has a host name.

    Returns:
        each import, with a sentence that names the host name and its key.
    """
    for link in federation.imports:
        source = federation.clusters.get(link.source)
        hosts = [a for a in source.gateway.addresses if not is_address(a)] if source else []
        if source and (link.mode, link.api, link.via) == (mode, "istio", "direct") and hosts:
            yield link, f"{source.path}.gateway.addresses has the host name {hosts[0]}"


def local_imports_have_addresses(federation: Federation) -> Iterator[Problem]:
    """`as: local` adds a WorkloadEntry to the endpoints of a Service, which are IP addresses (pitfall 15)."""
    for link, named in behind_host_names(federation, "local"):
        yield Problem(
            link.path,
            FederationRule.LOCAL_NEEDS_ADDRESS,
            f"{link.cluster} imports {link.service} `as: local`, which needs the IP address of {link.source}'s"
            f" gateway (pitfall 15); {named}",
            f"give the gateway of {link.source} an IP address, or write `api: gateway` or `as: remote`",
        )


def local_imports_fit_the_sample(federation: Federation) -> Iterator[Problem]:
    """`as: local` joins a Service by port names and selector, and callers pin its ServiceAccount (pitfall 15)."""
    running = {(w.cluster, w.reference): w for w in federation.workloads}
    exports = exports_by_service(federation)
    for link in federation.imports:
        workload = running.get((link.cluster, link.service))
        export = exports.get((link.source, link.service))
        if link.mode != "local" or workload is None or export is None:
            continue
        for problem, fix in _misfits(link, export, workload):
            beside = f"{link.cluster} imports {link.service} `as: local` beside its sample {workload.path}"
            yield Problem(link.path, FederationRule.LOCAL_SAMPLE_DIFFERS, f"{beside}, but {problem}", fix)


def _misfits(link: Import, export: Export, workload: Workload) -> Iterator[tuple[str, str]]:
    port = SAMPLES[workload.sample].port
    strange = [p for p in link.ports or export.ports if (p.name, p.number) != ("http", port)]
    if strange:
        yield (
            f"the Service of the sample has port http {port}, not {strange[0].name} {strange[0].number}: no call would"
            " reach the remote pods",
            f"import only the port http {port}, or remove {workload.path}",
        )
    if export.workload_labels.get("app") != workload.sample:
        yield (
            f"the Service of the sample selects app={workload.sample}, which the labels of {export.path} do not"
            " include: the remote pods would not become its endpoints",
            f"add app: {workload.sample} to the selector of {export.path}, or remove {workload.path}",
        )
    yield from other_accounts(link, export, workload)


def other_accounts(link: Import, export: Export, workload: Workload) -> Iterator[tuple[str, str]]:
    """Yield the problem and the fix if callers would pin another ServiceAccount than the sample's pods have."""
    account = link.service_account or export.identity.name
    if account != workload.sample:
        yield (
            f"its pods run as {workload.sample}, and callers pin {account}, so they would refuse the local pods",
            f"add serviceAccount: {workload.sample} to {link.path}",
        )


def service_accounts_are_of_local_pods(federation: Federation) -> Iterator[Problem]:
    """`serviceAccount` of an import names the account of local pods, which only some imports have."""
    for link in federation.imports:
        if link.service_account is not None and not has_local_endpoints(federation, link):
            yield Problem(
                f"{link.path}.serviceAccount",
                FederationRule.KEY_WITHOUT_EFFECT,
                f"{link.service_account} has no effect: `serviceAccount` is that of local pods, and {link.cluster} has"
                f" none behind {link.service}, which it imports as {link.mode}",
                f"remove it; the export of {link.source} has the `serviceAccount` of the remote pods",
            )


def localities_are_paths(federation: Federation) -> Iterator[Problem]:
    """A locality is region[/zone[/subzone]]."""
    places = [(f"{c.path}.locality", c.locality) for c in federation.clusters.values() if not from_name(c, c.locality)]
    places += [(f"{i.path}.locality", i.locality) for i in federation.imports if i.locality is not None]
    for path, locality in places:
        if not _LOCALITY.fullmatch(locality):
            yield Problem(
                path,
                FederationRule.BAD_LOCALITY,
                f'"{locality}" is not a locality: Istio compares region, zone and subzone, separated by slashes',
                "write it as region, region/zone or region/zone/subzone, for example eu/west-1",
            )
    for link in federation.imports:
        region = link.failover.to if link.failover else None
        if region is not None and ("/" in region or not _LOCALITY.fullmatch(region)):
            yield Problem(
                f"{link.path}.failover.to",
                FederationRule.BAD_LOCALITY,
                f'"{region}" is not a region, and Istio fails over between regions only',
                f"write only the region, for example {region.split('/')[0] or 'west'}",
            )


RULES = (
    clusters_do_not_import_from_themselves,
    imports_are_consented,
    own_hosts_are_names_of_their_own,
    imports_are_declared_once,
    hosts_mean_one_thing,
    services_do_not_go_in_circles,
    local_imports_have_addresses,
    local_imports_fit_the_sample,
    service_accounts_are_of_local_pods,
    localities_are_paths,
)
