"""What a person gets who types `make up`, and what a second time does."""

from tests.checkout import Checkout


def test_objects_of_both_clusters_are_on_their_api_servers(running: Checkout) -> None:
    for cluster in ("east", "west"):
        deployments = running.kubectl(cluster, "get", "deployments", "--namespace=istio-system", "--output=name").stdout
        assert deployments.split() == ["deployment.apps/istio-eastwestgateway", "deployment.apps/istiod"]
    assert running.get("west", "authorizationpolicies.security.istio.io", "export-httpbin-httpbin", "httpbin")
    assert running.get("west", "gateways.networking.istio.io", "export-httpbin-httpbin")
    assert running.get("east", "deployment", "sleep", "sleep")


def test_the_importer_calls_the_exporters_gateway(running: Checkout) -> None:
    assert running.imported_addresses() == [running.gateway_address("west")]
    assert running.clusters()["west"]["gateway"] == [running.gateway_address("west")]


def test_a_second_up_changes_nothing(running: Checkout) -> None:
    before = {process.pid for process in running.control_planes()}
    assert set(running.up().changes()) == {"unchanged"}
    assert {process.pid for process in running.control_planes()} == before


def test_a_controller_that_ended_is_started_again_and_nothing_else(running: Checkout) -> None:
    before = {process.pid: process.name() for process in running.control_planes()}
    [ended] = running.processes(f"kwok/clusters/{running.real_name('east')}/bin/kube-controller-manager")
    running.kill([ended])
    assert set(running.up().changes()) == {"unchanged"}
    after = {process.pid: process.name() for process in running.control_planes()}
    assert sorted(after.values()) == sorted(before.values())
    assert before.keys() - after.keys() == {ended.pid}


def test_a_run_leaves_the_checkout_as_it_was_committed(running: Checkout) -> None:
    assert running.git_status() == ""


def test_the_table_at_the_end_names_kubeconfigs_that_work(running: Checkout) -> None:
    shown = "".join(running.up().stdout.split())
    for cluster in ("east", "west"):
        assert f".mesh/kubeconfigs/simulated/{cluster}" in shown
        asked = running.kubectl(cluster, "config", "current-context")
        assert asked.stdout.strip() == cluster


def test_every_command_works_in_a_shell_that_mesh_env_made(running: Checkout) -> None:
    shell = running.environment()
    again = running.mesh("env", **shell)
    assert again.code == 0, again.text
    assert set(running.up(**shell).changes()) == {"unchanged"}
    by_hand = running.pulumi("up", "--yes", "--skip-preview")
    assert by_hand.code == 0, by_hand.text
    assert set(by_hand.changes()) == {"unchanged"}
