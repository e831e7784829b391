"""What proxies accept is compared part by part; a forgery counts as refused only where others are heard."""

from dataclasses import replace
from typing import Any

import pytest

from mesh_federation import loader
from mesh_federation.stack.config import Federation, Revocation
from mesh_federation.verify import trust_binding
from mesh_federation.verify.certificates import Identity, Signer, fingerprint
from mesh_federation.verify.context import Context
from mesh_federation.verify.gateway_endpoint import GatewayEndpoint, GatewayResponse, ServiceAddress
from mesh_federation.verify.runner import run_one
from mesh_federation.verify.verdict import Verdict
from tests.authorities import authority, cacerts, encoded
from tests.unit.components.recorder import ROOT
from tests.unit.verify.fake_clusters import fake, pem, pod, secret, staged

ROOTS = {name: authority(f"{name} root CA") for name in ("east", "west")}
SIGNERS = {name: authority(f"{name} intermediate CA", root) for name, root in ROOTS.items()}
DOMAINS = {name: f"{name}.local" for name in ROOTS}
Ports = dict[int, dict[str, Signer] | None]
OK, DENIED, ENDED = (
    GatewayResponse(200, "hello"),
    GatewayResponse(403, "RBAC: access denied"),
    GatewayResponse(0, "certificate unknown"),
)


def federation(**trust: object) -> Federation:
    declared = loader.read(ROOT / "Pulumi.separate-roots.yaml")
    return declared.model_copy(update={"trust": declared.trust.model_copy(update=trust)})


def context(**trust: object) -> Context:
    """Two clusters with roots of their own; each vouches for its own trust domain."""
    whole = staged(federation(**trust), "separate-roots")
    clusters = {}
    for name, cluster in whole.clusters.items():
        print_ = fingerprint(ROOTS[name].chain[0])
        made = cluster.trust.model_copy(update={"root": print_, "trusted": (print_,), "anchors": (print_,)})
        clusters[name] = replace(cluster, trust=made)
        fake(cluster).when("get", "secret", "cacerts", out=secret(cacerts(SIGNERS[name], ROOTS[name].chain)))
        fake(cluster).lists("envoyfilters.networking.istio.io")
        fake(cluster).when("exec", "dynamic_active_secrets", out=roots(ROOTS[name]))
    return replace(whole, clusters=clusters)


def roots(*trusted: Signer) -> dict[str, object]:
    held = encoded(b"".join(pem(each.chain[0]) for each in trusted))
    return {"configs": [{"name": "ROOTCA", "secret": {"validation_context": {"trusted_ca": {"inline_bytes": held}}}}]}


def socket(vouching: dict[str, Signer] | None) -> dict[str, object]:
    """A TLS context as istiod makes it, with a validator or without."""
    domains = [
        {"name": domain, "trust_bundle": {"inline_string": pem(signer.chain[0]).decode()}}
        for domain, signer in (vouching or {}).items()
    ]
    validator = {"custom_validator_config": {"name": "v", "typed_config": {"trust_domains": domains}}}
    combined = {"default_validation_context": validator if domains else {}}
    return {"typed_config": {"common_tls_context": {"combined_validation_context": combined}}}


def listeners(ports: Ports, refused: str = "") -> dict[str, object]:
    chains: list[Any] = [
        {
            "filter_chain_match": {"transport_protocol": "tls", **({"destination_port": port} if port else {})},
            "transport_socket": socket(vouching),
        }
        for port, vouching in ports.items()
    ]
    chains.append({"filter_chain_match": {"destination_port": 15006}})
    active = {"active_state": {"listener": {"name": "virtualInbound", "filter_chains": chains}}}
    return {"configs": [{**active, **({"error_state": {"details": refused}} if refused else {})}]}


def upstreams(vouching: dict[str, Signer] | None, host: str = "httpbin.httpbin.svc.cluster.local") -> dict[str, object]:
    matches = [{"name": "tlsMode-istio", "transport_socket": socket(vouching)}]
    return {"configs": [{"cluster": {"name": f"outbound|8000||{host}", "transport_socket_matches": matches}}]}


BOTH = {"east.local": ROOTS["east"], "west.local": ROOTS["west"]}
NOTHING: dict[str, object] = {"configs": []}


def proxied(whole: Context, cluster: str, name: str, arriving: object, leaving: object) -> None:
    """Let one pod run in a cluster, whose proxy has this configuration."""
    fake(whole.clusters[cluster]).lists("pods", pod(name, name))
    fake(whole.clusters[cluster]).when("exec", "dynamic_listeners", out=arriving)
    fake(whole.clusters[cluster]).when("exec", "dynamic_active_clusters", out=leaving)


def bound(name: str, arriving: object, leaving: object = NOTHING, cluster: str = "west") -> Verdict:
    whole = context()
    proxied(whole, cluster, name, arriving, leaving)
    return trust_binding.bound(whole, whole.clusters[cluster])


def test_the_declared_bindings_and_no_others_pass() -> None:
    assert bound("httpbin", listeners({0: None, 8080: BOTH, 9000: None})).status == "passed"
    assert bound("other", listeners({0: None, 8080: None})).status == "passed"
    caller = {"west.local": ROOTS["west"]}
    assert bound("sleep", listeners({0: None}), upstreams(caller), "east").status == "passed"


@pytest.mark.parametrize(
    ("name", "ports", "found"),
    [
        ("httpbin", {8080: None}, "httpbin/httpbin-0 accepts every root that it has on port 8080"),
        ("httpbin", {8080: {"west.local": ROOTS["west"]}}, "accepts west.local"),
        ("httpbin", {8080: {**BOTH, "east.local": ROOTS["west"]}}, "accepts east.local"),
        ("httpbin", {8080: {**BOTH, "north.local": ROOTS["west"]}}, "north.local"),
        ("httpbin", {8080: BOTH, 9000: BOTH}, "on port 9000, not its own roots"),
        ("httpbin", {9000: None}, "accepts no mutual TLS on port 8080, which is exported"),
        ("other", {8080: BOTH}, "other/other-0 accepts east.local"),
    ],
)
def test_every_part_that_accepts_something_else_is_told(name: str, ports: Ports, found: str) -> None:
    verdict = bound(name, listeners(ports))
    assert (verdict.status, found in verdict.message) == ("failed", True), verdict.message


def test_a_caller_that_accepts_an_exporter_under_every_root_is_told() -> None:
    verdict = bound("sleep", listeners({}), upstreams(None), "east")
    assert "from outbound|8000||httpbin.httpbin.svc.cluster.local" in verdict.message
    elsewhere = bound("other", listeners({}), upstreams({"west.local": ROOTS["west"]}), "east")
    assert elsewhere.status == "failed", "callers of other namespaces are not told"


def test_a_proxy_that_rejects_its_configuration_is_told() -> None:
    verdict = bound("httpbin", listeners({8080: BOTH}, refused="Failed to load trust bundle"))
    assert "rejects its configuration: Failed to load trust bundle" in verdict.message


def test_filters_of_others_for_the_same_parts_are_named() -> None:
    whole = context()
    proxied(whole, "west", "httpbin", listeners({8080: None}), NOTHING)
    spec = {
        "configPatches": [
            {"applyTo": "FILTER_CHAIN", "patch": {"operation": "MERGE", "value": {"transport_socket": {}}}}
        ]
    }
    ours = {"metadata": {"name": "export-httpbin-httpbin", "namespace": "httpbin"}, "spec": spec}
    theirs = {"metadata": {"name": "theirs", "namespace": "httpbin"}, "spec": spec}
    fake(whole.clusters["west"]).lists("envoyfilters.networking.istio.io", ours, theirs)
    verdict = trust_binding.bound(whole, whole.clusters["west"])
    assert verdict.hint.endswith("these EnvoyFilters of others change the same parts: httpbin/theirs")


def called(
    whole: Context, monkeypatch: pytest.MonkeyPatch, forged: GatewayResponse, true: GatewayResponse = OK
) -> Verdict:
    """Judge west's export when forged identities, and those that an own authority issued, are answered like this."""

    def request(endpoint: GatewayEndpoint, service: ServiceAddress, caller: Identity) -> GatewayResponse:
        owner = next(name for name, domain in DOMAINS.items() if domain in caller.uri)
        return true if pem(SIGNERS[owner].chain[0]) in caller.chain else forged

    monkeypatch.setattr(trust_binding, "request", request)
    [check] = [
        each for each in trust_binding.checks(whole) if each.id == "refusals.forged" and "exports[0]" in each.about
    ]
    return run_one(check).verdict


def test_a_forged_caller_must_not_even_be_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    assert called(context(), monkeypatch, ENDED).status == "passed"
    refused = called(context(), monkeypatch, DENIED)
    assert refused.status == "failed", "a policy that refuses it has believed who it is"
    assert "spiffe://east.local/ns/sleep/sa/sleep issued by west" in refused.message
    assert "spiffe://west.local/ns/httpbin/sa/httpbin issued by east" in refused.message


def test_where_nobody_is_heard_a_refused_forgery_means_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert called(context(), monkeypatch, ENDED, ENDED).status == "could-not-run"


def test_with_scope_mesh_the_accepted_forgeries_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = called(context(scope="mesh"), monkeypatch, OK)
    assert (verdict.status, "issued by west" in verdict.message) == ("not-applicable", True)
    assert verdict.message.startswith("trust.scope is mesh")


def served(whole: Context) -> Verdict:
    [check] = [
        each for each in trust_binding.checks(whole) if each.id == "refusals.forged" and "imports[0]" in each.about
    ]
    return run_one(check).verdict


@pytest.mark.parametrize(
    ("vouching", "trusted", "status"),
    [
        ({"west.local": ROOTS["west"]}, (ROOTS["east"],), "passed"),
        ({"west.local": ROOTS["east"]}, (ROOTS["east"],), "failed"),
        (None, (ROOTS["east"], ROOTS["west"]), "failed"),
        (None, (ROOTS["west"],), "passed"),
    ],
)
def test_a_server_that_another_cluster_vouches_for_is_judged_by_what_its_callers_have(
    vouching: dict[str, Signer] | None, trusted: tuple[Signer, ...], status: str
) -> None:
    whole = context()
    proxied(whole, "east", "sleep", listeners({}), upstreams(vouching))
    fake(whole.clusters["east"]).when("exec", "dynamic_active_secrets", out=roots(*trusted))
    verdict = served(whole)
    assert verdict.status == status, verdict.message


def revoking(
    revoked: Revocation, monkeypatch: pytest.MonkeyPatch, answer: GatewayResponse, anchors: dict[str, Signer]
) -> Verdict:
    whole = context(revoked=(revoked,))
    proxied(whole, "west", "httpbin", listeners({8080: anchors}), NOTHING)
    calls = {"east.local": answer, "west.local": OK}
    monkeypatch.setattr(
        trust_binding, "request", lambda *asked: next(a for domain, a in calls.items() if domain in asked[2].uri)
    )
    [check] = [each for each in trust_binding.checks(whole) if each.id == "refusals.revoked"]
    return run_one(check).verdict


def test_a_revoked_cluster_must_be_refused_at_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"west.local": ROOTS["west"]}
    assert revoking(Revocation(cluster="east"), monkeypatch, ENDED, own).status == "passed"
    verdict = revoking(Revocation(cluster="east"), monkeypatch, DENIED, own)
    assert (verdict.status, "issued by east, which is revoked" in verdict.message) == ("failed", True)


def test_an_authority_that_a_proxy_still_has_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = context(revoked=(Revocation(authority=fingerprint(ROOTS["east"].chain[0])),))
    proxied(whole, "west", "httpbin", listeners({8080: BOTH}), NOTHING)
    monkeypatch.setattr(trust_binding, "request", lambda *_: OK)
    [checked] = [each for each in trust_binding.checks(whole) if each.id == "refusals.revoked"]
    verdict = run_one(checked).verdict
    assert "still has east root CA as an anchor of east.local" in verdict.message
