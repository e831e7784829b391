"""Egress: one way from a cluster to another, and routes that its istiod reads."""

from collections.abc import Iterator

from mesh_federation.plan.istio_values import NAMESPACE, TLS_LISTENERS_DEFAULT
from mesh_federation.rules.links import exports_by_service
from mesh_federation.stack.config import Federation, Import
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule


def one_way_leads_to_a_cluster(federation: Federation) -> Iterator[Problem]:
    """Where callers must not reach another cluster's gateway by themselves, a direct import from there cannot work."""
    first: dict[tuple[str, str], Import] = {}
    for link in federation.imports:
        known = first.setdefault((link.cluster, link.source), link)
        if known.via != link.via:
            yield Problem(
                f"{link.path}.via",
                FederationRule.VIA_DIFFERS,
                f"{known.path} takes calls from {link.cluster} to {link.source} via {known.via}, this one via"
                f" {link.via}: what closes the direct way (pitfall 32) would close it for both",
                f"write `via: egress` in all imports of {link.cluster} from {link.source}, or in none",
            )


def callers_can_be_confined(federation: Federation) -> Iterator[Problem]:
    """What confines a namespace's callers would, in Istio's own namespace, confine every namespace without its own."""
    exports = exports_by_service(federation)
    told: set[str] = set()
    for link in federation.imports:
        export = exports.get((link.source, link.service))
        for index, consumer in enumerate(export.to if export and link.via == "egress" else ()):
            for place, account in enumerate(consumer.service_accounts or ()):
                path = f"{export.path}.to[{index}].serviceAccounts[{place}]" if export else ""
                if consumer.cluster == link.cluster and account.namespace == NAMESPACE and path not in told:
                    told.add(path)
                    yield Problem(
                        path,
                        FederationRule.EGRESS_OF_ISTIO,
                        f"{account} may call, and {link.path} takes its calls `via: egress`: the Sidecar that leaves"
                        f" callers no other way would stand in {NAMESPACE}, where it holds for all of {link.cluster}",
                        f"let an account of another namespace call, or write `via: direct` in {link.path}",
                    )


def routes_are_read(federation: Federation) -> Iterator[Problem]:
    """Before one release, istiod reads TLSRoutes of an alpha version, which the definitions do not serve."""
    for link in federation.imports:
        cluster = federation.clusters.get(link.cluster)
        if not cluster or link.via != "egress" or link.api != "gateway":
            continue
        if federation.istio_version(cluster.name) < TLS_LISTENERS_DEFAULT:
            needed = ".".join(map(str, TLS_LISTENERS_DEFAULT))
            yield Problem(
                f"{link.path}.api",
                FederationRule.EGRESS_VERSION,
                f"{cluster.name} runs Istio {cluster.istio_version or federation.istio.version}, whose istiod reads no"
                f" TLSRoute of version v1; with `api: gateway` an egress gateway needs Istio {needed} (pitfall 24)",
                f"use Istio {needed} or later in {cluster.name}, or write `api: istio`",
            )


RULES = (one_way_leads_to_a_cluster, callers_can_be_confined, routes_are_read)
