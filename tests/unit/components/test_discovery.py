"""Two clusters that discover each other: what is made in which, after what, and what nobody may see."""

import base64
import copy

import pytest

from mesh_federation.toolchain.standins import values
from mesh_federation.toolchain.standins.values import Secret
from tests.unit.components.conftest import Record
from tests.unit.components.federations import Tree, multi_primary
from tests.unit.components.recorder import Run, secret
from tests.unit.components.test_preview import listed, unknown
from tests.unit.components.test_secrets import in_the_open

PAIRS = [("cluster-0", "cluster-1"), ("cluster-1", "cluster-0")]
both_ways = pytest.mark.parametrize(("reader", "read"), PAIRS)


@pytest.fixture
def both(record: Record) -> Run:
    return record(multi_primary())


def one_way() -> Tree:
    """Only cluster-1 discovers, where the sample sleep is."""
    tree = copy.deepcopy(multi_primary())
    tree["discovery"] = [{"cluster": "cluster-1", "of": "cluster-0"}]
    return tree


@both_ways
def test_the_remote_secret_holds_what_the_reader_command_printed(both: Run, reader: str, read: str) -> None:
    made = both.one("Secret", f"{reader}:istio-system/istio-remote-secret-{read}")
    assert made.body["metadata"]["labels"]["istio/multiCluster"] == "true"
    assert made.body["metadata"]["annotations"]["networking.istio.io/cluster"] == read
    assert list(made.body["data"]) == [read]
    assert f"token-of-{read}-read-by-{reader}-token" in base64.b64decode(made.body["data"][read]).decode()


@both_ways
def test_a_cluster_is_known_to_others_by_the_name_that_its_istiod_has(both: Run, reader: str, read: str) -> None:
    istiod = both.one("Deployment", f"{read}:istio-system/istiod").body["spec"]["template"]["spec"]
    own = next(each["value"] for each in istiod["containers"][0]["env"] if each["name"] == "CLUSTER_ID")
    remote = both.one("Secret", f"{reader}:istio-system/istio-remote-secret-{read}").body
    assert list(remote["data"]) == [own]


@both_ways
def test_definitions_istiod_token_and_secret_come_in_this_order(both: Run, reader: str, read: str) -> None:
    made = both.one("Secret", f"{reader}:istio-system/istio-remote-secret-{read}")
    token = both.one("Command", f"{read}-read-by-{reader}-token")
    before = both.before(made)
    assert token.urn in made.dependencies_of("data")
    for cluster in (reader, read):
        assert both.one("Command", f"{cluster}-crds").urn in before
        assert both.one("Deployment", f"{cluster}:istio-system/istiod").urn in before
    account = both.one("ServiceAccount", f"{read}:istio-system/istiod-of-{reader}")
    allowed = both.one("ClusterRoleBinding", f"{read}:istiod-of-{reader}")
    assert {account.urn, allowed.urn} <= token.dependencies


@both_ways
def test_calls_are_sent_to_a_cluster_only_once_it_serves_them(both: Run, reader: str, read: str) -> None:
    before = both.before(both.one("Secret", f"{reader}:istio-system/istio-remote-secret-{read}"))
    sample = {"cluster-0": "httpbin/httpbin", "cluster-1": "sleep/sleep"}[read]
    assert both.one("Gateway", f"{read}:istio-system/discovered-services").urn in before
    assert both.one("Service", f"{read}:istio-system/istio-eastwestgateway").urn in before
    assert both.one("Deployment", f"{read}:{sample}").urn in before


@both_ways
def test_a_token_is_asked_for_anew_in_a_new_cluster(both: Run, reader: str, read: str) -> None:
    token = both.one("Command", f"{read}-read-by-{reader}-token")
    assert both.one("kubernetes", read).urn in token.dependencies_of("triggers")
    assert token.request.deletedWith == both.one("Command", f"{read}-create").urn


@pytest.mark.parametrize("preview", [True, False])
def test_tokens_are_secret_wherever_they_go(record: Record, preview: bool) -> None:
    run = record(multi_primary(), preview=preview)
    for reader, read in PAIRS:
        token = run.one("Command", f"{read}-read-by-{reader}-token")
        assert {"stdout", "stderr"} <= set(token.request.additionalSecretOutputs)
        assert token.body["logging"] == "none"
        made = run.one("Secret", f"{reader}:istio-system/istio-remote-secret-{read}")
        assert set(made.request.additionalSecretOutputs) == {"data", "stringData"}
        data = made.inputs["data"]
        if not isinstance(data, Secret) and not preview:  # an unknown value carries no mark over the wire
            assert isinstance(data, dict) and all(secret(value) for value in data.values())
            assert secret(token.inputs["stdin"])
    for component in (each for each in run.registered if each.kind in ("Reader", "Discovery")):
        assert run.outputs[component.urn] == {}


def test_no_token_goes_over_the_wire_in_the_open(both: Run) -> None:
    sent = [each.inputs for each in both.registered] + list(both.outputs.values())
    assert not [text for text in map(in_the_open, sent) if "token-of-" in text]
    assert any("-read-by-" in in_the_open(values.plain(inputs)) for inputs in sent)  # so the search can find one


def test_only_a_discovered_cluster_opens_its_gateway(record: Record) -> None:
    run = record(one_way())
    opened = [each.name for each in run.objects if each.kind == "Gateway"]
    assert opened == ["cluster-0:istio-system/discovered-services"]
    assert not [each.name for each in run.objects if each.name.startswith("cluster-1") and "istiod-of" in each.name]


def test_clusters_on_one_network_need_no_open_gateway(record: Record) -> None:
    tree = copy.deepcopy(multi_primary())
    for cluster in tree["clusters"].values():
        cluster["network"] = "flat"
    run = record(tree)
    assert not [each.name for each in run.objects if each.kind == "Gateway"]
    assert len([each for each in run.objects if "/istio-remote-secret-" in each.name]) == 2


def test_no_service_account_of_the_mesh_gets_a_key_of_another_cluster(both: Run) -> None:
    """Walk-through 003 copies istio-ca-secret, a root's private key (pitfall 41); here each istiod has its own."""
    names = [each.body["metadata"]["name"] for each in both.objects if each.kind == "Secret"]
    assert sorted(names) == ["cacerts", "cacerts", "istio-remote-secret-cluster-0", "istio-remote-secret-cluster-1"]


def test_mutual_tls_stays_strict(both: Run) -> None:
    policies = [each.body["spec"] for each in both.objects if each.kind == "PeerAuthentication"]
    assert policies == [{"mtls": {"mode": "STRICT"}}] * 2


def test_the_first_preview_knows_all_but_tokens(record: Record) -> None:
    preview, update = record(multi_primary(), preview=True), record(multi_primary())
    assert listed(preview) == listed(update)
    mine = {(kind, name, path) for kind, name, path in unknown(preview) if "read-by" in name or "remote-secret" in name}
    assert mine == {
        *(
            ("command:local:Command", f"{read}-read-by-{reader}-token", path)
            for reader, read in PAIRS
            for path in ("stdin", "triggers[0]")
        ),
        *(
            ("kubernetes:core/v1:Secret", f"{reader}:istio-system/istio-remote-secret-{read}", f"data.{read}")
            for reader, read in PAIRS
        ),
    }


def test_a_kind_clusters_api_server_is_known_at_preview(record: Record) -> None:
    run = record(multi_primary("kind"), preview=True)
    name = run.one("Command", "cluster-0-create").settings["name"]
    token = run.one("Command", "cluster-0-read-by-cluster-1-token")
    assert token.settings["server"] == f"https://{name}-control-plane:6443"
    assert token.settings["from_pod"]


def test_objects_of_discovery_are_claimed_before_they_are_made_elsewhere(record: Record) -> None:
    tree = copy.deepcopy(multi_primary("existing"))
    for name, cluster in tree["clusters"].items():
        cluster |= {"kubeconfig": f"$KUBECONFIGS/{name}", "apiServer": f"https://{name}.example.com"}
    run = record(tree)
    claimed = run.one("Command", "cluster-0-claim").body["stdin"]
    for name in ("istiod-of-cluster-1", "istio-remote-secret-cluster-1", "discovered-services"):
        assert f'"{name}"' in claimed
