"""Exports and imports: both sides must agree, and no host may mean two things."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from mesh_federation.plan import local_endpoints, routing
from mesh_federation.plan.samples import SAMPLES, labels
from mesh_federation.rules.names import from_name
from mesh_federation.stack.config import Export, Federation, Import, NamespacedName, Workload, is_address
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule
from mesh_federation.stack.text import nearest

_LABEL_VALUE = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_LOCALITY = re.compile(f"{_LABEL_VALUE}(/{_LABEL_VALUE}){{0,2}}")
"""Nodes carry each part as a label."""


def exports_by_service(federation: Federation) -> dict[tuple[str, NamespacedName], Export]:
    """Index the exports by cluster and service; of duplicates the first counts."""
    index: dict[tuple[str, NamespacedName], Export] = {}
    for export in federation.exports:
        index.setdefault((export.cluster, export.service), export)
    return index


def links_have_two_ends(federation: Federation) -> Iterator[Problem]:
    """A cluster is no foreign cluster of its own."""
    for export in federation.exports:
        for index, consumer in enumerate(export.to):
            if consumer.cluster == export.cluster:
                yield Problem(
                    f"{export.path}.to[{index}].cluster",
                    FederationRule.SELF_EXPORT,
                    f"{export.cluster} exports {export.service} to itself; its own workloads reach it anyway",
                    f"remove {export.cluster} from `to`, or name the cluster that shall call it",
                )
    for link in federation.imports:
        if link.cluster == link.source:
            yield Problem(
                link.path,
                FederationRule.SELF_IMPORT,
                f"{link.cluster} imports {link.service} from itself; a second entry for its host would hide it",
                "name the exporting cluster under `from`, or remove the import",
            )


def exports_name_consumers(federation: Federation) -> Iterator[Problem]:
    """`to` says who may call; nobody may call otherwise, so an empty list is a mistake."""
    for export in federation.exports:
        if not export.to:
            yield Problem(
                f"{export.path}.to",
                FederationRule.EMPTY_CONSUMERS,
                f"{export.cluster} exports {export.service}, but `to` is empty: nobody may call it",
                "name the clusters that may, for example to: [{cluster: ...}], or remove the export",
            )
        seen: set[str] = set()
        for index, consumer in enumerate(export.to):
            path = f"{export.path}.to[{index}]"
            if consumer.service_accounts == ():
                yield Problem(
                    f"{path}.serviceAccounts",
                    FederationRule.EMPTY_CONSUMERS,
                    f"{export.cluster} exports {export.service} to {consumer.cluster}, but to none of its service"
                    " accounts: nobody there may call it",
                    "name the callers as namespace/serviceAccount, or remove the key to admit every workload there",
                )
            if consumer.cluster in seen:
                yield Problem(
                    path,
                    FederationRule.DUPLICATE_CONSUMER,
                    f"{export.path} names {consumer.cluster} twice as consumer of {export.service}: which service"
                    " accounts may call would depend on the order",
                    "put all service accounts of that cluster into one entry",
                )
            seen.add(consumer.cluster)


def exports_are_declared_once(federation: Federation) -> Iterator[Problem]:
    """All that is offered of a service stands in one export."""
    index = exports_by_service(federation)
    for export in federation.exports:
        first = index[export.cluster, export.service]
        if first is not export:
            yield Problem(
                export.path,
                FederationRule.DUPLICATE_EXPORT,
                f"{export.cluster} exports {export.service} in {first.path} already; both would own the same objects",
                f"merge its ports and consumers into {first.path}",
            )


def exports_fit_the_sample(federation: Federation) -> Iterator[Problem]:
    """What guards a sample's pods selects them, and callers pin the account that they run as."""
    running = {(w.cluster, w.reference): w for w in federation.workloads}
    for export in federation.exports:
        workload = running.get((export.cluster, export.service))
        if workload is None:
            continue
        has = labels(workload)
        strange = {key: value for key, value in export.workload_labels.items() if has.get(key) != value}
        if strange:
            yield Problem(
                f"{export.path}.selector",
                FederationRule.SELECTOR_MISSES_SAMPLE,
                f"no pod of {workload.path} has {_told(strange)}, so the policy of {export.path} would cover none of"
                f" them, and refuse nobody; they have {_told(has)}",
                "remove the selector, or write labels that those pods have",
            )
        if export.identity.name != workload.reference.name:
            yield Problem(
                f"{export.path}.serviceAccount",
                FederationRule.ACCOUNT_OF_NOBODY,
                f"the pods of {workload.path} run as {workload.reference.name}, not {export.identity.name}: callers pin"
                " the account that the export names, and would refuse them",
                f"remove it, or write {workload.reference.name}",
            )


def exports_of_some_pods_of_another_agree(federation: Federation) -> Iterator[Problem]:
    """Policies of all exports of a pod stand in front of it, and each refuses what it does not know."""
    beside: dict[tuple[str, str], list[Export]] = defaultdict(list)
    for export in federation.exports:
        beside[export.cluster, export.service.namespace].append(export)
    for export in federation.exports:
        for other in beside[export.cluster, export.service.namespace]:
            if not other.workload_labels.items() > export.workload_labels.items():
                continue
            mine, others = (
                (set(routing.target_ports(federation, each)), frozenset(_consumers(each))) for each in (export, other)
            )
            if mine != others:
                yield Problem(
                    f"{other.path}.selector",
                    FederationRule.SELECTORS_OVERLAP,
                    f"pods with {_told(other.workload_labels)} are exported by {export.path} too, which selects"
                    f" {_told(export.workload_labels)}, with other ports or callers: the policy of each would refuse"
                    " callers of the other",
                    "write the same selector in both, which admits the callers of each on its ports, or labels that"
                    " no pod of the other has",
                )


def _consumers(export: Export) -> Iterator[tuple[str, str]]:
    for consumer in export.to:
        accounts = ("*",) if consumer.service_accounts is None else map(str, consumer.service_accounts)
        yield from ((consumer.cluster, account) for account in accounts)


def _told(selector: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(selector.items()))


def imports_are_consented(federation: Federation) -> Iterator[Problem]:
    """An import needs an export of that service whose `to` names the importing cluster."""
    index = exports_by_service(federation)
    offered: dict[str, list[str]] = defaultdict(list)
    for cluster, service in index:
        offered[cluster].append(str(service))
    for link in federation.imports:
        known = link.cluster in federation.clusters and link.source in federation.clusters
        if not known or link.cluster == link.source:
            continue
        export = index.get((link.source, link.service))
        if export is None:
            meant = nearest(str(link.service), offered[link.source])
            yield Problem(
                link.path,
                FederationRule.IMPORT_WITHOUT_EXPORT,
                f"{link.cluster} imports {link.service} from {link.source}, which does not export it",
                f"write {meant}, which {link.source} exports"
                if meant
                else f"add an export of {link.service} to cluster {link.source}, or remove the import",
            )
        elif link.cluster not in export.consumers:
            yield Problem(
                link.path,
                FederationRule.IMPORT_WITHOUT_CONSENT,
                f"{link.source} exports {link.service} but not to {link.cluster}",
                f"add {link.cluster} under `to` of {export.path}",
            )


def imports_are_declared_once(federation: Federation) -> Iterator[Problem]:
    """An import is identified by cluster, source, service and mode."""
    seen: dict[tuple[str, str, NamespacedName, str], Import] = {}
    for link in federation.imports:
        first = seen.setdefault((link.cluster, link.source, link.service, link.mode), link)
        if first is not link:
            yield Problem(
                link.path,
                FederationRule.DUPLICATE_IMPORT,
                f"{link.cluster} imports {link.service} from {link.source} as {link.mode} in {first.path} already",
                "remove one of the two",
            )


def hosts_mean_one_thing(federation: Federation) -> Iterator[Problem]:
    """A host that is both a local Service and a ServiceEntry is undefined in Istio (pitfall 14)."""
    running = {(w.cluster, w.reference): w.path for w in federation.workloads}
    exported = exports_by_service(federation)
    circular = {edge for cycle in _cycles(federation) for edge in cycle}
    modes: dict[tuple[str, NamespacedName], dict[str, Import]] = defaultdict(dict)
    for link in federation.imports:
        if link.cluster == link.source:
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
                f" {service.host} would be a ServiceEntry and a Service at once, undefined in Istio (pitfall 14)",
                f"use `as: local` for both where {cluster} runs the service, else `as: remote`",
            )
            continue
        if (cluster, service) in running:
            here = f"{cluster} runs it too ({running[cluster, service]})"
        elif (cluster, service) in exported and (cluster, service) not in circular:
            here = f"{cluster} exports it too ({exported[cluster, service].path})"
        else:
            continue
        yield Problem(
            remote.path,
            FederationRule.DUPLICATE_HOST,
            f"{cluster} imports {service} as remote, but {here}: {service.host} would be a ServiceEntry and a Service"
            " at once, which Istio leaves undefined (pitfall 14)",
            "write `as: local`, so that calls go to the pods of both, or `as: global` for a host of its own",
        )


def services_do_not_go_in_circles(federation: Federation) -> Iterator[Problem]:
    """A cluster that imports what it exports passes calls on; a circle of such clusters has nobody who answers."""
    links: dict[tuple[str, str, NamespacedName], Import] = {}
    for link in federation.imports:
        if link.mode == "remote":
            links.setdefault((link.cluster, link.source, link.service), link)
    for cycle in _cycles(federation):
        service = cycle[0][1]
        names = [cluster for cluster, _ in cycle]
        hops = list(zip(names, names[1:] + names[:1], strict=True))
        told = ", ".join(f"{a} from {b} ({links[a, b, service].path})" for a, b in hops)
        first = min((links[a, b, service] for a, b in hops), key=lambda link: link._index)
        yield Problem(
            first.path,
            FederationRule.RE_EXPORT_CYCLE,
            f"{service} goes in a circle: {told}; each exports it again as its own, so calls would never arrive",
            "in the cluster that runs it, remove the import or write `as: local`",
        )


def _cycles(federation: Federation) -> list[list[tuple[str, NamespacedName]]]:
    """Find circles of clusters that import a service as remote and export it: each starts at its least name."""
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
    """Find imports of a mode whose entries must be IP addresses, though the gateway has a host name.

    Returns:
        each with what there is to say: where the host name stands, and the name.
    """
    for link in federation.imports:
        source = federation.clusters.get(link.source)
        hosts = [a for a in source.gateway.addresses if not is_address(a)] if source else []
        if source and (link.mode, link.api, link.via) == (mode, "istio", "direct") and hosts:
            yield link, f"{source.path}.gateway.addresses has the host name {hosts[0]}"


def local_imports_have_addresses(federation: Federation) -> Iterator[Problem]:
    """`as: local` adds a WorkloadEntry to a Service's endpoints: endpoints are IP addresses (pitfall 15)."""
    for link, named in behind_host_names(federation, "local"):
        yield Problem(
            link.path,
            FederationRule.LOCAL_NEEDS_ADDRESS,
            f"{link.cluster} imports {link.service} `as: local`, which needs the IP address of {link.source}'s"
            f" gateway (pitfall 15); {named}",
            f"give the gateway of {link.source} an IP address, or write `api: gateway` or `as: remote`",
        )


def local_imports_fit_the_sample(federation: Federation) -> Iterator[Problem]:
    """`as: local` joins a Service by its port names and selector, and callers pin its ServiceAccount (pitfall 15)."""
    running = {(w.cluster, w.reference): w for w in federation.workloads}
    exports = exports_by_service(federation)
    for link in federation.imports:
        workload = running.get((link.cluster, link.service))
        export = exports.get((link.source, link.service))
        if link.mode != "local" or workload is None or export is None:
            continue
        for problem, fix in _misfits(link, export, workload):
            told = f"{link.cluster} imports {link.service} `as: local` beside its sample {workload.path}, but {problem}"
            yield Problem(link.path, FederationRule.LOCAL_SAMPLE_DIFFERS, told, fix)


def _misfits(link: Import, export: Export, workload: Workload) -> Iterator[tuple[str, str]]:
    port = SAMPLES[workload.sample].port
    strange = [p for p in link.ports or export.ports if (p.name, p.number) != ("http", port)]
    if strange:
        yield (
            f"the Service of the sample has port http {port}, not {strange[0].name} {strange[0].number}: no call would"
            " reach the remote pods",
            f"import the port http {port} alone, or remove {workload.path}",
        )
    if export.workload_labels.get("app") != workload.sample:
        yield (
            f"the Service of the sample selects app={workload.sample}, which the labels of {export.path} lack: the"
            " remote pods would never join it",
            f"add app: {workload.sample} to the selector of {export.path}, or remove {workload.path}",
        )
    yield from other_accounts(link, export, workload)


def other_accounts(link: Import, export: Export, workload: Workload) -> Iterator[tuple[str, str]]:
    """Tell where callers would pin another ServiceAccount than a sample's pods run as, and what to do."""
    account = link.service_account or export.identity.name
    if account != workload.sample:
        yield (
            f"its pods run as {workload.sample}, and callers would expect {account}: they would refuse the local pods",
            f"add serviceAccount: {workload.sample} to {link.path}",
        )


def local_keys_stand_on_local_imports(federation: Federation) -> Iterator[Problem]:
    """Only an import beside pods of its own cluster has any of those behind the host."""
    for link in federation.imports:
        if link.service_account is not None and not local_endpoints.answer(federation, link):
            yield Problem(
                f"{link.path}.serviceAccount",
                FederationRule.KEY_WITHOUT_EFFECT,
                f"{link.service_account} has no effect: {link.cluster} imports {link.service} as {link.mode}, and"
                " `serviceAccount` names that of local pods",
                f"remove it; that of the remote pods is `serviceAccount` of {link.source}'s export",
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
                f'"{locality}" is no locality: Istio compares region, zone and subzone, parted by slashes',
                "write it as region, region/zone or region/zone/subzone, for example eu/west-1",
            )
    for link in federation.imports:
        region = link.failover.to if link.failover else None
        if region is not None and ("/" in region or not _LOCALITY.fullmatch(region)):
            yield Problem(
                f"{link.path}.failover.to",
                FederationRule.BAD_LOCALITY,
                f'"{region}" is no region; Istio fails over between regions, not zones',
                f"write the region alone, for example {region.split('/')[0] or 'west'}",
            )


RULES = (
    links_have_two_ends,
    exports_name_consumers,
    exports_are_declared_once,
    exports_fit_the_sample,
    exports_of_some_pods_of_another_agree,
    imports_are_consented,
    imports_are_declared_once,
    hosts_mean_one_thing,
    services_do_not_go_in_circles,
    local_imports_have_addresses,
    local_imports_fit_the_sample,
    local_keys_stand_on_local_imports,
    localities_are_paths,
)
