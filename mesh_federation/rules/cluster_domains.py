"""Cluster domains: what DNS names of Services end with, and so the names by which gateways pass calls on.

Sources: Kubernetes, DNS for Services and Pods; Istio's value global.proxy.clusterDomain. A proxy asks a gateway for a
service by one name, and istiod gives services of other clusters the domain of its own cluster.
"""

from collections.abc import Iterator

from mesh_federation.rules.names import LABEL_LENGTH, SUBDOMAIN
from mesh_federation.stack.config import Federation, Import, by_host
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule
from mesh_federation.stack.text import excerpt


def cluster_domains_are_names(federation: Federation) -> Iterator[Problem]:
    """A cluster domain is a name of DNS (RFC 1123)."""
    for cluster in federation.clusters.values():
        known, domain = cluster.observed, cluster.cluster_domain
        if SUBDOMAIN.fullmatch(domain) and max(map(len, domain.split("."))) <= LABEL_LENGTH:
            continue
        is_observed = known is not None and known.cluster_domain == domain
        fix = "write what /etc/resolv.conf of the cluster's pods searches after `svc.`, for example cluster.local"
        yield Problem(
            f"{cluster.path}.observed.clusterDomain" if is_observed else f"{cluster.path}.clusterDomain",
            FederationRule.BAD_CLUSTER_DOMAIN,
            f"{excerpt(domain)} is no name of DNS: labels of at most {LABEL_LENGTH} lower-case letters, digits and"
            " dashes, with dots between them",
            "run mesh observe again; let the owner set global.proxy.clusterDomain right" if is_observed else fix,
        )


def sources_of_one_host_have_one_domain(federation: Federation) -> Iterator[Problem]:
    """A proxy asks all gateways behind a host for the service by one name."""
    for links in by_host(federation.imports).values():
        first = links[0]
        for link in links[1:]:
            if link.service == first.service and link.exported_host != first.exported_host:
                yield _different(federation, first, link)


def _different(federation: Federation, first: Import, link: Import) -> Problem:
    return Problem(
        link.path,
        FederationRule.CLUSTER_DOMAINS_DIFFER,
        f"{link.cluster} imports {link.service} from {first.source} and from {link.source} as {link.host}, but their"
        f" cluster domains differ: callers ask both gateways for it by one name, {first.exported_host} or"
        f" {link.exported_host}",
        "import the service `as: global`, or give one of the imports a `host` of its own",
    )


def discovered_clusters_have_the_domain_of_the_reader(federation: Federation) -> Iterator[Problem]:
    """Istiod names the Services of a cluster that it discovers by its own cluster's domain."""
    for link in federation.discovery:
        here, there = federation.clusters.get(link.cluster), federation.clusters.get(link.of)
        if here and there and here.cluster_domain != there.cluster_domain:
            yield Problem(
                link.path,
                FederationRule.CLUSTER_DOMAINS_DIFFER,
                f"the istiod of {here.name} would name the Services of {there.name} by its own cluster domain,"
                f" {here.cluster_domain}, and the gateway of {there.name} knows them by {there.cluster_domain}",
                f"export the services of {there.name} instead, or give both clusters one cluster domain",
            )


def pods_of_discovered_clusters_are_asked_for_by_their_own_name(federation: Federation) -> Iterator[Problem]:
    """Calls of a host have one server name, also those that go to pods of a discovered cluster through its gateway."""
    readers = {link.cluster: link for link in federation.discovery}
    for link in federation.imports:
        found = readers.get(link.cluster)
        if found and link.mode == "local" and link.exported_host != link.host:
            yield Problem(
                link.path,
                FederationRule.CLUSTER_DOMAINS_DIFFER,
                f"{link.cluster} would ask all gateways for {link.service} as {link.exported_host}, also that of"
                f" {found.of}, which it discovers ({found.path}) and which knows the service as {link.host}",
                f"import it `as: global` or under a `host` of its own, or give {link.source} the cluster domain of"
                f" {link.cluster}",
            )


RULES = (
    cluster_domains_are_names,
    sources_of_one_host_have_one_domain,
    discovered_clusters_have_the_domain_of_the_reader,
    pods_of_discovered_clusters_are_asked_for_by_their_own_name,
)
