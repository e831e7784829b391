"""A publisher, a machine and a checkout for one test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh_federation.toolchain.host import Host, Patience
from mesh_federation.toolchain.install import Progress
from tests.unit.toolchain.publisher import PINS, Publisher, k3d_pins, kind_pins, serve


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    """A publisher for one test."""
    site = Publisher()
    with serve(site):
        yield site


@pytest.fixture
def host(tmp_path: Path, publisher: Publisher) -> Host:
    """A machine with nothing on it, whose checkout's pins point to the publisher."""
    checkout = tmp_path / "checkout"
    for module in ("engine", "istio", "metallb"):
        folder = checkout / "mesh_federation" / "toolchain" / "modules" / module
        folder.mkdir(parents=True)
        (folder / "go.mod").write_text(f"module {module}\n\ngo 1.21\n")
    (checkout / "mesh_federation" / "toolchain" / "pins.toml").write_text(PINS.replace("URL", publisher.url))
    (tmp_path / "path").mkdir()
    return Host(
        checkout=checkout,
        cache=tmp_path / "cache",
        path=str(tmp_path / "path"),
        pulumi_home=tmp_path / "pulumi-home",
        system="linux",
        arch="amd64",
        patience=Patience(reach=10, stall=10, attempts=1),
    )


@pytest.fixture
def kind_host(host: Host, publisher: Publisher) -> Host:
    """The same machine, where the pins also have what only the provisioner kind needs."""
    host.pins.write_text(kind_pins(publisher.url))
    return host


@pytest.fixture
def k3d_host(host: Host, publisher: Publisher) -> Host:
    """The same machine, where the pins also have what only the provisioner k3d needs."""
    host.pins.write_text(k3d_pins(publisher.url))
    return host


@pytest.fixture
def told() -> list[Progress]:
    """What an installation reported."""
    return []


@pytest.fixture
def closed_umask() -> Iterator[None]:
    """A user who shares no file with others."""
    before = os.umask(0o077)
    yield
    os.umask(before)
