"""The calls that samples can make to services of other clusters, through imports and endpoint discovery."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mesh_federation.plan.imports import has_local_endpoints
from mesh_federation.plan.samples import SAMPLES
from mesh_federation.stack.config import Discovery, Federation, Import, NamespacedName, Workload


@dataclass(frozen=True)
class Call:
    """A request from a sample to a service of another cluster.

    Attributes:
        cluster: the calling cluster, which imports the service or discovers the endpoints of the other cluster.
        caller: the calling sample.
        source: the cluster that is called; for an import, other clusters may answer too.
        url: the requested URL.
        path: key path of the import or discovery in the stack file.
    """

    cluster: str
    caller: NamespacedName
    source: str
    url: str
    path: str


def url(host: str, port: int) -> str:
    """Return the URL of a call; httpbin answers it with the headers of the request, which name the caller."""
    return f"http://{host}:{port}/headers"


def calls(federation: Federation) -> Iterator[Call]:
    """Yield one call for each import and each discovered service that a sample may use, on clusters that run pods."""
    yield from _of_imports(federation)
    yield from of_discovered(federation)


def answering(federation: Federation, made: Call) -> Mapping[str, str]:
    """Return the clusters that may answer a call, each with the trust domain of the identity that answers."""
    may = {made.source}
    for link in federation.imports:
        if link.path == made.path:
            same = (each for each in federation.imports if (each.cluster, each.host) == (link.cluster, link.host))
            may |= {each.source for each in same} | ({link.cluster} if has_local_endpoints(federation, link) else set())
    return {name: federation.clusters[name].trust_domain for name in sorted(may)}


def _of_imports(federation: Federation) -> Iterator[Call]:
    for link in federation.imports:
        if not federation.clusters[link.cluster].provider.runs_pods:
            continue
        export = federation.export_of(link)
        if callers := _callers(federation, link):
            yield Call(
                link.cluster, callers[0], link.source, url(link.host, (link.ports or export.ports)[0].number), link.path
            )


def of_discovered(federation: Federation) -> Iterator[Call]:
    """Yield the calls of discovered services, by the DNS name that each has in its own cluster (walk-through 004)."""
    for link in federation.discovery:
        if not federation.clusters[link.cluster].provider.runs_pods:
            continue
        callers = [w.reference for w in federation.workloads if (w.cluster, w.sample) == (link.cluster, "sleep")]
        called = [w for w in federation.workloads if (w.cluster, w.sample) == (link.of, "httpbin")]
        for service in (w.reference for w in called if callers and _only_there(federation, link, w)):
            asked = url(f"{service.name}.{service.namespace}", SAMPLES["httpbin"].port)
            yield Call(link.cluster, callers[0], link.of, asked, link.path)


def _only_there(federation: Federation, link: Discovery, called: Workload) -> bool:
    """Return whether only that cluster can answer: Services of the same name in several clusters are one service."""
    seen = {link.cluster, *(other.of for other in federation.discovery if other.cluster == link.cluster)}
    return seen & {w.cluster for w in federation.workloads if w.reference == called.reference} == {link.of}


def _callers(federation: Federation, link: Import) -> Sequence[NamespacedName]:
    """Return the samples whose identity the export admits."""
    consumers = [consumer for consumer in federation.export_of(link).to if consumer.cluster == link.cluster]
    return [
        workload.reference
        for workload in federation.workloads
        if (workload.cluster, workload.sample) == (link.cluster, "sleep")
        and any(c.service_accounts is None or workload.reference in c.service_accounts for c in consumers)
    ]
