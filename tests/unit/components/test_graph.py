"""Which resources there are, in which cluster, after what, and what they go away with."""

import pytest

from tests.unit.components.conftest import Record
from tests.unit.components.federations import (
    STACKS,
    Tree,
    committed,
    multi_primary,
    name_of,
    not_ours,
    on_k3d,
    three_clusters,
    with_trust,
)
from tests.unit.components.recorder import Registered, Run

ISTIO_GROUPS = ("networking.istio.io", "security.istio.io", "telemetry.istio.io")
LINKING = ("ServiceEntry", "WorkloadEntry", "DestinationRule")
COMPONENTS = {"CertificateAuthority", "Cluster", "Federation", "Gateway", "IstioInstall"}
"""That every federation has."""
ASKED_FOR = {
    "exports": {"Export"},
    "imports": {"Import"},
    "discovery": {"Discovery", "Reader"},
    "workloads": {"Sample"},
}
"""That a federation has where its stack file lists such entries."""
IN_SOME = {"Confinement", "Exit", "GlobalHost", "MetalLB", "RemoteGateway"}
"""That some federations need for what is declared."""
FEDERATIONS: dict[str, Tree] = {
    **{stack: committed(stack) for stack in STACKS},
    "three": three_clusters(),
    "not-ours": not_ours(),
    "multi-primary": multi_primary(),
    "k3d": on_k3d(loadBalancer="metallb"),
}
REMOTE = {name: tree for name, tree in FEDERATIONS.items() if {i["as"] for i in tree["imports"]} == {"remote"}}
every_remote_import = pytest.mark.parametrize("tree", [pytest.param(tree, id=name) for name, tree in REMOTE.items()])
every_federation = pytest.mark.parametrize("tree", [pytest.param(tree, id=name) for name, tree in FEDERATIONS.items()])


def remote(tree: Tree) -> list[dict[str, str]]:
    """Imports that come as a ServiceEntry."""
    return [link for link in tree["imports"] if link["as"] == "remote"]


def cluster_of(one: Registered) -> str:
    """The cluster that a resource's name says it is in."""
    return one.name.split(":")[0]


def provider_urns(run: Run) -> dict[str, str]:
    return {each.name: each.urn for each in run.providers}


def custom_resources(run: Run) -> list[Registered]:
    return [each for each in run.objects if any(group in each.type for group in ISTIO_GROUPS)]


def filters(run: Run) -> list[Registered]:
    return [each for each in run.objects if each.kind == "EnvoyFilter"]


@every_federation
def test_every_object_goes_through_the_provider_of_the_cluster_in_its_name(record: Record, tree: Tree) -> None:
    run = record(tree)
    providers = provider_urns(run)
    assert set(providers) == set(tree["clusters"])
    assert run.objects
    wrong = [each.name for each in run.objects if each.provider != providers[cluster_of(each)]]
    assert not wrong


@every_remote_import
def test_what_a_cluster_declares_is_in_that_cluster_alone(record: Record, tree: Tree) -> None:
    run = record(tree)

    def clusters_with(kind: str, name: str) -> set[str]:
        found = (e for e in run.objects if e.kind == kind and e.body["metadata"]["name"] == name)
        return {cluster_of(each) for each in found}

    for link in remote(tree):
        name = name_of(link)
        importing = {other["cluster"] for other in remote(tree) if name_of(other) == name}
        assert clusters_with("ServiceEntry", f"import-{name}") == importing
    for export in tree["exports"]:
        name = name_of(export)
        offering = {other["cluster"] for other in tree["exports"] if name_of(other) == name}
        assert clusters_with("Gateway", f"export-{name}") == offering
    assert clusters_with("Deployment", "httpbin") == {
        w["cluster"] for w in tree["workloads"] if w["sample"] == "httpbin"
    }
    assert clusters_with("Deployment", "istiod") == set(tree["clusters"])
    assert clusters_with("Secret", "cacerts") == set(tree["clusters"])


@every_federation
def test_meshes_carry_the_names_of_their_own_cluster(record: Record, tree: Tree) -> None:
    run = record(tree)
    for name, cluster in tree["clusters"].items():
        config = run.one("ConfigMap", f"{name}:istio-system/istio").body["data"]["mesh"]
        assert f"trustDomain: {cluster['trustDomain']}" in config
        environment = run.one("Deployment", f"{name}:istio-system/istiod").body["spec"]["template"]["spec"]
        assert {"name": "CLUSTER_ID", "value": name} in environment["containers"][0]["env"]


def test_a_cluster_is_identified_by_its_creation(simulated: Run) -> None:
    for name in ("east", "west"):
        create = simulated.one("Command", f"{name}-create")
        provider = simulated.one("kubernetes", name)
        assert provider.dependencies_of("clusterIdentifier") == {create.urn}
        assert provider.body["clusterIdentifier"] == f"id-of-{name}-create"


def test_a_kubeconfig_is_read_again_for_each_new_cluster(simulated: Run) -> None:
    for name in ("east", "west"):
        create = simulated.one("Command", f"{name}-create")
        read = simulated.one("Command", f"{name}-kubeconfig")
        assert read.body["triggers"] == [f"id-of-{name}-create"]
        assert create.urn in read.dependencies_of("triggers"), "depends_on alone makes no new kubeconfig"
        assert read.urn in simulated.one("kubernetes", name).dependencies_of("kubeconfig")


def test_a_cluster_is_made_anew_for_each_generation_and_under_another_name(record: Record) -> None:
    tree = committed("simulated")
    before = record(tree).one("Command", "east-create")
    tree["clusters"]["east"]["podSubnet"] = "10.20.0.0/16"
    after = record(tree).one("Command", "east-create")
    assert before.body["triggers"] != after.body["triggers"]
    assert before.settings["name"] != after.settings["name"]


def test_replacements_are_made_before_what_they_replace_is_deleted(simulated: Run) -> None:
    assert not [each.name for each in simulated.registered if each.request.deleteBeforeReplace]


@pytest.mark.parametrize("stack", STACKS)
def test_objects_of_our_clusters_go_away_with_the_cluster(record: Record, stack: str) -> None:
    run = record(committed(stack))
    for each in run.objects:
        assert each.request.deletedWith == run.one("Command", f"{cluster_of(each)}-create").urn, each.name
    for name in ("east", "west"):
        crds = run.one("Command", f"{name}-crds")
        assert crds.request.deletedWith == run.one("Command", f"{name}-create").urn


def test_objects_of_other_peoples_clusters_are_deleted_one_by_one(record: Record) -> None:
    run = record(not_ours())
    assert run.objects
    assert not [each.name for each in run.registered if each.request.deletedWith]


@every_federation
def test_istiod_starts_after_its_certificates(record: Record, tree: Tree) -> None:
    run = record(tree)
    for name in tree["clusters"]:
        istiod = run.one("Deployment", f"{name}:istio-system/istiod")
        assert run.one("Secret", f"{name}:istio-system/cacerts").urn in istiod.dependencies


@every_federation
def test_custom_resources_wait_for_their_definitions_and_for_istiod(record: Record, tree: Tree) -> None:
    run = record(tree)
    waiting = [each for each in custom_resources(run) if each not in filters(run)]
    assert waiting
    for each in waiting:
        before = run.before(each)
        assert run.one("Command", f"{cluster_of(each)}-crds").urn in before, each.name
        assert run.one("Deployment", f"{cluster_of(each)}:istio-system/istiod").urn in before, each.name


@every_federation
def test_proxies_learn_what_vouches_for_others_before_istiod_loses_them(record: Record, tree: Tree) -> None:
    run = record(tree)
    assert bool(filters(run)) == (tree["trust"].get("scope") != "mesh")
    for each in filters(run):
        cluster = cluster_of(each)
        assert run.one("Command", f"{cluster}-crds").urn in run.before(each), each.name
        assert each.urn in run.one("Secret", f"{cluster}:istio-system/cacerts").dependencies, each.name
        assert each.urn in run.one("ConfigMap", f"{cluster}:istio-system/istio").dependencies, each.name


@every_federation
def test_an_import_goes_before_the_filter_by_which_callers_trust_its_exporter(record: Record, tree: Tree) -> None:
    run = record(tree)
    for each in filters(run):
        linked = [other for other in run.objects if other.kind in LINKING and cluster_of(other) == cluster_of(each)]
        assert all(each.urn in run.before(other) for other in linked)


@every_remote_import
def test_a_gateway_offers_a_service_only_after_the_policy_that_guards_it(record: Record, tree: Tree) -> None:
    run = record(tree)
    for export in tree["exports"]:
        name = export["cluster"]
        namespace = export["service"].split("/")[0]
        gateway = run.one("Gateway", f"{name}:istio-system/export-{name_of(export)}")
        policy = run.one("AuthorizationPolicy", f"{name}:{namespace}/export-{name_of(export)}")
        assert policy.urn in gateway.dependencies
        assert gateway.urn not in run.before(policy)


@every_remote_import
def test_importers_move_only_after_every_exporter_offers_the_service(record: Record, tree: Tree) -> None:
    run = record(tree)
    for link in remote(tree):
        entry = run.one("ServiceEntry", f"{link['cluster']}:istio-system/import-{name_of(link)}")
        offer = run.one("Gateway", f"{link['from']}:istio-system/export-{name_of(link)}")
        assert offer.urn in run.before(entry)


@every_remote_import
def test_a_service_entry_takes_its_host_only_once_it_is_free(record: Record, tree: Tree) -> None:
    run = record(tree)
    for link in remote(tree):
        entry = run.one("ServiceEntry", f"{link['cluster']}:istio-system/import-{name_of(link)}")
        freed = run.one("Command", f"{link['cluster']}-import-{name_of(link)}-host")
        assert freed.settings["owner"] == f"ServiceEntry istio-system/import-{name_of(link)}"
        assert freed.urn in entry.dependencies


@every_federation
def test_namespaces_exist_before_what_is_in_them(record: Record, tree: Tree) -> None:
    run = record(tree)
    namespaces = {each.name: each.urn for each in run.of_type("kubernetes:core/v1:Namespace")}
    assert namespaces
    for each in run.objects:
        if namespace := each.body["metadata"].get("namespace"):
            assert namespaces[f"{cluster_of(each)}:{namespace}"] in run.before(each), each.name


def test_what_others_must_have_made_is_looked_for_before_anything_is_made(record: Record) -> None:
    run = record({**not_ours(), "workloads": []})
    look = run.one("Command", "west-needs")
    assert look.settings["needed"] == [{"kind": "Namespace", "namespace": "", "name": "httpbin", "path": "exports[0]"}]
    assert run.one("Command", "west-claim").urn in look.dependencies
    changing = [*(each for each in run.objects if cluster_of(each) == "west"), run.one("Command", "west-crds")]
    assert not [each.name for each in changing if look.urn not in run.before(each)]


@every_federation
def test_the_engine_deletes_no_namespace_and_whoever_made_it_is_asked_last(record: Record, tree: Tree) -> None:
    run = record(tree)
    for each in run.of_type("kubernetes:core/v1:Namespace"):
        assert each.request.retainOnDelete, each.name
        keeper = run.one("Command", f"{each.name}-namespace")
        assert keeper.urn in each.dependencies
        assert keeper.body["delete"].endswith("mesh_federation.jobs namespace delete")
        assert keeper.body["triggers"] == [f"id-of-{cluster_of(each)}"], "a cluster that stays replaces none of them"
        inside = [o for o in run.objects if o.body["metadata"].get("namespace") == each.body["metadata"]["name"]]
        assert all(keeper.urn in run.before(o) for o in inside if cluster_of(o) == cluster_of(each))
    assert not [o.name for o in run.objects if o.kind != "Namespace" and o.request.retainOnDelete]


@every_federation
def test_a_namespace_is_the_same_resource_for_whatever_it_is_made(record: Record, tree: Tree) -> None:
    run = record(tree)
    alone = {**tree, "exports": [], "imports": [], "discovery": []}
    kept = {each.name for each in record(alone).of_type("kubernetes:core/v1:Namespace")}
    urns = {each.urn for each in record(alone).of_type("kubernetes:core/v1:Namespace")}
    assert {e.urn for e in run.of_type("kubernetes:core/v1:Namespace") if e.name in kept} == urns


@every_federation
def test_pods_start_only_after_the_injector_runs(record: Record, tree: Tree) -> None:
    run = record(tree)
    outside_the_mesh = ("istio-system/istiod", "metallb-system/controller")
    for each in run.of_type("kubernetes:apps/v1:Deployment"):
        if not each.name.endswith(outside_the_mesh):
            istiod = run.one("Deployment", f"{cluster_of(each)}:istio-system/istiod")
            assert istiod.urn in run.before(each), each.name


@every_federation
def test_pods_start_only_after_every_namespace_knows_the_roots(record: Record, tree: Tree) -> None:
    run = record(tree)
    outside_the_mesh = ("istio-system/istiod", "metallb-system/controller")
    for each in run.of_type("kubernetes:apps/v1:Deployment"):
        if not each.name.endswith(outside_the_mesh):
            assert run.one("Command", f"{cluster_of(each)}-roots").urn in run.before(each), each.name


@every_federation
def test_clusters_wait_for_each_other_only_in_their_links(record: Record, tree: Tree) -> None:
    run = record(tree)
    home = {each.urn: cluster_of(each) for each in run.objects}
    for name in tree["clusters"]:
        # Authorities belong to no cluster: every cluster's bundle holds all roots.
        own = (e for e in run.registered if e.name.startswith(f"{name}-") and not e.type.startswith("tls:"))
        home |= {each.urn: name for each in own}
    importing = {(link["cluster"], link["from"]) for link in tree["imports"]}
    joined = {("Service", f"{link['cluster']}:{link['service']}") for link in tree["imports"] if link["as"] == "local"}
    reading = {(link["cluster"], link["of"]) for link in tree.get("discovery", ())}
    for each in run.registered:
        if each.urn not in home or not each.request.custom:
            continue
        foreign = {home[urn] for urn in run.before(each) if urn in home} - {home[each.urn]}
        leaving = "/egress-" in each.name or "-exit-" in each.name
        ours = each.name.endswith("-host") or ":istio-system/remote-" in each.name or (each.kind, each.name) in joined
        if each.kind in LINKING or ours or leaving:
            assert {(home[each.urn], other) for other in foreign} <= importing, each.name
        elif "/istio-remote-secret-" in each.name:
            assert {(home[each.urn], other) for other in foreign} <= reading, each.name
        else:
            assert not foreign, f"{each.name} waits for {foreign}"


@every_federation
def test_nothing_waits_for_itself(record: Record, tree: Tree) -> None:
    run = record(tree)
    assert not [each.name for each in run.registered if each.urn in run.before(each)]


@every_federation
def test_every_resource_belongs_to_the_component_that_makes_it(record: Record, tree: Tree) -> None:
    run = record(tree)
    by_urn = {each.urn: each for each in run.registered}

    def parent(one: Registered) -> tuple[str, str]:
        above = by_urn[one.request.parent]
        return above.kind, above.name

    for each in run.registered:
        above = None if each.kind == "Federation" else parent(each)
        match each.type.split(":")[0], each.kind:
            case "mesh-federation", "Federation":
                assert each.request.parent.endswith("pulumi:pulumi:Stack::mesh-federation-test")
            case "mesh-federation", _:
                assert above == ("Federation", "federation")
            case "tls", _:
                assert above == ("CertificateAuthority", "trust")
            case "pulumi", _:
                assert above == ("Cluster", each.name)
            case "command", _ if "-exit-" in each.name:
                assert above == ("Exit", each.name)
            case "command", _ if each.name.endswith("-namespace"):
                made = run.one("Namespace", each.name.removesuffix("-namespace"))
                assert above == parent(made)
            case "command", _:
                name, role = each.name.rsplit("-", 1)
                istio = ("IstioInstall", f"{name.removesuffix('-gateway-api')}-istio")
                installing = ("MetalLB", name) if name.endswith("-metallb") else istio
                assert above == {
                    "crds": installing,
                    "address": ("Gateway", name),
                    "host": ("Import" if "-import-" in name else "GlobalHost", name),
                    "roots": ("IstioInstall", f"{name}-istio"),
                    "token": ("Reader", name),
                    "webhook": installing,
                }.get(role, ("Cluster", name))
            case "kubernetes", "NodePatch":
                assert above == ("Cluster", cluster_of(each))
            case "kubernetes", _:
                assert above is not None and above[0] != "Cluster"
                assert above == ("Federation", "federation") or above[1].startswith(f"{cluster_of(each)}-"), each.name


@every_federation
def test_components_have_the_published_types_and_register_their_outputs(record: Record, tree: Tree) -> None:
    run = record(tree)
    components = [each for each in run.registered if not each.request.custom]
    asked_for = {name for entries, names in ASKED_FOR.items() if tree.get(entries) for name in names}
    found = {each.type.removeprefix("mesh-federation:index:") for each in components}
    assert COMPONENTS | asked_for <= found <= COMPONENTS | asked_for | IN_SOME
    assert {each.urn for each in components} <= set(run.outputs)


def test_components_say_what_others_need_of_them(simulated: Run) -> None:
    def outputs(kind: str, name: str) -> set[str]:
        return set(simulated.outputs[simulated.one(kind, name).urn])

    assert outputs("Federation", "federation") == {"clusters", "trust"}
    assert outputs("Cluster", "east") == {"provider"}
    assert outputs("CertificateAuthority", "trust") == {"bundle", "anchors"}
    assert outputs("Gateway", "east-gateway") == {"addresses"}
    assert outputs("Export", "west-export-httpbin-httpbin") == {"hosts"}
    assert outputs("Import", "east-import-httpbin-httpbin") == {"host"}


def test_the_stack_exports_what_a_person_needs_to_use_each_cluster(simulated: Run) -> None:
    assert set(simulated.exports) == {"clusters", "trust"}
    east = dict(simulated.exports["clusters"]["east"])
    assert east.pop("name").startswith("east-")
    assert len(east.pop("gateway")) == 1
    assert east == {
        "provisioner": "kwok",
        "context": "east",
        "kubeconfig": "kubeconfigs/simulated/east",
        "network": "east-network",
        "trustDomain": "east.local",
    }


def test_the_stack_exports_by_which_fingerprints_its_trust_is_known(simulated: Run) -> None:
    east, west = (simulated.exports["trust"][cluster] for cluster in ("east", "west"))
    assert east["trusted"] == west["trusted"] == [east["root"]] == [west["root"]]
    assert len({east["authority"], west["authority"], east["root"]}) == 3


def test_importers_call_the_address_that_the_exporters_gateway_asks_for(simulated: Run) -> None:
    service = simulated.one("Service", "west:istio-system/istio-eastwestgateway").body
    asked = service["metadata"]["annotations"]["metallb.universe.tf/loadBalancerIPs"]
    entry = simulated.one("ServiceEntry", "east:istio-system/import-httpbin-httpbin").body
    assert [endpoint["address"] for endpoint in entry["spec"]["endpoints"]] == [asked]
    assert simulated.exports["clusters"]["west"]["gateway"] == [asked]


def test_addresses_of_clusters_that_are_not_ours_come_from_their_load_balancers(record: Record) -> None:
    run = record(not_ours())
    entry = run.one("ServiceEntry", "east:istio-system/import-httpbin-httpbin")
    service = run.one("Service", "west:istio-system/istio-eastwestgateway")
    assert service.urn in entry.dependencies_of("spec")
    assert [endpoint["address"] for endpoint in entry.body["spec"]["endpoints"]] == ["203.0.113.7"]
    assert "metallb.universe.tf/loadBalancerIPs" not in service.body["metadata"]["annotations"]


def test_addresses_of_a_gateway_that_k3s_serves_come_from_its_service(record: Record) -> None:
    run = record(on_k3d())
    entry = run.one("ServiceEntry", "east:istio-system/import-httpbin-httpbin")
    service = run.one("Service", "west:istio-system/istio-eastwestgateway")
    assert service.urn in entry.dependencies_of("spec")
    assert "metallb.universe.tf/loadBalancerIPs" not in service.body["metadata"]["annotations"]


def test_metallb_serves_those_k3d_clusters_that_choose_it(record: Record) -> None:
    run = record(on_k3d(loadBalancer="metallb"))
    assert [each.name for each in run.of_type("mesh-federation:index:MetalLB")] == ["west-metallb"]


def test_every_node_of_a_k3d_cluster_knows_its_locality(record: Record) -> None:
    run = record(on_k3d())
    name = run.one("Command", "east-create").settings["name"]
    patched = {each.body["metadata"]["name"] for each in run.objects if each.kind == "NodePatch"}
    assert {f"k3d-{name}-server-0", f"k3d-{name}-agent-0"} <= patched


def test_another_trust_model_makes_no_new_cluster(record: Record) -> None:
    common, separate = record(with_trust("common")), record(with_trust("separate"))
    for name in ("east-create", "west-create", "east-kubeconfig", "west-kubeconfig"):
        assert common.one("Command", name).body == separate.one("Command", name).body


def test_a_third_cluster_changes_only_itself_and_its_links(record: Record) -> None:
    two, three = record(committed("simulated")), record(three_clusters())
    # Keys are made anew in every run; pods carry their hash, and filters their certificates.
    lasting = [each for each in two.objects if each.kind not in ("Secret", "Deployment", "EnvoyFilter")]
    changed = {each.name for each in lasting if each.body != three.one(each.kind, each.name).body}
    assert changed == {"east:istio-system/import-httpbin-httpbin"}
    assert {each.name for each in filters(two)} <= {each.name for each in filters(three)}
    for name in ("east", "west"):
        assert two.one("Command", f"{name}-create").body == three.one("Command", f"{name}-create").body
