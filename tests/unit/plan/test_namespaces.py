"""Namespaces are there before anything is put into them, and those of other people stay theirs."""

from tests.unit.plan.model import Tree, cluster, link, planned, tree

EXISTING = {"provisioner": "existing", "kubeconfig": "/k"}


def made(declared: Tree, name: str) -> dict[str, dict[str, str]]:
    """Labels of the namespaces that are made in a cluster, by name."""
    bodies = planned(declared, name).namespaces
    found: dict[str, dict[str, str]] = {}
    for body in bodies:
        metadata = body["metadata"]
        assert isinstance(metadata, dict)
        found[metadata["name"]] = metadata["labels"]
    return found


def test_an_export_finds_its_namespace_though_its_service_comes_later() -> None:
    assert made(tree(), "west") == {"httpbin": {"istio-injection": "enabled"}}


def test_an_import_under_a_name_of_its_own_needs_no_namespace() -> None:
    assert made(tree(), "east") == {}


def test_an_import_as_local_finds_the_namespace_of_the_service_that_it_joins() -> None:
    assert set(made(tree(imports=[link(**{"as": "local"})]), "east")) == {"httpbin"}


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
