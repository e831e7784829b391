"""Egress gateways: one path from a cluster to another, and routes that its istiod can read."""

from collections.abc import Iterator

from mesh_federation.plan.istio_values import TLS_LISTENERS_DEFAULT
from mesh_federation.rules.exports import exports_by_service
from mesh_federation.stack.config import Federation, Import
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule


def one_way_leads_to_a_cluster(federation: Federation) -> Iterator[Problem]:
    """An egress import blocks direct calls to the gateway of the exporter, so a direct import from it cannot work."""
    first: dict[tuple[str, str], Import] = {}
    for link in federation.imports:
        known = first.setdefault((link.cluster, link.source), link)
        if known.via != link.via:
            yield Problem(
                f"{link.path}.via",
                FederationRule.VIA_DIFFERS,
                f"{known.path} sends calls from {link.cluster} to {link.source} via {known.via}, and this import via"
                f" {link.via}; the policy that blocks direct calls (pitfall 32) would block them for both",
                f"write `via: egress` in all imports of {link.cluster} from {link.source}, or in none of them",
            )


def callers_can_be_confined(federation: Federation) -> Iterator[Problem]:
    """The Sidecar that restricts the callers would, in Istio's root namespace, apply to the whole cluster."""
    exports = exports_by_service(federation)
    reported: set[str] = set()
    for link in federation.imports:
        export = exports.get((link.source, link.service))
        own = federation.clusters.get(link.cluster)
        root = own.root_namespace if own else ""
        for consumer in export.to if export and link.via == "egress" else ():
            for number, account in enumerate(consumer.service_accounts or ()):
                path = f"{consumer.path}.serviceAccounts[{number}]"
                if consumer.cluster == link.cluster and account.namespace == root and path not in reported:
                    reported.add(path)
                    yield Problem(
                        path,
                        FederationRule.EGRESS_OF_ISTIO,
                        f"{account} may call, and {link.path} sends its calls `via: egress`: the Sidecar that blocks"
                        f" other egress of the callers would be in {root}, where it applies to all of"
                        f" {link.cluster}",
                        f"name a service account of another namespace, or write `via: direct` in {link.path}",
                    )


def routes_are_read(federation: Federation) -> Iterator[Problem]:
    """Before Istio 1.30, istiod reads an alpha version of TLSRoute, which the CRDs do not serve."""
    for link in federation.imports:
        cluster = federation.clusters.get(link.cluster)
        if not cluster or link.via != "egress" or link.api != "gateway":
            continue
        if federation.istio_version(cluster.name) < TLS_LISTENERS_DEFAULT:
            needed = ".".join(map(str, TLS_LISTENERS_DEFAULT))
            yield Problem(
                f"{link.path}.api",
                FederationRule.EGRESS_VERSION,
                f"{cluster.name} runs Istio {federation.istio_of(cluster.name).version}, which does not read"
                f" TLSRoute v1; an egress gateway with `api: gateway` needs Istio {needed} (pitfall 24)",
                f"use Istio {needed} or later in {cluster.name}, or write `api: istio`",
            )


RULES = (one_way_leads_to_a_cluster, callers_can_be_confined, routes_are_read)
