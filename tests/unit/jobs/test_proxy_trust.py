"""Authorities change only when every proxy trusts those that follow, and none still needs those that go."""

import base64
import json

import pytest

from mesh_federation.jobs import proxy_trust
from mesh_federation.jobs.proxy_trust import ProxyTrustSettings
from mesh_federation.stack.pem import fingerprint
from tests.unit.clusters.fake_machine import FakeMachine
from tests.unit.components.authorities import Issuer, authority, workload

OLD, NEW = authority("root CA"), authority("root CA r2")
SWITCH = ProxyTrustSettings((fingerprint(NEW.pem),), (fingerprint(OLD.pem), fingerprint(NEW.pem)))
DROP = ProxyTrustSettings((fingerprint(NEW.pem),), (fingerprint(NEW.pem),))
KUBECONFIG = "apiVersion: v1\n"


def pod(name: str, *containers: str, ending: bool = False, native: bool = False) -> dict[str, object]:
    own = [{"name": each} for each in containers]
    metadata = {"namespace": "httpbin", "name": name, **({"deletionTimestamp": "now"} if ending else {})}
    return {"metadata": metadata, "spec": {"initContainers": own} if native else {"containers": own}}


def pods(machine: FakeMachine, *listed: dict[str, object]) -> None:
    machine.when("kubectl", "get", out=json.dumps({"items": list(listed)}))


def secrets(under: Issuer, *trusted: Issuer) -> str:
    """What Envoy tells of its secrets; keys are blanked out by it, and all roots stand behind the chain."""
    signer = authority("east intermediate CA", under)
    leaf = Issuer(workload("spiffe://east.local/ns/n/sa/s", signer), signer.key)
    chain = {"inline_bytes": _encoded(leaf, signer, under, *trusted)}
    roots = {"inline_bytes": _encoded(*trusted)}
    return json.dumps(
        {
            "configs": [
                {"name": "default", "secret": {"tls_certificate": {"certificate_chain": chain}}},
                {"name": "ROOTCA", "secret": {"validation_context": {"trusted_ca": roots}}},
            ]
        }
    )


def _encoded(*issuers: Issuer) -> str:
    return base64.b64encode("".join(issuer.pem for issuer in issuers).encode()).decode()


def complaint(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch, settings: ProxyTrustSettings) -> str:
    """What the job ends with when it has waited in vain."""
    machine.enter(monkeypatch)
    with pytest.raises(SystemExit) as ended:
        proxy_trust.run(settings, machine.context(), timeout=0)
    return str(ended.value)


def test_a_proxy_that_trusts_both_roots_lets_clusters_switch(machine: FakeMachine) -> None:
    pods(machine, pod("one", "httpbin", "istio-proxy"), pod("two", "istio-proxy", native=True))
    machine.when("kubectl", "exec", out=secrets(OLD, OLD, NEW))
    assert machine.run("proxy-trust", stdin=KUBECONFIG, settings=SWITCH).status == 0
    asked = [call.argv for call in machine.calls("kubectl") if "exec" in call.argv]
    assert sorted(argv[3] for argv in asked) == ["one", "two"]
    assert {tuple(argv[-4:]) for argv in asked} == {proxy_trust.DUMP}


def test_pods_without_a_proxy_or_at_their_end_are_not_asked(machine: FakeMachine) -> None:
    pods(machine, pod("plain", "app"), pod("going", "istio-proxy", ending=True))
    assert machine.run("proxy-trust", stdin=KUBECONFIG, settings=DROP).status == 0
    assert not [call for call in machine.calls("kubectl") if "exec" in call.argv]


def test_a_cluster_without_workloads_is_in_nobodys_way(machine: FakeMachine) -> None:
    pods(machine)
    assert machine.run("proxy-trust", stdin=KUBECONFIG, settings=SWITCH).status == 0


def test_a_proxy_that_does_not_know_the_next_root_stops_the_switch(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pods(machine, pod("one", "istio-proxy"))
    machine.when("kubectl", "exec", out=secrets(OLD, OLD))
    told = complaint(machine, monkeypatch, SWITCH)
    assert f"httpbin/one: does not trust root {fingerprint(NEW.pem)[:16]} yet" in told
    assert "nothing was changed" in told
    assert "kubectl rollout restart" in told


def test_a_proxy_whose_certificate_leads_to_the_old_root_keeps_it_from_being_dropped(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pods(machine, pod("one", "istio-proxy"))
    machine.when("kubectl", "exec", out=secrets(OLD, OLD, NEW))
    told = complaint(machine, monkeypatch, DROP)
    assert f"httpbin/one: has a certificate of root {fingerprint(OLD.pem)[:16]}" in told


@pytest.mark.parametrize("trusted", [(OLD, NEW), (NEW, OLD)], ids=["old-first", "new-first"])
def test_in_whichever_order_roots_are_told_the_one_that_a_chain_leads_to_counts(
    machine: FakeMachine, trusted: tuple[Issuer, Issuer]
) -> None:
    pods(machine, pod("one", "istio-proxy"))
    machine.when("kubectl", "exec", out=secrets(NEW, *trusted))
    assert machine.run("proxy-trust", stdin=KUBECONFIG, settings=DROP).status == 0


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"out": "{}"}, "its proxy has no certificate"),
        ({"status": 1, "err": "no\nbroken pipe"}, "does not answer: broken pipe"),
    ],
)
def test_a_proxy_that_cannot_tell_stops_the_step(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch, answer: dict[str, object], told: str
) -> None:
    pods(machine, pod("one", "istio-proxy"))
    machine.when("kubectl", "exec", **answer)  # type: ignore[arg-type]
    assert told in complaint(machine, monkeypatch, SWITCH)


def test_a_cluster_that_does_not_answer_stops_the_step(machine: FakeMachine) -> None:
    machine.when("kubectl", "get", status=1, err="connection refused")
    ended = machine.run("proxy-trust", stdin=KUBECONFIG, settings=SWITCH)
    assert ended.status == 1
    assert "cannot look for pods" in ended.err
