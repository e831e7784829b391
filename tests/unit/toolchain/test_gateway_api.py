"""The Gateway API's definitions: one file at the publisher's, many in the module; both routes give the same bytes."""

import hashlib
from pathlib import Path

import pytest

from mesh_federation.clusters.registry import PROVIDERS
from mesh_federation.toolchain import pins
from mesh_federation.toolchain.errors import ToolchainError
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.install import install
from tests.unit.toolchain.publisher import PINS, Publisher, program, publish_all

HEAD = "# Copyright\n\n"
FILES = {"gateway_b.yaml": "kind: B\n", "gateway_a.yaml": "kind: A\n"}
PUBLISHED = """# Copyright

#
# Example install
#
---
#
# crd/gateway_a.yaml
#
kind: A
---
#
# crd/gateway_b.yaml
#
kind: B
"""
URL = "/releases/v1.30.4/install.yaml"
PIECE = f"""
[pieces.gateway-api]
release = "kubernetes"
kind = "manifest"
manifest = "gateway-api.yaml"
official.url = "URL/releases/v{{version}}/install.yaml"
source.module = "metallb"
source.package = "example.org/gateway-api"
source.path = "crd/gateway*.yaml"
source.head = "boilerplate.txt"
source.title = "Example install"

[checksums]
"URL{URL}" = "{hashlib.sha256(PUBLISHED.encode()).hexdigest()}"
"""


@pytest.fixture
def checkout(host: Host, publisher: Publisher) -> Host:
    """A machine whose pins have the piece; the publisher has all others."""
    publish_all(publisher)
    pieces, _, _ = PINS.partition("# Recorded on first use.")
    host.pins.write_text((pieces + PIECE).replace("URL", publisher.url))
    return host


def go_with(host: Host, module: Path, files: dict[str, str]) -> None:
    """A Go whose only module holds these definitions."""
    (module / "crd").mkdir(parents=True)
    (module / "boilerplate.txt").write_text(HEAD)
    (module / "crd" / "kustomization.yaml").write_text("kind: none of them\n")
    for name, text in files.items():
        (module / "crd" / name).write_text(text)
    answers = f'version) echo go version go1.26.0;; *) echo \'{{"Dir": "{module}"}}\';;'
    program(Path(host.path), "go", f'case "$1" in {answers} esac')


def test_both_routes_give_the_same_file(checkout: Host, publisher: Publisher, tmp_path: Path) -> None:
    go_with(checkout, tmp_path / "module", FILES)
    from_module = install({"existing"}, lambda _: None, checkout)
    assert {place.piece: place.route for place in from_module.pieces}["gateway-api"] == "module"
    assert from_module.manifests is not None
    file = from_module.manifests / "gateway-api.yaml"
    assert file.read_text() == PUBLISHED
    publisher.files[URL] = PUBLISHED.encode()
    file.unlink()
    again = install({"existing"}, lambda _: None, checkout)
    assert {place.piece: place.route for place in again.pieces}["gateway-api"] == "official"
    assert file.read_text() == PUBLISHED


def test_a_module_that_would_give_another_file_is_refused(checkout: Host, tmp_path: Path) -> None:
    go_with(checkout, tmp_path / "module", {**FILES, "gateway_c.yaml": "kind: C\n"})
    with pytest.raises(ToolchainError, match="gateway-api is not the file that is pinned"):
        install({"existing"}, lambda _: None, checkout)


def test_every_provider_gets_them() -> None:
    pinned = pins.load(Host.current({}))
    for provider in PROVIDERS:
        assert "gateway-api" in {piece.name for piece in pinned.needed(frozenset({provider}))}
