"""The lab: two kind clusters, brought up once for all tests; each test leaves them as it found them."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mesh_federation.toolchain.install import Toolchain, install
from tests.checkout import Checkout, checkout
from tests.lab.lab import STACK, Lab, kit, write_overlay

NETWORK, SUBNET = "mesh-federation-test", "172.28.0.0/16"
"""Of these tests alone: a lab that a person has on this machine stays as it is."""

FRESH_NETWORK, FRESH_SUBNET = "mesh-federation-fresh", "172.29.0.0/16"
"""Of checkouts in which nothing runs yet; they stand beside the lab that all tests share."""

WORKLOADS = [
    {"cluster": "east", "sample": "sleep"},
    {"cluster": "east", "sample": "sleep", "namespace": "stranger"},
    {"cluster": "west", "sample": "httpbin"},
    {"cluster": "west", "sample": "sleep"},
]
"""A caller that the export names, one that it does not, and one of the same namespace and account in the other mesh."""


@pytest.fixture(scope="session")
def docker_here() -> None:
    """Docker, or a loud skip."""
    found = shutil.which("docker")
    if not found or subprocess.run([found, "version"], capture_output=True, check=False).returncode:
        pytest.skip("NOTHING was run on real clusters: no Docker answers on this machine")


@pytest.fixture(scope="session")
def toolchain(docker_here: None) -> Toolchain:
    """Everything that a kind federation needs."""
    return install(["kwok", "kind"], lambda _: None)


@pytest.fixture(scope="session")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """What this machine's kit of images needs; None where the public ones are used."""
    if not kit():
        return None
    file = tmp_path_factory.mktemp("overlay") / "kit.yaml"
    write_overlay(file, kit())
    return file


@contextmanager
def kind_checkout(
    toolchain: Toolchain, overlay: Path | None, network: str, subnet: str, stack: str = STACK
) -> Iterator[Checkout]:
    """Make a checkout whose stack lives in a network of its own; nothing runs yet."""
    with checkout(toolchain, stack) as made:
        if overlay:
            made.ambient["MESH_OVERLAY"] = str(overlay)
        made.ambient["PATH"] = os.pathsep.join([str(toolchain.bin), made.ambient["PATH"]])
        with made.edited() as federation:
            federation["lab"] = {"network": network, "subnet": subnet}
        yield made


def with_callers(made: Checkout) -> Checkout:
    """Add the callers of these tests to what is declared."""
    with made.edited() as federation:
        federation["workloads"] = WORKLOADS
    return made


@pytest.fixture(scope="session")
def prepared(toolchain: Toolchain, overlay: Path | None) -> Iterator[Checkout]:
    """The checkout of the lab that tests share."""
    with kind_checkout(toolchain, overlay, NETWORK, SUBNET) as made:
        yield with_callers(made)


@pytest.fixture
def fresh(toolchain: Toolchain, overlay: Path | None) -> Iterator[Checkout]:
    """A checkout of one test alone."""
    with kind_checkout(toolchain, overlay, FRESH_NETWORK, FRESH_SUBNET) as made:
        yield with_callers(made)


@pytest.fixture(scope="session")
def brought_up(prepared: Checkout) -> Lab:
    """The lab, as committed but for its network and callers."""
    prepared.up()
    return Lab(prepared)


@pytest.fixture
def lab(brought_up: Lab) -> Iterator[Lab]:
    """The lab; a test that changes what it declares finds it, and leaves it, as it was."""
    declared = brought_up.checkout.declared()
    yield brought_up
    if brought_up.checkout.declared() != declared:
        brought_up.restore(declared)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests noted along the way: figures that no test requires."""
    noted = [
        f"{name}: {value}"
        for report in terminalreporter.stats.get("passed", [])
        for name, value in report.user_properties
    ]
    if noted:
        terminalreporter.section("figures")
        for line in noted:
            terminalreporter.line(line)
