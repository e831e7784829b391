"""Cluster domains: what DNS names of Services end with, and so the names by which gateways pass calls on.

Sources: Kubernetes, DNS for Services and Pods; Istio's value global.proxy.clusterDomain. A proxy asks a gateway for a
service by one name, and istiod gives services of other clusters the domain of its own cluster.
"""

from collections.abc import Iterator

from mesh_federation.rules.names import SUBDOMAIN
from mesh_federation.stack.config import Federation, Import, by_host
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule
from mesh_federation.stack.text import excerpt


def cluster_domains_are_names(federation: Federation) -> Iterator[Problem]:
    """A cluster domain is a name of DNS (RFC 1123)."""
    for cluster in federation.clusters.values():
        if not SUBDOMAIN.fullmatch(cluster.cluster_domain):
            yield Problem(
                f"{cluster.path}.clusterDomain",
                FederationRule.BAD_CLUSTER_DOMAIN,
                f"{excerpt(cluster.cluster_domain)} is no name of DNS: labels of lower-case letters, digits and dashes,"
                " with dots between them",
                "write what /etc/resolv.conf of the cluster's pods searches after `svc.`, for example cluster.local",
            )


def sources_of_one_host_have_one_domain(federation: Federation) -> Iterator[Problem]:
    """A proxy asks all gateways behind a host for the service by one name."""
    for links in by_host(federation.imports).values():
        known = [link for link in links if link.source in federation.clusters]
        for first, link in ((known[0], each) for each in known[1:]):
            if link.exported_host != first.exported_host:
                yield _different(federation, first, link)


def _different(federation: Federation, first: Import, link: Import) -> Problem:
    domains = [federation.clusters[each.source].cluster_domain for each in (first, link)]
    return Problem(
        link.path,
        FederationRule.CLUSTER_DOMAINS_DIFFER,
        f"{link.cluster} imports {link.service} from {first.source} and from {link.source} as {link.host}, but their"
        f" cluster domains differ ({domains[0]} and {domains[1]}): callers ask both gateways for the service by one"
        " name, and one of them would not know it",
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


RULES = (
    cluster_domains_are_names,
    sources_of_one_host_have_one_domain,
    discovered_clusters_have_the_domain_of_the_reader,
)
