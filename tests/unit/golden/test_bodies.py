"""The objects that this program writes itself, for the default stack: a change shows as a diff to review."""

from collections.abc import Iterable, Iterator

import pytest
import yaml

from mesh_federation.loader import parse
from mesh_federation.plan.discovery import KUBECONFIG
from mesh_federation.plan.federation import ClusterPlan, Plan, plan
from mesh_federation.plan.objects import Body, PlannedObject
from mesh_federation.plan.trust_binding import anchors_value
from tests.golden import Golden
from tests.unit.components.federations import as_global, as_local, committed, multi_primary

PLAN = plan(parse(committed("simulated")), "simulated")


class _Plain(yaml.SafeDumper):
    """YAML without anchors."""

    def ignore_aliases(self, data: object) -> bool:
        """Write equal parts out wherever they are."""
        return True


def text(bodies: Iterable[Body]) -> str:
    written: str = yaml.dump_all(bodies, Dumper=_Plain, sort_keys=False, explicit_start=True)
    return written


def filled(planned: Plan, *groups: Iterable[PlannedObject]) -> list[Body]:
    """Bodies of planned objects, with the addresses of all gateways, and without secrets."""
    addresses = {name: each.addresses for name, each in planned.clusters.items()}
    values: dict[str, object] = {**addresses, KUBECONFIG: ""}
    return [each.filled(values) for group in groups for each in group]


def exports(cluster: ClusterPlan) -> list[Body]:
    return filled(PLAN, *(each.objects for each in cluster.exports))


def imports(planned: Plan, cluster: ClusterPlan) -> list[Body]:
    return filled(planned, *(each.objects for each in cluster.imports))


def discovered(planned: Plan, cluster: ClusterPlan) -> list[Body]:
    readers = (each.reader_objects for each in cluster.read_by)
    return filled(planned, *readers, cluster.open_gateway, *(each.objects for each in cluster.discovers))


def global_links(planned: Plan) -> Iterator[Body]:
    for cluster in planned.clusters.values():
        yield from filled(planned, *(each.objects for each in cluster.global_hosts))
        yield from filled(planned, (gateway for _, gateway in (each.objects for each in cluster.exports)))
        yield from filled(planned, *(each.objects for each in cluster.remote_gateways))
        yield from imports(planned, cluster)


def leaving(planned: Plan, cluster: ClusterPlan) -> list[Body]:
    """Everything by which calls leave a cluster."""
    assert cluster.egress
    own = {each.cluster: [cluster.egress.address] for each in cluster.egress.exits}
    return [
        *filled(planned, *(each.objects for each in cluster.egress.exits)),
        *(each.filled(own) for gateway in cluster.remote_gateways for each in gateway.objects),
        *filled(planned, cluster.egress.confinement),
    ]


def workloads(cluster: ClusterPlan) -> list[Body]:
    """Namespaces and samples, whose pods have no hash of certificates yet."""
    planned = [*cluster.namespaces, *(each for sample in cluster.samples for each in sample.objects)]
    return [each.body for each in planned]


def test_exports_and_their_policies(golden: Golden) -> None:
    golden("bodies/west-exports.yaml", text(exports(PLAN.clusters["west"])))
    assert text(exports(PLAN.clusters["east"])) == ""


@pytest.mark.parametrize("cluster", ["east", "west"])
def test_what_the_whole_mesh_refuses(golden: Golden, cluster: str) -> None:
    istio = PLAN.clusters[cluster].istio
    assert istio
    golden(f"bodies/{cluster}-foreign-callers.yaml", text([istio.foreign_callers.body]))


@pytest.mark.parametrize("model", ["common", "separate"])
def test_trust_for_links(golden: Golden, model: str) -> None:
    planned = plan(parse({**committed("embedded"), "trust": {"model": model}}), "embedded")
    anchors: dict[str, object] = {anchors_value(name): f"certificates of {name}" for name in planned.clusters}
    for name, cluster in planned.clusters.items():
        bodies = [each.object.filled(anchors) for each in cluster.bindings]
        golden(f"bodies/{name}-trust-{model}.yaml", text(bodies))


def test_imports(golden: Golden) -> None:
    golden("bodies/east-imports.yaml", text(imports(PLAN, PLAN.clusters["east"])))
    assert text(imports(PLAN, PLAN.clusters["west"])) == ""


@pytest.mark.parametrize("given", [{}, {"weight": 30}, {"failover": {"to": "west"}}], ids=lambda given: "-".join(given))
def test_imports_as_local(golden: Golden, given: dict[str, object]) -> None:
    planned = plan(parse(as_local(**given)), "simulated")
    name = "-".join(("east-imports-as-local", *given))
    golden(f"bodies/{name}.yaml", text(imports(planned, planned.clusters["east"])))


def test_clusters_that_discover_each_other(golden: Golden) -> None:
    planned = plan(parse(multi_primary()), "multi-primary")
    golden("bodies/cluster-0-discovery.yaml", text(discovered(planned, planned.clusters["cluster-0"])))


def test_global_hosts(golden: Golden) -> None:
    golden("bodies/global.yaml", text(global_links(plan(parse(as_global()), "simulated"))))


def test_global_hosts_through_the_gateway_api_beside_pods(golden: Golden) -> None:
    planned = plan(parse(committed("gateway-api")), "gateway-api")
    golden("bodies/global-gateway-api.yaml", text(global_links(planned)))


def test_egress(golden: Golden) -> None:
    planned = plan(parse(committed("egress")), "egress")
    for name, cluster in planned.clusters.items():
        golden(f"bodies/{name}-egress.yaml", text(leaving(planned, cluster)))


def test_mesh_wide_policy(golden: Golden) -> None:
    istio = PLAN.clusters["east"].istio
    assert istio
    golden("bodies/policy.yaml", text([istio.strict_mtls.body]))


def test_samples_and_their_namespaces(golden: Golden) -> None:
    for name, cluster in PLAN.clusters.items():
        golden(f"bodies/{name}-workloads.yaml", text(workloads(cluster)))
