"""Roots change in three steps on the real engine: each is previewed, and none can be left out or taken wrongly back."""

import base64
import json

from cryptography import x509

from tests.checkout import Checkout
from tests.rotation import declare, rotating


def certificates(running: Checkout, cluster: str, file: str) -> list[str]:
    data = running.get(cluster, "secret", "cacerts")["data"]
    assert isinstance(data, dict)
    found = x509.load_pem_x509_certificates(base64.b64decode(data[file]))
    return [str(each.subject.rfc4514_string().partition(",")[0]) for each in found]


def refused(checkout: Checkout, trust: object) -> str:
    """What a preview of the next step says, which must not be taken."""
    declare(checkout, trust)
    done = checkout.mesh("preview")
    assert done.code != 0, done.text
    assert "Traceback" not in done.text
    return done.text


def test_roots_change_phase_by_phase_and_no_phase_can_be_skipped(fresh: Checkout) -> None:
    fresh.up()
    told = refused(fresh, {"rotation": {"phase": "switch", "root": "r2"}})
    assert "root CA r2 of mesh-federation" in told and "phase add, then switch, then drop" in told
    assert "rotation" in refused(fresh, {"model": "separate"})
    declare(fresh, {"model": "common"})
    seen = {}
    for phase in rotating(fresh, root="r2"):
        planned = {str(step["op"]) for step in fresh.preview() if step["op"] != "same"}
        fresh.up()
        seen[phase] = (
            planned,
            certificates(fresh, "east", "cert-chain.pem"),
            certificates(fresh, "west", "root-cert.pem"),
        )
        if phase == "add":
            assert "switch comes before drop" in refused(fresh, {"rotation": {"phase": "drop", "root": "r2"}})
    old = ["CN=east intermediate CA", "CN=root CA"]
    new = ["CN=east intermediate CA r2", "CN=root CA r2"]
    assert all(planned <= {"create", "update", "replace", "delete"} for planned, *_ in seen.values())
    assert {phase: chain for phase, (_, chain, _) in seen.items()} == {
        "add": old, "switch": new, "drop": new, "done": new,
    }  # fmt: skip
    assert {phase: sorted(bundle) for phase, (_, _, bundle) in seen.items()} == {
        "add": [old[1], new[1]], "switch": [old[1], new[1]], "drop": [new[1]], "done": [new[1]],
    }  # fmt: skip
    assert seen["done"][0] == set()
    assert fresh.mesh("verify", "--only=trust").code == 0


def test_a_step_that_broke_off_is_repeated_or_taken_back(running: Checkout) -> None:
    """An update that failed leaves the record of the last that did not: both ways stay open, and no third one."""
    issuer = recorded(running)
    declare(running, {"rotation": {"phase": "add", "root": "r2"}})
    with running.edited() as federation:
        federation["istio"] = {"values": {"resources": {"requests": {"cpu": "a lot"}}}}
    broken = running.mesh("up", "--yes")
    assert broken.code != 0 and "istiod" in broken.text, broken.text
    assert recorded(running) == issuer
    with running.edited() as federation:
        del federation["istio"]
    told = refused(running, {"rotation": {"phase": "switch", "root": "r2"}})
    assert "do not trust yet" in told
    declare(running, {"rotation": {"phase": "add", "root": "r2"}})
    running.up()
    assert len(certificates(running, "east", "root-cert.pem")) == 2


def recorded(running: Checkout) -> object:
    outputs = json.loads(running.ask("stack", "output", "--json").stdout)
    return outputs["trust"]["east"]["issuer"]
