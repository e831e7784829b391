"""Checks of exports: the gateway serves what the stack file exports, and nothing else."""

import json
from collections.abc import Iterator
from functools import partial
from itertools import product

from mesh_federation.jobs.export_check import ServiceBody, differences, selector
from mesh_federation.plan.exports import ExportPlan, declaration
from mesh_federation.verify.cacerts import own_root
from mesh_federation.verify.certificates import identities
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.gateway_endpoint import (
    ServiceAddress,
    chain_error,
    connection_error,
    presented_certificate,
    readiness_error,
)
from mesh_federation.verify.objects import ServiceEntry
from mesh_federation.verify.parallel import map_parallel
from mesh_federation.verify.simulated import skip_if_simulated
from mesh_federation.verify.verdict import Verdict, failed, not_applicable, passed


def checks(context: Context) -> Iterator[Check]:
    """Return the checks of every export, and one for everything that a cluster does not export."""
    for cluster, export in context.exports():
        service = export.export.service
        description = f"{cluster.name}: the policy of {service} covers all its pods, their account and their ports"
        yield Check("exports.covered", (export.export.path,), description, partial(covered, cluster, export))
    for cluster, export in context.exports():
        service = export.export.service
        description = f"{cluster.name}: {service} presents its identity at the gateway, under the cluster's root"
        run = skip_if_simulated(cluster, partial(presented, cluster, export))
        yield Check("exports.shown", (export.export.path,), description, run)
    for cluster in context.clusters.values():
        description = f"{cluster.name}: the gateway serves no service that is not exported"
        run = skip_if_simulated(cluster, partial(closed, context, cluster))
        yield Check("exports.closed", (cluster.path,), description, run)


def exported(export: ExportPlan) -> list[ServiceAddress]:
    """Return the addresses of an export: each host with each port."""
    return [ServiceAddress(host, port.number) for host in export.hosts for port in export.export.ports]


def covered(cluster: ClusterUnderTest, export: ExportPlan) -> Verdict:
    """Compare the declared export with its Service and pods."""
    service, declared = export.export.service, declaration(export)
    namespace = f"--namespace={service.namespace}"
    output = cluster.kubectl.output("get", "service", service.name, namespace, "--ignore-not-found", "--output=json")
    if not output.strip():
        return not_applicable(f"there is no Service {service} yet, so the gateway leads to no pod of it")
    running: ServiceBody = json.loads(output)
    labels = selector(declared, running)
    pods = (
        json.loads(cluster.kubectl.output("get", "pods", namespace, labels, "--output=json"))["items"] if labels else []
    )
    if different := list(differences(declared, running, pods)):
        return failed("; ".join(each for each, _ in different), "; ".join(fix for _, fix in different))
    return passed(f"{len(pods)} pods, account {declared.account}", ports=", ".join(map(str, export.targets)))


def presented(cluster: ClusterUnderTest, export: ExportPlan) -> Verdict:
    """Request an exported service from the gateway, and verify the certificate up to the cluster's root."""
    root = own_root(cluster)
    expected = f"spiffe://{export.principal}"
    hint = f"check that pods of {export.export.service} run; ./mesh up --refresh restores its Gateway"
    for endpoint in cluster.endpoints:
        if (error := connection_error(endpoint)) and not readiness_error(endpoint):
            return failed(f"the gateway is ready but does not listen at {endpoint}: {error}", hint)
        for address in exported(export):
            certificate = presented_certificate(endpoint, address)
            if certificate is None:
                return failed(f"{endpoint} presents no certificate for {address}", hint)
            if identities(certificate) != [expected]:
                named = ", ".join(identities(certificate)) or "nobody"
                hint = "declare the ServiceAccount of its pods (exports[].serviceAccount), or let them run as it"
                return failed(f"{address} is {named}, not {expected}", hint)
            if error := chain_error(endpoint, address, root):
                fix = "restart its pods"
                return failed(f"the chain of {address} does not lead to the cluster's root: {error}", fix)
    addresses = ", ".join(map(str, exported(export)))
    return passed(f"{addresses} at {', '.join(map(str, cluster.endpoints))}", identity=expected)


def closed(context: Context, cluster: ClusterUnderTest) -> Verdict:
    """Request every service that the cluster knows, and every global host, from the gateway.

    Other ports of an exported Service are left out: Istio's gateway leads to all ports of a Service, and the export's
    policy refuses them (refusals.ports).
    """
    if cluster.plan.is_open:
        return not_applicable("clusters of its mesh discover it, so all its services are open to them")
    listening = not all(connection_error(endpoint) for endpoint in cluster.endpoints)
    if not listening and not any(readiness_error(endpoint) for endpoint in cluster.endpoints):
        return passed("the gateway is ready and does not listen for calls")
    hosts = {host for export in cluster.plan.exports for host in export.hosts}
    tried = sorted((address for address in _known(context, cluster) if address.host not in hosts), key=str)
    answered = map_parallel(lambda each: presented_certificate(*each), product(cluster.endpoints, tried))
    served = sorted({str(address) for (_, address), certificate in answered if certificate is not None})
    if served:
        hint = "look for a Gateway that the stack did not make: kubectl get gateways.networking.istio.io -A"
        return failed(f"the gateway also leads to {', '.join(served)}", f"{hint}; ./mesh up --refresh")
    message = f"{len(tried)} other names were tried, none presents a certificate"
    return passed(message, tried=", ".join(map(str, tried)))


def _known(context: Context, cluster: ClusterUnderTest) -> set[ServiceAddress]:
    """Return all addresses that a caller could try: Services, ServiceEntries, and both names of every export."""
    entries = cluster.kubectl.listed(ServiceEntry, "serviceentries.networking.istio.io")
    services = {
        ServiceAddress(cluster.plan.declared.host_of(each.metadata.reference), port.port)
        for each in cluster.kubectl.services() for port in each.spec.ports
    }  # fmt: skip
    named = {
        ServiceAddress(host, port.number)
        for each in entries for host in each.spec.hosts for port in each.spec.ports
    }  # fmt: skip
    exports = {
        ServiceAddress(host, port.number)
        for _, export in context.exports()
        for port in export.export.ports
        for host in (export.export.service_host, export.export.global_host)
    }
    return services | named | exports
