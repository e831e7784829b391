"""A federation with traffic, brought up once for all tests; each test leaves it as it found it."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import yaml

from mesh_federation.native.support import obstacles
from mesh_federation.stack.tree import merged
from mesh_federation.toolchain.install import Toolchain, install
from tests.checkout import Checkout, checkout
from tests.traffic import kit
from tests.traffic.lab import STACK, Lab
from tests.traffic.networks import FRESH_NETWORK, FRESH_SUBNET, NETWORK, SUBNET

WORKLOADS = [
    {"cluster": "east", "sample": "sleep"},
    {"cluster": "east", "sample": "sleep", "namespace": "stranger"},
    {"cluster": "west", "sample": "httpbin"},
    {"cluster": "west", "sample": "sleep"},
]
"""A caller that the export names, one that it does not, and one of the same namespace and account in the other mesh."""

Prepare = Callable[[str], AbstractContextManager[Checkout]]
"""Makes a checkout of a committed stack on the provider of this run; nothing runs yet."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run files with clusters of their own before the shared lab stands: each takes its part of the machine."""
    sharing = {item.path for item in items if isinstance(item, pytest.Function) and "shared" in item.fixturenames}
    items.sort(key=lambda item: item.path in sharing)


@pytest.fixture(scope="session")
def provider(request: pytest.FixtureRequest) -> str:
    """Name of the provider of all clusters; a loud skip where it cannot run."""
    chosen = str(request.config.getoption("--provider"))
    if why := {"kind": _no_docker, "native": _no_sandbox}[chosen]():
        end = pytest.fail if os.environ.get("CI") else pytest.skip  # a build server must not be green for nothing
        end(f"NOTHING was run on {chosen} clusters: {why}")
    return chosen


def _no_docker() -> str:
    found = shutil.which("docker")
    if found and not subprocess.run([found, "version"], capture_output=True, check=False).returncode:
        return ""
    return "no Docker answers on this machine"


def _no_sandbox() -> str:
    return "\n".join(map(str, obstacles()))


@pytest.fixture(scope="session")
def toolchain(provider: str) -> Toolchain:
    """Everything that a federation of the provider needs."""
    return install(["kwok", provider], lambda _: None)


@contextmanager
def prepared_checkout(toolchain: Toolchain, provider: str, stack: str, network: str, subnet: str) -> Iterator[Checkout]:
    """Make a checkout of a committed stack; an overlay names the provider, and a network of its own."""
    with checkout(toolchain, stack) as made:
        clusters = made.declared()["clusters"]
        assert isinstance(clusters, dict)
        above = {
            "clusters": {name: {"provisioner": provider} for name in clusters},
            "lab": {"network": network, "subnet": subnet},
        }
        file = made.home / "overlay.yaml"
        file.parent.mkdir(exist_ok=True)
        below = kit.overlay() if provider == "kind" else {}
        file.write_text(yaml.safe_dump(merged(below, above)), encoding="utf-8")
        made.ambient["MESH_OVERLAY"] = str(file)
        made.ambient["PATH"] = os.pathsep.join([str(toolchain.bin), made.ambient["PATH"]])
        yield made


def with_callers(made: Checkout) -> Checkout:
    """Add the callers of these tests to what is declared."""
    with made.edited() as federation:
        federation["workloads"] = WORKLOADS
    return made


@pytest.fixture(scope="session")
def prepare(toolchain: Toolchain, provider: str) -> Prepare:
    """How tests get a checkout of a stack for themselves."""
    return lambda stack: prepared_checkout(toolchain, provider, stack, FRESH_NETWORK, FRESH_SUBNET)


@pytest.fixture(scope="session")
def shared(toolchain: Toolchain, provider: str) -> Iterator[Checkout]:
    """The checkout of the lab that tests share."""
    with prepared_checkout(toolchain, provider, STACK, NETWORK, SUBNET) as made:
        yield with_callers(made)


@pytest.fixture
def fresh(prepare: Prepare) -> Iterator[Checkout]:
    """A checkout of one test alone."""
    with prepare(STACK) as made:
        yield with_callers(made)


@pytest.fixture(scope="session")
def brought_up(shared: Checkout, provider: str) -> Lab:
    """The lab, as committed but for its provider, network and callers."""
    shared.up()
    return Lab(shared, provider)


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
