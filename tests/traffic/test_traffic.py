"""Walk-throughs 000 and 001 on real clusters: what must be answered is, and what must be refused is, in both models."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509

from mesh_federation.verify.certificates import issue, stranger
from tests.checkout import eventually
from tests.traffic.conftest import Prepare, with_callers
from tests.traffic.lab import PATIENCE, URL, Lab
from tests.traffic.mutations import ENTRY, IMPORT, NO_PIN, patched
from tests.traffic.verified import green

HOST = "httpbin.httpbin.svc.cluster.local"


@pytest.fixture(scope="module", params=["common", "separate"])
def model(request: pytest.FixtureRequest, brought_up: Lab, prepare: Prepare) -> Iterator[Lab]:
    """A federation in one trust model: the lab, or a stack of its own."""
    if request.param == "common":
        yield brought_up
        return
    with prepare("separate-roots") as made:
        with_callers(made).up()
        yield Lab(made, brought_up.provider)


def test_a_named_consumer_is_answered_under_its_own_identity(model: Lab) -> None:
    reply = model.call("east", "sleep")
    assert reply.status == 200, reply
    assert reply.identities == {
        "URI": "spiffe://east.local/ns/sleep/sa/sleep",
        "By": "spiffe://west.local/ns/httpbin/sa/httpbin",
    }


def test_a_verification_passes_in_both_models(model: Lab) -> None:
    eventually(lambda: green(model), PATIENCE)


def test_a_consumer_that_the_export_does_not_name_cannot_even_resolve_it(model: Lab) -> None:
    reply = model.call("east", "stranger")
    assert (reply.status, "Could not resolve" in reply.error) == (0, True), reply


def test_the_same_namespace_and_account_in_the_exporters_own_mesh_keeps_what_it_had(model: Lab) -> None:
    reply = model.call("west", "sleep")
    assert reply.status == 200, reply
    assert reply.identities["URI"] == "spiffe://west.local/ns/sleep/sa/sleep"


@pytest.fixture
def outsider(model: Lab) -> Iterator[str]:
    """A pod of the exporting cluster without a proxy, in a namespace of its own."""
    image = model.image("sleep")
    container = {"name": "curl", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "infinity"]}
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "curl", "namespace": "outside"},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }  # fmt: skip
    model.ask("west", "create", "namespace", "outside")
    eventually(lambda: model.kubectl("west", "apply", "--filename=-", stdin=json.dumps(pod)).code == 0)
    model.ask("west", "wait", "pod/curl", "--namespace=outside", "--for=condition=Ready", "--timeout=120s", limit="0")
    yield "outside"
    model.ask("west", "delete", "namespace", "outside", limit="0")


def test_plaintext_to_a_strict_workload_is_refused(model: Lab, outsider: str) -> None:
    curl = ["curl", "-sS", "-m", "5", f"{URL}/headers"]
    done = model.kubectl("west", "exec", "pod/curl", f"--namespace={outsider}", "--", *curl)
    assert done.code != 0
    assert "reset" in done.text.lower(), done.text


def test_the_exported_service_shows_its_identity_at_the_gateway(model: Lab) -> None:
    shown = model.certificate("west", HOST, 8000)
    assert shown is not None
    names = x509.load_der_x509_certificate(shown).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.UniformResourceIdentifier) == [
        "spiffe://west.local/ns/httpbin/sa/httpbin"
    ]


def test_a_gateway_that_is_asked_for_any_other_service_shows_no_certificate(model: Lab) -> None:
    for cluster in ("east", "west"):
        services = json.loads(model.ask(cluster, "get", "services", "--all-namespaces", "--output=json"))["items"]
        names = [(each["metadata"]["name"], each["metadata"]["namespace"], each["spec"]["ports"]) for each in services]
        asked = [
            (f"{name}.{namespace}.svc.cluster.local", p["port"]) for name, namespace, ports in names for p in ports
        ]
        assert len(asked) > 5
        exported = [(HOST, 8000)] if cluster == "west" else []
        assert [each for each in asked if model.certificate(cluster, *each)] == exported


def test_a_gateway_shows_nothing_to_what_does_not_speak_istio(model: Lab) -> None:
    assert model.certificate("west", HOST, 8000, alpn="http/1.1") is None
    assert model.certificate("west", HOST, 8001) is None


def test_a_client_with_a_certificate_of_an_unknown_root_is_refused(model: Lab, tmp_path: Path) -> None:
    certificate, key = foreign(tmp_path, "spiffe://east.local/ns/sleep/sa/sleep")
    assert model.refuses("west", HOST, 8000, certificate, key)


def foreign(folder: Path, identity: str) -> tuple[Path, Path]:
    """Files with a certificate that claims an identity under a root that nobody trusts, and its key."""
    lent, files = issue(stranger(), identity), (folder / "cert.pem", folder / "key.pem")
    files[0].write_bytes(lent.chain)
    files[1].write_bytes(lent.key)
    return files


def test_a_service_that_is_not_exported_is_refused(lab: Lab) -> None:
    exported = lab.checkout.declared()
    with lab.edited() as federation:
        federation["exports"], federation["imports"] = [], []
    lab.checkout.up()
    eventually(partial(lab.settled, "east", "sleep", 0), PATIENCE)
    assert lab.certificate("west", HOST, 8000) is None
    lab.checkout.declare(exported)
    lab.checkout.up()
    eventually(partial(lab.settled, "east", "sleep", 200), PATIENCE)


def test_only_the_accounts_that_an_export_names_may_call_and_local_callers_always(lab: Lab) -> None:
    """The host is made visible to all. With trust for each link, the handshake refuses others already."""
    with lab.edited() as federation:
        exports = federation["exports"]
        assert isinstance(exports, list)
        exports[0]["to"] = [{"cluster": "east", "serviceAccounts": ["sleep/other", "stranger/sleep"]}]
    lab.checkout.up()
    eventually(partial(lab.settled, "east", "stranger", 200), PATIENCE)
    eventually(partial(lab.settled, "east", "sleep", 503), PATIENCE)
    assert lab.call("west", "sleep").status == 200


def test_the_pin_refuses_another_identity_of_the_same_root(lab: Lab) -> None:
    """By hand: the stack refuses to pin an account that its own sample does not run as."""
    patched("east", ENTRY, IMPORT, "istio-system", NO_PIN)(lab)
    try:
        eventually(partial(lab.settled, "east", "sleep", 503), PATIENCE)
        # Envoy keeps lines of its log back for up to ten seconds.
        eventually(lambda: "CERTIFICATE_VERIFY_FAILED" in lab.said_by_proxy("east", "sleep"))
        assert lab.call("east", "sleep").status == 503
    finally:
        lab.checkout.up("--refresh")
    eventually(partial(lab.settled, "east", "sleep", 200), PATIENCE)
