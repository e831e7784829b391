"""Namespaces are there before anything is put into them, and those of other people stay theirs."""

from typing import Any

import pytest

from mesh_federation.jobs.prerequisites import Prerequisite
from mesh_federation.plan.namespaces import injected
from mesh_federation.stack.config import Federation
from tests.unit.plan.model import Tree, cluster, export, link, planned, tree

EXISTING = {"provisioner": "existing", "kubeconfig": "/k"}


def made(declared: Tree, name: str) -> dict[str, dict[str, str]]:
    """Labels of the namespaces that are made in a cluster, by name."""
    found = [metadata(each.body) for each in planned(declared, name).namespaces]
    return {each["name"]: each["labels"] for each in found}


def metadata(body: dict[str, object]) -> dict[str, Any]:
    found = body["metadata"]
    assert isinstance(found, dict)
    return found


def test_an_export_finds_its_namespace_though_its_service_comes_later() -> None:
    assert made(tree(), "west") == {"httpbin": {"istio-injection": "enabled"}}


def test_an_import_under_a_name_of_its_own_needs_the_namespace_of_its_callers_alone() -> None:
    assert set(made(tree(), "east")) == {"sleep"}
    assert made(tree(trust={"scope": "mesh"}), "east") == {}


@pytest.mark.parametrize("scope", ["link", "mesh"])
def test_an_import_as_local_finds_the_namespaces_of_the_service_that_it_joins_and_of_its_callers(scope: str) -> None:
    declared = tree(trust={"scope": scope}, imports=[link(**{"as": "local"})])
    assert set(made(declared, "east")) == {"httpbin", "sleep"}


def test_a_namespace_of_several_services_is_made_once() -> None:
    sample = {"cluster": "west", "sample": "httpbin"}
    assert set(made(tree(workloads=[sample, {**sample, "namespace": "other"}]), "west")) == {"httpbin", "other"}


def test_in_a_cluster_that_was_there_before_namespaces_of_services_are_their_owners() -> None:
    clusters = {"east": cluster(10), "west": cluster(30, **EXISTING)}
    assert made(tree(clusters=clusters), "west") == {}
    workload = {"cluster": "west", "sample": "sleep"}
    assert set(made(tree(clusters=clusters, workloads=[workload]), "west")) == {"sleep"}


def test_a_revision_of_istio_is_named_instead_of_the_default_injector() -> None:
    assert made(tree(istio={"revision": "canary"}), "west") == {"httpbin": {"istio.io/rev": "canary"}}


@pytest.mark.parametrize(
    "namespace",
    [
        "default",
        "istio-system",
        "kube-node-lease",
        "kube-public",
        "kube-system",
        "local-path-storage",
        "metallb-system",
    ],
)
def test_namespaces_of_kubernetes_and_of_what_is_installed_are_never_made_or_labelled(namespace: str) -> None:
    leaving = {"cluster": "east", "serviceAccounts": [f"{namespace}/caller"]}
    declared = tree(
        exports=[export(to=[leaving]), export(service=f"{namespace}/web", to=[leaving])],
        imports=[link(via="egress"), link(service=f"{namespace}/web", **{"as": "local"})],
        workloads=[{"cluster": "east", "sample": "sleep", "namespace": namespace}],
    )
    unchecked = Federation.model_validate(declared)
    for name in ("east", "west"):
        assert namespace not in {metadata(each.body)["name"] for each in injected(unchecked, name, [namespace])}


def there_before() -> Tree:
    return {"east": cluster(10, **EXISTING), "west": cluster(30, **{**EXISTING, "context": "west"})}


def test_in_a_cluster_that_was_there_before_the_namespace_of_an_export_must_be_there() -> None:
    declared = tree(clusters=there_before())
    assert planned(declared, "west").prerequisites == (Prerequisite("Namespace", "", "httpbin", "exports[0]"),)
    assert planned(declared, "east").prerequisites == (Prerequisite("Namespace", "", "sleep", "imports[0]"),)
    assert planned({**declared, "trust": {"scope": "mesh"}}, "east").prerequisites == ()
    assert planned(tree(), "west").prerequisites == ()


def test_what_others_need_not_make_is_not_asked_for() -> None:
    sample = {"cluster": "west", "sample": "httpbin"}
    assert planned(tree(clusters=there_before(), workloads=[sample]), "west").prerequisites == ()
    offered = [export(service="default/web")]
    assert planned(tree(clusters=there_before(), exports=offered, imports=[]), "west").prerequisites == ()


def test_an_import_as_local_needs_the_service_that_it_joins() -> None:
    declared = tree(clusters=there_before(), imports=[link(**{"as": "local"})])
    assert planned(declared).prerequisites == (
        Prerequisite("Namespace", "", "httpbin", "imports[0]"),
        Prerequisite("Namespace", "", "sleep", "imports[0]"),
        Prerequisite("Service", "httpbin", "httpbin", "imports[0]"),
    )
    samples = [{"cluster": "east", "sample": "httpbin"}, {"cluster": "east", "sample": "sleep"}]
    assert planned({**declared, "workloads": samples}).prerequisites == ()


def test_callers_that_leave_through_an_egress_gateway_need_their_namespace() -> None:
    declared = tree(clusters=there_before(), imports=[link(via="egress")])
    assert planned(declared).prerequisites == (Prerequisite("Namespace", "", "sleep", "imports[0]"),)
