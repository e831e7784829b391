"""A first preview: no cluster, no Docker, no network, and still every object with its body."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.checkout import Checkout, steps

ISOLATED = ("unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
"""Loopback stays: the engine talks to its plugins over it."""


@pytest.fixture
def isolated() -> tuple[str, ...]:
    """Words before a command that take the network away from it."""
    if not all(map(shutil.which, ("unshare", "ip"))) or subprocess.run([*ISOLATED, "true"], check=False).returncode:
        pytest.skip("preview was NOT shown to need no network: run as root, with unshare and ip (iproute2)")
    return ISOLATED


STACKS = [
    "simulated",
    "east-west",
    "separate-roots",
    "as-local",
    "gateway-api",
    "egress",
    "multi-primary",
    "three-meshes",
]
ADDRESSES: dict[str, set[tuple[str, ...]]] = {"multi-primary": set(), "egress": {("172", "30"), ("10", "255")}}
"""How the addresses begin that importers call, where these are not the lab's alone."""


@pytest.mark.parametrize("stack", STACKS)
def test_a_first_preview_shows_every_body_without_network_or_docker(
    fresh: Checkout, isolated: tuple[str, ...], tmp_path: Path, stack: str
) -> None:
    calls = tmp_path / "docker-was-called"
    for tool in ("docker", "kind"):
        program = tmp_path / tool
        program.write_text(f'#!/bin/sh\necho "$0 $@" >> {calls}\nexit 1\n', encoding="utf-8")
        program.chmod(0o755)
    traps = {"PATH": f"{tmp_path}{os.pathsep}{fresh.ambient['PATH']}"}
    fresh.environment()
    fresh.ambient |= traps
    in_full = stack == STACKS[0]  # the same command for each
    words = fresh.command("preview", f"--stack={stack}") if in_full else fresh.opening_command(stack)
    opened = fresh.run([*isolated, *words], fresh.ambient)
    assert opened.code == 0, opened.text
    command = fresh.pulumi_command("preview", "--json", stack=stack)
    done = fresh.run([*isolated, *command], fresh.environment())
    assert done.code == 0, done.text
    planned = steps(done.stdout)
    assert {step["op"] for step in planned} == {"create"}
    objects = [state for step in planned if str((state := _new(step))["type"]).startswith("kubernetes:")]
    assert len(objects) > 50
    for state in objects:
        body = state["inputs"]
        assert isinstance(body, dict)
        assert body["metadata"]["name"]
        metadata_only = ("Namespace", "ServiceAccount", "Node", "Secret")
        assert set(body) > {"apiVersion", "kind", "metadata"} or body["kind"] in metadata_only, body
    known = {tuple(address.split(".")[:2]) for address in _imported(objects)}
    assert known == ADDRESSES.get(stack, {("172", "30")})
    assert not calls.exists(), calls.read_text(encoding="utf-8")
    assert not (fresh.home / "clusters").exists()


def _imported(objects: list[dict[str, object]]) -> list[str]:
    """Addresses to which calls of imported services go."""
    found = []
    for state in objects:
        body = state["inputs"]
        assert isinstance(body, dict)
        match body["kind"]:
            case "WorkloadEntry":
                found += [body["spec"]["address"]] if "address" in body["spec"] else []
            case "ServiceEntry":
                found += [endpoint["address"] for endpoint in body["spec"].get("endpoints", [])]
            case "Gateway" if body["spec"].get("gatewayClassName") == "istio-remote":
                found += [address["value"] for address in body["spec"]["addresses"]]
    return found


def _new(step: dict[str, object]) -> dict[str, object]:
    state = step["newState"]
    assert isinstance(state, dict)
    return state


def test_up_creates_exactly_what_the_preview_showed(fresh: Checkout) -> None:
    planned = {str(step["urn"]) for step in fresh.preview()}
    done = fresh.up()
    assert done.changes() == {"created": len(planned)}
    # default providers, which steps leave out
    providers = {f"pulumi:providers:{name}" for name in ("command", "pulumi", "tls")}
    made = {urn for urn, resource in fresh.state().items() if resource["type"] not in providers}
    assert made == planned
