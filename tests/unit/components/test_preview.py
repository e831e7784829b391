"""The first preview: nothing exists, nothing is running, and still every object is listed with its body."""

import re

import pytest

from tests.unit.components.conftest import Record
from tests.unit.components.federations import STACKS, Tree, committed, not_ours, on_k3d, three_clusters, with_trust
from tests.unit.components.recorder import Run

CLUSTER, SERVICE = (
    re.compile(r"^(central|east|west|north)"),
    re.compile(r"(?<=[-:])(ratings|details|reviews)(?=.httpbin)"),
)
KEPT = re.compile(r"(?<=:).+(?=-namespace$)")
RESTARTED_BY = "spec.template.metadata.annotations.mesh-federation/trust"

UNKNOWN_AT_FIRST = {
    # What a cluster answers with once it runs.
    ("command:local:Command", "*-kubeconfig", "triggers[0]"),
    ("command:local:Command", "*-crds", "stdin"),
    ("command:local:Command", "*-crds", "triggers[1]"),
    ("command:local:Command", "*:*-namespace", "stdin"),
    ("command:local:Command", "*:*-namespace", "triggers[0]"),
    ("command:local:Command", "*-webhook", "stdin"),
    ("command:local:Command", "*-webhook", "triggers[0]"),
    ("command:local:Command", "*-webhook", "triggers[1]"),
    ("command:local:Command", "*-import-httpbin-httpbin-host", "stdin"),
    ("command:local:Command", "*-import-httpbin-httpbin-host", "triggers[0]"),
    ("command:local:Command", "*-roots", "stdin"),
    ("command:local:Command", "*-roots", "environment.JOB"),
    ("command:local:Command", "*-roots", "triggers[0]"),
    ("command:local:Command", "*-roots", "triggers[1]"),
    ("pulumi:providers:kubernetes", "*", "clusterIdentifier"),
    ("pulumi:providers:kubernetes", "*", "kubeconfig"),
    # Keys and certificates.
    ("kubernetes:core/v1:Secret", "*:istio-system/cacerts", "data.ca-cert.pem"),
    ("kubernetes:core/v1:Secret", "*:istio-system/cacerts", "data.ca-key.pem"),
    ("kubernetes:core/v1:Secret", "*:istio-system/cacerts", "data.cert-chain.pem"),
    ("kubernetes:core/v1:Secret", "*:istio-system/cacerts", "data.root-cert.pem"),
    ("kubernetes:apps/v1:Deployment", "*:istio-system/istiod", RESTARTED_BY),
    ("kubernetes:apps/v1:Deployment", "*:istio-system/istio-eastwestgateway", RESTARTED_BY),
    ("kubernetes:apps/v1:Deployment", "*:sleep/sleep", RESTARTED_BY),
    ("kubernetes:apps/v1:Deployment", "*:httpbin/httpbin", RESTARTED_BY),
}
"""Everything that the first preview of clusters of ours does not know; `*` is the cluster."""

UNKNOWN_ON_KIND = {
    ("command:local:Command", "*-nodes", "triggers[0]"),
    ("command:local:Command", "*-metallb-crds", "stdin"),
    ("command:local:Command", "*-metallb-crds", "triggers[1]"),
    ("command:local:Command", "*-metallb-webhook", "stdin"),
    ("command:local:Command", "*-metallb-webhook", "triggers[0]"),
}

UNKNOWN_WITH_THE_GATEWAY_API = {
    ("command:local:Command", "*-gateway-api-crds", "stdin"),
    ("command:local:Command", "*-gateway-api-crds", "triggers[1]"),
    ("command:local:Command", "*-global-httpbin-httpbin-host", "stdin"),
    ("command:local:Command", "*-global-httpbin-httpbin-host", "triggers[0]"),
}

UNKNOWN_WITH_EGRESS = {
    ("command:local:Command", "*-exit-east", "stdin"),
    ("command:local:Command", "*-exit-east", "triggers[0]"),
    ("command:local:Command", "*-exit-west", "stdin"),
    ("command:local:Command", "*-exit-west", "triggers[0]"),
    ("command:local:Command", "*-import-tools-httpbin-host", "stdin"),
    ("command:local:Command", "*-import-tools-httpbin-host", "triggers[0]"),
    ("kubernetes:apps/v1:Deployment", "*:istio-system/istio-egressgateway", RESTARTED_BY),
    ("kubernetes:apps/v1:Deployment", "*:tools/httpbin", RESTARTED_BY),
}

UNKNOWN_AUTHORITIES = {
    ("tls:index/selfSignedCert:SelfSignedCert", "privateKeyPem"),
    ("tls:index/certRequest:CertRequest", "privateKeyPem"),
    ("tls:index/locallySignedCert:LocallySignedCert", "caCertPem"),
    ("tls:index/locallySignedCert:LocallySignedCert", "caPrivateKeyPem"),
    ("tls:index/locallySignedCert:LocallySignedCert", "certRequestPem"),
}

UNKNOWN_WHERE_LOAD_BALANCERS_ARE_NOT_OURS = {
    ("command:local:Command", "*-claim", "environment.JOB"),
    ("command:local:Command", "*-gateway-address", "stdin"),
    ("command:local:Command", "*-gateway-address", "triggers[0]"),
    ("kubernetes:networking.istio.io/v1:ServiceEntry", "*:istio-system/import-httpbin-httpbin", "spec.endpoints"),
    ("kubernetes:networking.istio.io/v1:ServiceEntry", "*:istio-system/import-httpbin-httpbin", "spec.resolution"),
}

ANCHORS = "trust_bundle.inline_string"

OWNERS = {
    "metadata.labels.mesh-federation/owner",
}


def unknown(run: Run) -> set[tuple[str, str, str]]:
    """All unknown inputs but those of authorities, and anchors in filters.

    `*` stands for the cluster, and for a namespace that is kept.
    """
    return {
        (each.type, KEPT.sub("*", SERVICE.sub("httpbin", CLUSTER.sub("*", each.name))), path)
        for each in run.registered
        if not each.type.startswith("tls:")
        for path in each.unknown_paths()
        if not (each.kind == "EnvoyFilter" and path.endswith(ANCHORS))
    }


def listed(run: Run) -> set[tuple[str, str]]:
    return {(each.type, each.name) for each in run.registered}


@pytest.mark.parametrize("stack", STACKS)
def test_the_first_preview_knows_all_but_what_must_first_be_made(record: Record, stack: str) -> None:
    run = record(committed(stack), preview=True)
    expected = UNKNOWN_AT_FIRST | (UNKNOWN_ON_KIND if run.of_type("mesh-federation:index:MetalLB") else set())
    if run.of_type("mesh-federation:index:GlobalHost"):
        expected = {each for each in expected if "-import-" not in each[1]} | UNKNOWN_WITH_THE_GATEWAY_API
    if run.of_type("mesh-federation:index:Exit"):
        expected |= UNKNOWN_WITH_EGRESS
    assert unknown(run) == expected


def test_a_preview_of_other_peoples_clusters_does_not_know_their_load_balancers(record: Record) -> None:
    run = record(not_ours(), preview=True)
    owned = {
        ("command:local:Command", name, "environment.JOB")  # documents that name the owner
        for name in ("*-import-httpbin-httpbin-host", "*:*-namespace")
    }
    found = {each for each in unknown(run) if each[2] not in OWNERS} - owned
    ours = ("command:local:Command", "*-kubeconfig", "triggers[0]")
    uid = ("command:local:Command", "*-gateway-address", "triggers[1]")  # of a Service with a label that is unknown
    assert found == (UNKNOWN_AT_FIRST | UNKNOWN_WHERE_LOAD_BALANCERS_ARE_NOT_OURS | {uid}) - {ours}
    assert all(each.unknown_paths() & OWNERS for each in run.objects), "whose they are is told by the state alone"


@pytest.mark.parametrize("balancer", ["servicelb", "metallb"])
def test_a_preview_knows_a_k3d_gateways_addresses_where_metallb_gives_them(record: Record, balancer: str) -> None:
    found = unknown(record(on_k3d(loadBalancer=balancer), preview=True))
    endpoints = {each for each in UNKNOWN_WHERE_LOAD_BALANCERS_ARE_NOT_OURS if not each[1].endswith("-claim")}
    nodes = {("command:local:Command", "*-nodes", "triggers[0]")}
    waiting = {each for each in endpoints if each[1].endswith("-gateway-address")}  # in east, which k3s's own serves
    assert found == UNKNOWN_AT_FIRST | waiting | (nodes | endpoints if balancer == "servicelb" else UNKNOWN_ON_KIND)


def test_gateways_with_declared_addresses_are_known_on_other_peoples_clusters_too(record: Record) -> None:
    tree = not_ours()
    tree["clusters"]["west"]["gateway"] = {"addresses": ["west.example.com"]}
    run = record(tree, preview=True)
    spec = run.one("ServiceEntry", "east:istio-system/import-httpbin-httpbin").body["spec"]
    assert spec["resolution"] == "DNS"
    assert [endpoint["address"] for endpoint in spec["endpoints"]] == ["west.example.com"]


def test_of_a_filter_only_the_certificates_in_it_are_unknown(first_preview: Run) -> None:
    filters = [each for each in first_preview.objects if each.kind == "EnvoyFilter"]
    assert sorted(each.name for each in filters) == [  # clusters are made side by side
        "east:istio-system/own-trust-domain",
        "east:sleep/import-httpbin-httpbin",
        "west:httpbin/export-httpbin-httpbin",
        "west:istio-system/own-trust-domain",
    ]
    for each in filters:
        unknown_paths = each.unknown_paths()
        assert unknown_paths and all(path.endswith(ANCHORS) for path in unknown_paths)


def test_of_an_authority_only_keys_and_what_is_signed_with_them_is_unknown(first_preview: Run) -> None:
    authorities = [each for each in first_preview.registered if each.type.startswith("tls:")]
    assert {(each.type, path) for each in authorities for path in each.unknown_paths()} == UNKNOWN_AUTHORITIES


@pytest.mark.parametrize(
    "tree",
    [
        pytest.param(committed("simulated"), id="simulated"),
        pytest.param(committed("east-west"), id="east-west"),
        pytest.param(committed("gateway-api"), id="gateway-api"),
        pytest.param(with_trust("separate"), id="separate"),
        pytest.param(three_clusters(), id="three"),
        pytest.param(not_ours(), id="not-ours"),
        pytest.param(on_k3d(), id="k3d"),
    ],
)
def test_a_preview_lists_what_the_update_then_makes(record: Record, tree: Tree) -> None:
    preview, update = record(tree, preview=True), record(tree)
    assert listed(preview) == listed(update)
    assert len(preview.registered) == len(update.registered)


def test_what_a_preview_shows_is_what_the_update_makes(first_preview: Run, simulated: Run) -> None:
    apart = {each.kind for each in first_preview.objects if each.unknown_paths()}
    # cacerts, the pods that restart with it, and filters with certificates of the same authorities
    assert apart == {"Secret", "Deployment", "EnvoyFilter"}
    for each in first_preview.objects:
        if not each.unknown_paths():
            assert each.body == simulated.one(each.kind, each.name).body


def test_the_update_knows_everything(simulated: Run) -> None:
    assert unknown(simulated) == set()


def test_exports_are_known_at_preview(first_preview: Run, simulated: Run) -> None:
    assert first_preview.exports["clusters"] == simulated.exports["clusters"]


def test_two_runs_of_one_stack_ask_for_the_same(record: Record) -> None:
    """Nothing random in a plan, or every preview would show changes; keys aside, which a preview does not know."""
    tree = committed("simulated")
    one = record(tree, stack="simulated", preview=True)
    reordered = {key: tree[key] for key in reversed(tree)}
    reordered["clusters"] = {name: tree["clusters"][name] for name in reversed(tree["clusters"])}
    other = record(reordered, stack="simulated", preview=True)
    assert {(e.type, e.name): e.body for e in one.registered} == {(e.type, e.name): e.body for e in other.registered}
