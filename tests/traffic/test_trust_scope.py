"""How far trust reaches on clusters that run: its scope changes under a caller, and it ends with the export."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from mesh_federation.verify.certificates import Identity
from tests.checkout import eventually
from tests.rotation import declare
from tests.traffic.client import lasting
from tests.traffic.identities import minted
from tests.traffic.lab import PATIENCE, URL, Lab
from tests.traffic.mutations import applied, context, exported_filter
from tests.traffic.verified import green, verify

Note = Callable[[str, object], None]

SLEEP, SERVER = "spiffe://east.local/ns/sleep/sa/sleep", "spiffe://west.local/ns/httpbin/sa/httpbin"
ALERT = "alert"
"""What OpenSSL says when the other side refuses a certificate."""
CURL = """
folder=$(mktemp -d) && trap 'rm -r "$folder"' EXIT && printf %s "$2" >"$folder/client"
curl -sS -k -m 5 -o /dev/null -w "%{http_code} " --cert "$folder/client" "$1" 2>&1 || true
"""


def directly(lab: Lab, identity: Identity) -> str:
    """Call west's httpbin at its pod, without a gateway: the HTTP status, and why the connection failed."""
    address = lab.ask("west", "get", "pods", "--namespace=httpbin", "--output=jsonpath={.items[0].status.podIP}")
    certificate = (identity.chain + identity.key).decode()
    return lab.nodes.run(
        lab.nodes.of("west"), "sh", "-c", CURL, "sh", f"https://{address}:8080/headers", certificate
    ).strip()


def test_a_caller_that_does_not_stop_loses_no_call_while_the_scope_changes_there_and_back(
    lab: Lab, record_property: Note
) -> None:
    for scope, status in (("mesh", "not-applicable"), ("link", "passed")):
        with lasting(lab, f"{URL}/headers") as client:
            declare(lab.checkout, {"model": "common", "scope": scope})
            lab.checkout.up()
            eventually(partial(lab.settled, "east", "sleep", 200), PATIENCE)
        record_property(f"calls while the scope becomes {scope}", dict(client.statuses))
        assert client.failed == [], lab.refused_by_proxy("east", "sleep")
        eventually(partial(green, lab), PATIENCE)
        record_property(f"configuration of the exported workload's proxy in scope {scope}, KiB", size(lab) // 1024)
        told = verify(lab, "--only=refusals.forged")
        assert {each for *_, each in told.statuses} == {status}, "scope mesh says what is accepted, link refuses it"


def test_without_its_export_a_caller_with_a_valid_certificate_fails_the_handshake_within_seconds(
    lab: Lab, record_property: Note
) -> None:
    caller = minted(lab, "east", SLEEP)
    own = minted(lab, "west", SERVER)
    eventually(lambda: directly(lab, caller).startswith("200"), PATIENCE)
    with lab.edited() as federation:
        del federation["exports"], federation["imports"]
    seen: list[str] = []
    with ThreadPoolExecutor() as pool:
        begun = time.monotonic()
        up = pool.submit(lab.checkout.up)
        while ALERT not in (seen or [""])[-1] and time.monotonic() - begun < PATIENCE:
            seen.append(directly(lab, caller))
        refused = time.monotonic() - begun
        up.result()
    record_property("from `up` without the export to the refusal of the handshake, s", round(refused, 1))
    record_property("the whole `up`, s", round(time.monotonic() - begun, 1))
    assert ALERT in seen[-1] and seen[-1].endswith("000"), seen
    assert directly(lab, own).startswith("200"), "its own mesh is answered as before"


def test_a_revoked_cluster_fails_the_handshake_and_the_check_finds_a_proxy_that_still_trusts_it(lab: Lab) -> None:
    caller, trusting = minted(lab, "east", SLEEP), exported_filter(lab)
    with lab.edited() as federation:
        federation["trust"] = {"model": "common", "revoked": [{"cluster": "east"}]}
    lab.checkout.up()
    eventually(lambda: ALERT in directly(lab, caller), PATIENCE)
    eventually(partial(green, lab, "--only=refusals.revoked"), PATIENCE)
    applied("west", trusting)(lab)
    eventually(lambda: verify(lab, "--only=refusals.revoked").ended("failed") != [], PATIENCE)
    lab.checkout.up("--refresh")
    eventually(partial(green, lab, "--only=refusals.revoked"), PATIENCE)


@pytest.mark.parametrize("consumers", [2, 10, 50])
def test_what_a_proxy_keeps_grows_by_an_authority_for_each_consumer(
    lab: Lab, record_property: Note, consumers: int
) -> None:
    """The filter of the export with as many foreign clusters: each has a trust domain and an authority of its own."""
    made, before = exported_filter(lab), size(lab)
    [patch] = made["spec"]["configPatches"]
    domains = context(patch)["custom_validator_config"]["typed_config"]["trust_domains"]
    foreign = next(each for each in domains if each["name"] == "east.local")
    domains += [{**foreign, "name": f"consumer-{number}.local"} for number in range(1, consumers)]
    applied("west", made)(lab)
    try:
        eventually(lambda: size(lab) > before, PATIENCE)
        after = size(lab)
    finally:
        lab.checkout.up("--refresh")
    figure = f"{before / 1024:.0f} with 1 consumer, {after / 1024:.0f} with {consumers}"
    record_property("configuration of the exported workload's proxy, KiB", figure)
    # Envoy keeps the text once for each chain that it builds, and JSON escapes its line ends.
    assert after - before < 10 * (consumers - 1) * len(foreign["trust_bundle"]["inline_string"])


def size(lab: Lab) -> int:
    """Bytes of everything that the proxy of west's httpbin was told."""
    pod = ["exec", "--namespace=httpbin", "deployment/httpbin", "--container=istio-proxy", "--"]
    return len(lab.ask("west", *pod, "pilot-agent", "request", "GET", "config_dump", limit="0"))
