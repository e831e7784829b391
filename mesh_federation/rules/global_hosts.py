"""Global hosts and the Gateway API: hosts with one meaning, and gateways that Istio looks up by network."""

from collections.abc import Iterator

from mesh_federation.clusters.settings import CLUSTER_DOMAIN
from mesh_federation.plan import gateway_addresses, local_endpoints
from mesh_federation.plan.samples import SAMPLES
from mesh_federation.rules.exports import exports_by_service
from mesh_federation.rules.imports import behind_host_names, other_accounts
from mesh_federation.rules.names import SUBDOMAIN
from mesh_federation.stack.config import (
    GLOBAL_HOST,
    Export,
    Federation,
    Import,
    NamespacedName,
    Port,
    Workload,
    global_host,
)
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule
from mesh_federation.stack.text import excerpt

_MOST_CHARACTERS = 253
"""Of a host name (RFC 1035)."""
_MOST_ADDRESSES = 16
"""Of a Gateway of the Gateway API, by its definition."""


def global_hosts_differ(federation: Federation) -> Iterator[Problem]:
    """Without the namespace in global hosts, services of two namespaces can have one host."""
    seen: dict[tuple[str, str], Import] = {}
    for link in federation.imports:
        if link.mode != "global":
            continue
        for cluster, verb in ((link.cluster, "imports"), (link.source, "exports")):
            first = seen.setdefault((cluster, link.host), link)
            if first.service != link.service:
                yield Problem(
                    link.path,
                    FederationRule.GLOBAL_HOST_TAKEN,
                    f"{link.service} would have the host {link.host} in {cluster}, but {first.path} {verb}"
                    f" {first.service} under that host: calls could reach either service",
                    'write globalHost: "{name}.{namespace}.mesh.global", or import one of them `as: remote`',
                )
                break


def global_hosts_have_a_form(federation: Federation) -> Iterator[Problem]:
    """A global host is a name of DNS (RFC 1123), by which Istio's proxies and gateways know one service."""
    form = federation.global_host_form
    fix = 'write it as "{name}.mesh.global" or "{name}.{namespace}.mesh.global"'
    services = {each.service for each in (*federation.exports, *federation.imports)}
    hosts = [global_host(form, each) for each in (NamespacedName("namespace", "name"), *sorted(services))]
    if "{name}" not in form:
        why = "it does not contain {name}, so all services would have one host"
    elif longest := next((host for host in hosts if len(host) > _MOST_CHARACTERS), ""):
        why = f"{excerpt(longest)} has more than {_MOST_CHARACTERS} characters"
    elif not SUBDOMAIN.fullmatch(hosts[0]) or "." not in hosts[0]:
        why = f"{hosts[0]} is not a host name of lower-case letters, digits, dashes and dots"
    elif own := next((each for each in _domains(federation) if hosts[0].endswith(f".{each}")), ""):
        why = f"names that end in {own} are those of a cluster's own Services"
        fix = 'write a form that ends otherwise, for example "{name}.{namespace}.global.example"'
    else:
        return
    yield Problem(
        "globalHost",
        FederationRule.BAD_GLOBAL_HOST,
        f'"{excerpt(form)}" cannot be the form of global hosts: {why}',
        fix,
    )


def _domains(federation: Federation) -> list[str]:
    """Return the cluster domains that a global host must not have, if there is one."""
    is_used = any(link.mode == "global" for link in federation.imports) or federation.global_host_form != GLOBAL_HOST
    of_clusters = {each.cluster_domain for each in federation.own.values()} if is_used else ()
    return [CLUSTER_DOMAIN, *sorted(of_clusters)]


def gateways_are_found_by_network(federation: Federation) -> Iterator[Problem]:
    """Istio looks up the gateway of another network, which must differ from the local one (pitfall 30)."""
    for link in federation.imports:
        here, there = federation.clusters.get(link.cluster), federation.clusters.get(link.source)
        if not here or not there or here is there or not (link.mode == "global" or link.api == "gateway"):
            continue
        if here.network == there.network:
            option = "`as: global`" if link.mode == "global" else "`api: gateway`"
            yield Problem(
                link.path,
                FederationRule.GLOBAL_ON_ONE_NETWORK,
                f"{link.cluster} and {link.source} are both on the network {here.network}, but with {option} Istio"
                " looks up the gateway of another network (pitfall 30)",
                f"give {link.source} its own network, or write `as: remote` and `api: istio`",
            )


def hosts_have_one_api(federation: Federation) -> Iterator[Problem]:
    """All endpoints of a host have an address, or istiod looks up the gateway of each by network."""
    seen: dict[tuple[str, str, str], Import] = {}
    for link in federation.imports:
        first = seen.setdefault((link.cluster, link.host, link.mode), link)
        if first.api != link.api:
            yield Problem(
                f"{link.path}.api",
                FederationRule.API_DIFFERS,
                f"{first.path} imports {link.service} into {link.cluster} with api {first.api}, and this import with"
                f" {link.api}: only some endpoints of the host would have addresses",
                "use the same api in both",
            )


def remote_networks_have_one_cluster(federation: Federation) -> Iterator[Problem]:
    """Istio sends every call to a network to the remote gateway of that network (pitfall 12)."""
    known: dict[tuple[str, str], Import] = {}
    for link in federation.imports:
        source = federation.clusters.get(link.source)
        if source and link.api == "gateway":
            known.setdefault((link.cluster, source.network), link)
    for link in federation.imports:
        source = federation.clusters.get(link.source)
        first = known.get((link.cluster, source.network)) if source else None
        if source and first and first.source != link.source:
            yield Problem(
                link.path,
                FederationRule.REMOTE_NETWORK_SHARED,
                f"{first.path} has `api: gateway`, so {link.cluster} sends every call to the network {source.network}"
                f" to the gateway of {first.source}. {link.source} is on that network too, so calls to"
                f" {link.service} would reach the wrong gateway (pitfall 12)",
                f"give {link.source} its own network, or write `api: istio` in all imports of {link.cluster} from"
                f" {first.source}",
            )


def entries_have_addresses(federation: Federation) -> Iterator[Problem]:
    """Endpoints of a global host have IP addresses, unless istiod looks up the gateway (pitfall 29)."""
    for link, named in behind_host_names(federation, "global"):
        yield Problem(
            link.path,
            FederationRule.GLOBAL_NEEDS_ADDRESS,
            f"{link.cluster} imports {link.service} `as: global` with `api: istio`, which needs the IP address of"
            f" {link.source}'s gateway; {named}",
            f"write `api: gateway`, or give the gateway of {link.source} an IP address",
        )


def remote_gateways_have_room(federation: Federation) -> Iterator[Problem]:
    """The Gateway API limits the addresses of a Gateway."""
    for link in federation.imports:
        source = federation.clusters.get(link.source)
        called = (
            gateway_addresses.for_importers(gateway_addresses.declared(source, federation.istio_of(source.name)))
            if source
            else []
        )
        if source and (link.api, link.via) == ("gateway", "direct") and len(called) > _MOST_ADDRESSES:
            yield Problem(
                f"{source.path}.gateway.addresses",
                FederationRule.TOO_MANY_ADDRESSES,
                f"the gateway has {len(called)} addresses; {link.path} has `api: gateway`, and a Gateway of the"
                f" Gateway API holds at most {_MOST_ADDRESSES}",
                f"list at most {_MOST_ADDRESSES}, or write `api: istio`",
            )


def exported_samples_have_their_target_ports(federation: Federation) -> Iterator[Problem]:
    """A global host sends calls to the container's port, because no Service translates it (pitfall 27)."""
    running = {(w.cluster, w.reference): w for w in federation.workloads}
    for export in federation.exports:
        workload = running.get((export.cluster, export.service))
        if workload is None or not _has_global_host(federation, export):
            continue
        target = SAMPLES[workload.sample].target
        for index, port in enumerate(export.ports):
            if _target(port) != target:
                yield Problem(
                    f"{export.path}.ports[{index}].targetPort",
                    FederationRule.GLOBAL_TARGET_PORT,
                    f"{export.global_host} would call port {_target(port)} of the pods of {workload.path},"
                    f" which listen on {target} (pitfall 27)",
                    f"write targetPort: {target}",
                )


def _has_global_host(federation: Federation, export: Export) -> bool:
    links = (link for link in federation.imports if link.mode == "global" and link.service == export.service)
    return any(export.cluster in (link.source, link.cluster) for link in links)


def global_imports_fit_the_sample(federation: Federation) -> Iterator[Problem]:
    """Pods of the importing cluster serve the ports of a global host, under the identity that callers pin."""
    running = {(w.cluster, w.reference): w for w in federation.workloads}
    exports = exports_by_service(federation)
    for link in federation.imports:
        workload, export = running.get((link.cluster, link.service)), exports.get((link.source, link.service))
        if link.mode != "global" or workload is None or export is None or (link.cluster, link.service) in exports:
            continue
        for problem, fix in _misfits(link, export, workload):
            beside = f"{link.cluster} imports {link.service} `as: global` beside its sample {workload.path}"
            yield Problem(link.path, FederationRule.GLOBAL_SAMPLE_DIFFERS, f"{beside}, but {problem}", fix)


def _misfits(link: Import, export: Export, workload: Workload) -> Iterator[tuple[str, str]]:
    sample = SAMPLES[workload.sample]
    for port in link.ports or export.ports:
        if (port.name, port.number) != ("http", sample.port):
            yield (
                f"the sample has only the port http {sample.port}, not {port.name} {port.number}: its share of those"
                " calls would fail",
                f"import only the port http {sample.port}, or remove {workload.path}",
            )
        elif _target(port) != sample.target:
            yield (
                f"its pods listen on {sample.target}, and {export.path} has targetPort {_target(port)}: its share of"
                " the calls would fail (pitfall 27)",
                f"write targetPort: {sample.target} in {export.path}, or remove {workload.path}",
            )
    yield from other_accounts(link, export, workload)


def both_sides_of_a_global_host_have_equal_ports(federation: Federation) -> Iterator[Problem]:
    """A cluster that exports a service and imports it as global has one ServiceEntry for both."""
    exports = exports_by_service(federation)
    for link in federation.imports:
        own, other = exports.get((link.cluster, link.service)), exports.get((link.source, link.service))
        if link.mode != "global" or own is None or other is None or own is other:
            continue
        if _facts(own.ports) != _facts(link.ports or other.ports):
            yield Problem(
                link.path,
                FederationRule.GLOBAL_PORTS_DIFFER,
                f"{link.cluster} exports {link.service} with {_listed(own.ports)} ({own.path}) and imports it `as:"
                f" global` with {_listed(link.ports or other.ports)}: a host has one list of ports",
                "give both the same ports; only their targetPort may differ",
            )


def pods_of_a_global_host_have_a_name(federation: Federation) -> Iterator[Problem]:
    """Endpoints of other clusters join local pods by canonical name, not by the Service's selector (pitfall 28)."""
    exports = exports_by_service(federation)
    seen: set[tuple[str, NamespacedName]] = set()
    for link in federation.imports:
        own = exports.get((link.cluster, link.service))
        if link.mode != "global" or own is None or (link.cluster, link.service) in seen:
            continue
        seen.add((link.cluster, link.service))
        labels = own.workload_labels
        named = local_endpoints.canonical_name(federation, link.cluster, link.service)
        if named is None or set(labels) == {local_endpoints.CANONICAL_NAME}:
            yield Problem(
                f"{own.path}.selector",
                FederationRule.GLOBAL_WITHOUT_NAME,
                f"{link.path} adds endpoints of other clusters to the pods of {link.service} in {link.cluster} by their"
                " canonical name, which Istio takes from the label app and which the Service must not select by; the"
                f" selector has {', '.join(sorted(labels))} (pitfall 28)",
                f"write a selector with app, for example app: {link.service.name}, or import it `as: local`",
            )


def _target(port: Port) -> int:
    return port.target_port or port.number


def _facts(ports: tuple[Port, ...]) -> set[tuple[str, int, str]]:
    return {(port.name, port.number, port.protocol.value) for port in ports}


def _listed(ports: tuple[Port, ...]) -> str:
    return ", ".join(f"port {port.name} {port.number}/{port.protocol.value}" for port in ports)


RULES = (
    global_hosts_differ,
    global_hosts_have_a_form,
    gateways_are_found_by_network,
    hosts_have_one_api,
    remote_networks_have_one_cluster,
    entries_have_addresses,
    remote_gateways_have_room,
    exported_samples_have_their_target_ports,
    global_imports_fit_the_sample,
    both_sides_of_a_global_host_have_equal_ports,
    pods_of_a_global_host_have_a_name,
)
