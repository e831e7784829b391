"""An overlay on the real engine: it changes what it says and nothing else, and the program by hand has it too."""

from pathlib import Path

import pytest

from tests.checkout import Checkout, steps

GATEWAYS = {f"{cluster}:istio-system/istio-eastwestgateway" for cluster in ("east", "west")}
CPU = "11m"


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    """Asks for another share of a processor for the gateways' proxies."""
    file = tmp_path / "small.yaml"
    file.write_text(f"istio: {{gatewayValues: {{resources: {{requests: {{cpu: {CPU}}}}}}}}}\n", encoding="utf-8")
    return file


def planned(running: Checkout, **environment: str) -> list[dict[str, object]]:
    """The steps that `pulumi preview` by hand would take, other than none."""
    done = running.pulumi("preview", "--json", **environment)
    assert done.code == 0, done.text
    return [step for step in steps(done.stdout) if step["op"] != "same"]


def requested(body: object) -> str:
    """Share of a processor that the gateway's container asks for."""
    assert isinstance(body, dict)
    [container] = body["spec"]["template"]["spec"]["containers"]
    return str(container["resources"]["requests"]["cpu"])


def test_a_preview_by_hand_shows_exactly_what_the_overlay_changes(running: Checkout, overlay: Path) -> None:
    assert planned(running) == []
    changed = planned(running, MESH_OVERLAY=str(overlay))
    assert {step["op"] for step in changed} == {"update"}
    assert {str(step["urn"]).rpartition("::")[2] for step in changed} == GATEWAYS
    for step in changed:
        old, new = step["oldState"], step["newState"]
        assert isinstance(old, dict) and isinstance(new, dict)
        assert "Deployment" in str(new["type"])
        assert requested(old["inputs"]) != requested(new["inputs"]) == CPU


def test_up_with_an_overlay_makes_it_so_and_up_without_takes_it_back(running: Checkout, overlay: Path) -> None:
    before = requested(running.get("east", "deployment", "istio-eastwestgateway"))
    done = running.up("--overlay", str(overlay))
    assert done.changes()["updated"] == len(GATEWAYS)
    assert f"with {overlay} merged over" in done.stdout
    assert requested(running.get("east", "deployment", "istio-eastwestgateway")) == CPU
    assert set(running.up(MESH_OVERLAY=str(overlay)).changes()) == {"unchanged"}
    assert running.git_status() == ""
    assert running.up().changes()["updated"] == len(GATEWAYS)
    assert requested(running.get("east", "deployment", "istio-eastwestgateway")) == before != CPU


def test_a_bad_overlay_stops_the_program_by_hand_with_its_findings(running: Checkout, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("images: {nod: mirror.example/node}\nclusters: {north: {}}\n", encoding="utf-8")
    done = running.pulumi("preview", MESH_OVERLAY=str(bad))
    assert done.code != 0
    for finding in ("bad.yaml: images.nod  unknown-key", "bad.yaml: clusters.north  unknown-cluster"):
        assert finding in done.text
    assert "Traceback" not in done.text
