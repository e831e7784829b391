"""The objects that this program writes itself, for the default stack: a change shows as a diff to review."""

from collections.abc import Iterator

import pytest
import yaml

from mesh_federation.loader import parse
from mesh_federation.plan import discovery, egress, global_hosts, remote_gateways, routing, samples
from mesh_federation.plan.federation import ClusterPlan, Plan, plan
from mesh_federation.plan.gateway_api import typed
from mesh_federation.plan.routing import Body
from tests.golden import Golden
from tests.unit.components.federations import as_global, as_local, committed, multi_primary

PLAN = plan(parse(committed("embedded")), "embedded")


class _Plain(yaml.SafeDumper):
    """YAML without anchors."""

    def ignore_aliases(self, data: object) -> bool:
        """Write equal parts out wherever they are."""
        return True


def text(bodies: Iterator[Body]) -> str:
    written: str = yaml.dump_all(bodies, Dumper=_Plain, sort_keys=False, explicit_start=True)
    return written


def exports(cluster: ClusterPlan) -> Iterator[Body]:
    for offer in cluster.exports:
        yield routing.authorization(offer)
        yield routing.gateway(offer)


def imports(cluster: ClusterPlan) -> Iterator[Body]:
    for link in cluster.imports:
        yield routing.service_entry(link, [PLAN.clusters[source.cluster].addresses for source in link.sources])
        if rule := routing.destination_rule(link):
            yield rule


def imports_as_local(planned: Plan) -> Iterator[Body]:
    for link in planned.clusters["east"].imports:
        for source in link.sources:
            for door, address in enumerate(planned.clusters[source.cluster].addresses):
                yield routing.workload_entry(link, source, door, address)
        if rule := routing.destination_rule(link):
            yield rule


def discovered(cluster: ClusterPlan) -> Iterator[Body]:
    for link in cluster.read_by:
        yield from discovery.reader(link)
    if cluster.is_open:
        yield discovery.passage(cluster.declared.gateway.port)
    for link in cluster.discovers:
        yield discovery.remote_secret(link, "")


def global_links(planned: Plan) -> Iterator[Body]:
    for cluster in planned.clusters.values():
        yield from (global_hosts.service_entry(host) for host in cluster.global_hosts)
        yield from (routing.gateway(offer) for offer in cluster.exports)
        for remote in cluster.remotes:
            yield remote_gateways.gateway(remote, typed(planned.clusters[remote.cluster].addresses))
        for link in cluster.imports:
            [source] = link.sources
            yield routing.workload_entry(link, source, 0, planned.clusters[source.cluster].addresses[0])
            if rule := routing.destination_rule(link):
                yield rule


def leaving(planned: Plan, cluster: ClusterPlan) -> Iterator[Body]:
    """Everything by which calls leave a cluster, addresses filled in."""
    assert cluster.egress
    addresses = [address for way in cluster.egress.exits for address in planned.clusters[way.cluster].addresses]
    for way in cluster.egress.exits:
        yield egress.service_entry(way, planned.clusters[way.cluster].addresses)
        yield from (body for route in way.routes for body in egress.route_bodies(way, route))
    yield from (remote_gateways.gateway(remote, typed([cluster.egress.address])) for remote in cluster.remotes)
    yield from (egress.sidecar(namespace) for namespace in cluster.egress.confined)
    yield from (egress.network_policy(namespace, addresses) for namespace in cluster.egress.isolated)


def workloads(cluster: ClusterPlan) -> Iterator[Body]:
    yield from cluster.namespaces
    for workload in cluster.workloads:
        yield from samples.bodies(workload, cluster.revision)


def test_exports_and_their_policies(golden: Golden) -> None:
    golden("bodies/west-exports.yaml", text(exports(PLAN.clusters["west"])))
    assert text(exports(PLAN.clusters["east"])) == ""


@pytest.mark.parametrize("cluster", ["east", "west"])
def test_what_the_whole_mesh_refuses(golden: Golden, cluster: str) -> None:
    golden(f"bodies/{cluster}-foreign-callers.yaml", text(iter([PLAN.clusters[cluster].foreign_callers])))


def test_imports(golden: Golden) -> None:
    golden("bodies/east-imports.yaml", text(imports(PLAN.clusters["east"])))
    assert text(imports(PLAN.clusters["west"])) == ""


@pytest.mark.parametrize("given", [{}, {"weight": 30}, {"failover": {"to": "west"}}], ids=lambda given: "-".join(given))
def test_imports_as_local(golden: Golden, given: dict[str, object]) -> None:
    planned = plan(parse(as_local(**given)), "embedded")
    name = "-".join(("east-imports-as-local", *given))
    golden(f"bodies/{name}.yaml", text(imports_as_local(planned)))


def test_clusters_that_discover_each_other(golden: Golden) -> None:
    planned = plan(parse(multi_primary()), "multi-primary")
    golden("bodies/cluster-0-discovery.yaml", text(discovered(planned.clusters["cluster-0"])))


def test_global_hosts(golden: Golden) -> None:
    golden("bodies/global.yaml", text(global_links(plan(parse(as_global()), "embedded"))))


def test_global_hosts_through_the_gateway_api_beside_pods(golden: Golden) -> None:
    planned = plan(parse(committed("gateway-api")), "gateway-api")
    golden("bodies/global-gateway-api.yaml", text(global_links(planned)))


def test_egress(golden: Golden) -> None:
    planned = plan(parse(committed("egress")), "egress")
    for name, cluster in planned.clusters.items():
        golden(f"bodies/{name}-egress.yaml", text(leaving(planned, cluster)))


def test_mesh_wide_policy(golden: Golden) -> None:
    golden("bodies/policy.yaml", text(iter([routing.strict_mtls()])))


def test_samples_and_their_namespaces(golden: Golden) -> None:
    for name, cluster in PLAN.clusters.items():
        golden(f"bodies/{name}-workloads.yaml", text(workloads(cluster)))
