"""Images of native clusters: released ones first, else put together; and the document that their agents read."""

import io
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from mesh_federation import document
from mesh_federation.cli.doctor import Machine, doctor
from mesh_federation.clusters.machine_limits import Limits
from mesh_federation.clusters.registry import PROVIDERS
from mesh_federation.native.image import Image, ImageTable
from mesh_federation.plan.samples import SAMPLES
from mesh_federation.toolchain import images, pins
from mesh_federation.toolchain.errors import ToolchainError
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.install import Progress, Toolchain, install, ready
from mesh_federation.toolchain.locate import shelf
from mesh_federation.toolchain.pins import Pins
from tests.unit.toolchain.image_server import Registry
from tests.unit.toolchain.layers import file, folder, layer
from tests.unit.toolchain.publisher import PINS, Publisher, program, publish_all, serve

PIECES = """
[pieces.image-proxyv2]
release = "istio"
kind = "image"
provisioners = ["native"]
image.repository = "docker.io/istio/proxyv2"
image.registry = "URL"
image.name = "istio/proxyv2"
image.tag = "{version}"
image.parts = { "/usr/local/bin/agent" = "agent", "/var/lib/bootstrap.json" = "bootstrap" }
image.entrypoint = ["/usr/local/bin/agent"]
image.user = 1337
image.group = 1338

[pieces.image-curl]
release = "istio"
kind = "image"
provisioners = ["native"]
image.repository = "docker.io/curlimages/curl"
image.registry = "URL"
image.name = "curlimages/curl"
image.tag = "v{version}"
image.machine = { "/usr/local/bin/curl" = "curl" }
image.arguments = ["curl"]

[pieces.agent]
release = "istio"
kind = "tool"
provisioners = []
go.module = "istio"
go.package = "."

[pieces.bootstrap]
release = "istio"
kind = "template"
provisioners = []
template = "bootstrap.json"
source.module = "istio"
source.package = "example.org/istio"
source.path = "bootstrap.json"

"""
LAYERS = [layer(folder("usr"), file("usr/envoy", "Istio's Envoy", mode=0o755))]


@pytest.fixture(autouse=True)
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider `native` in the registry; of this test alone."""
    if "native" not in PROVIDERS:
        assert isinstance(PROVIDERS, dict)
        monkeypatch.setitem(PROVIDERS, "native", PROVIDERS["kwok"])


@pytest.fixture
def native_host(host: Host, publisher: Publisher, tmp_path: Path) -> Host:
    """A machine with a Go, whose module holds all that images are put together from, and with a curl."""
    publish_all(publisher)
    pieces, header, recorded = PINS.partition("# Recorded on first use.")
    host.pins.write_text((pieces + PIECES + header + recorded).replace("URL", publisher.url))
    (tmp_path / "module").mkdir()
    (tmp_path / "module" / "bootstrap.json").write_text("{}")
    module = f'echo \'{{"Dir": "{tmp_path / "module"}"}}\''
    make = 'while [ "$1" != -o ]; do shift; done; echo agent > "$2"'
    program(Path(host.path), "go", f'case "$1" in version) echo go version go1.26.0;; mod) {module};; *) {make};; esac')
    program(Path(host.path), "curl", "exit 0")
    return host


@pytest.fixture
def registry(publisher: Publisher) -> Iterator[Registry]:
    """A registry that has both images."""
    store = Publisher()
    with serve(store):
        hub = Registry(publisher, store)
        hub.offer("istio/proxyv2", "1.29.3", LAYERS, {"Entrypoint": ["/usr/envoy"], "User": "1337:1337"})
        hub.offer("curlimages/curl", "v1.29.3", LAYERS)
        yield hub


def routes(toolchain: Toolchain) -> dict[str, str]:
    return {place.piece: place.route for place in toolchain.pieces if place.piece.startswith("image-")}


def table(toolchain: Toolchain) -> ImageTable:
    """The table as a job reads it."""
    path = Path(toolchain.environment()["MESH_IMAGES"])
    return document.read(ImageTable, path.read_text())


def test_released_images_are_unpacked_and_nothing_is_built(
    native_host: Host, registry: Registry, told: list[Progress]
) -> None:
    toolchain = install({"native"}, told.append, native_host)
    assert routes(toolchain) == {"image-proxyv2": "official", "image-curl": "official"}
    proxy = table(toolchain).find("istio/proxyv2:1.29.3")
    assert proxy is not None and proxy.entrypoint == ("/usr/envoy",) and not proxy.files
    assert (Path(proxy.root) / "usr" / "envoy").read_text() == "Istio's Envoy"
    assert not {"agent", "bootstrap"} & {step.piece for step in told}


def test_images_out_of_reach_are_put_together_from_their_parts(native_host: Host, told: list[Progress]) -> None:
    toolchain = install({"native"}, told.append, native_host)
    assert routes(toolchain) == {"image-proxyv2": "assembled", "image-curl": "assembled"}
    store = shelf(pins.load(native_host), native_host)
    parts = {
        "/usr/local/bin/agent": str(store.bin / "agent"),
        "/var/lib/bootstrap.json": str(store.images / "bootstrap.json"),
    }
    assert table(toolchain).images == {
        "docker.io/istio/proxyv2": Image("", parts, ("/usr/local/bin/agent",), (), {}, 1337, 1338),
        "docker.io/curlimages/curl": Image(
            "", {"/usr/local/bin/curl": f"{native_host.path}/curl"}, (), ("curl",), {}, 0, 0
        ),
    }
    assert (store.bin / "agent").stat().st_mode & stat.S_IXUSR
    assert not (store.images / "bootstrap.json").stat().st_mode & stat.S_IXUSR
    ended = {step.piece: step.note for step in told if step.state == "ready"}
    assert "/v2/istio/proxyv2/" not in ended["agent"] and "answers 404" in ended["agent"]


def test_users_of_containers_may_run_and_read_the_parts_of_an_image(native_host: Host, closed_umask: None) -> None:
    proxy = table(install({"native"}, lambda _: None, native_host)).find("istio/proxyv2")
    assert proxy is not None
    assert [Path(file).stat().st_mode & 0o777 for _, file in sorted(proxy.files.items())] == [0o755, 0o644]


def test_images_with_a_layer_in_common_come_at_once(native_host: Host, registry: Registry) -> None:
    base = layer(file("base", "of both"))
    for name, tag in (("istio/proxyv2", "1.29.3"), ("curlimages/curl", "v1.29.3")):
        registry.offer(name, tag, [base, *LAYERS])
    found = table(install({"native"}, lambda _: None, native_host))
    assert [(Path(image.root) / "base").read_text() for image in found.images.values()] == ["of both"] * 2


def test_one_image_may_come_while_the_other_is_put_together(
    native_host: Host, registry: Registry, publisher: Publisher
) -> None:
    del publisher.files["/v2/istio/proxyv2/manifests/1.29.3"]
    toolchain = install({"native"}, lambda _: None, native_host)
    assert routes(toolchain) == {"image-proxyv2": "assembled", "image-curl": "official"}
    assert {bool(image.root) for image in table(toolchain).images.values()} == {True, False}


def test_a_second_run_asks_nobody(native_host: Host, registry: Registry, told: list[Progress]) -> None:
    first = install({"native"}, lambda _: None, native_host)
    registry.site.requests.clear()
    assert install({"native"}, told.append, native_host) == ready({"native"}, native_host) == first
    assert (registry.site.requests, told) == ([], [])


def test_the_digest_of_a_tag_is_recorded_on_first_use_and_asked_for_ever_after(
    native_host: Host, registry: Registry
) -> None:
    install({"native"}, lambda _: None, native_host)
    url = f"{registry.site.url}/v2/istio/proxyv2/manifests/1.29.3"
    recorded = pins.load(native_host).checksums[url]
    registry.offer("istio/proxyv2", "1.29.3", [layer(file("changed", ""))])
    store = shelf(pins.load(native_host), native_host)
    (store.images / "image-proxyv2" / "image.json").unlink()
    toolchain = install({"native"}, lambda _: None, native_host)
    assert pins.load(native_host).checksums[url] == recorded
    proxy = table(toolchain).find("istio/proxyv2")
    assert proxy is not None and (Path(proxy.root) / "usr" / "envoy").exists()


@pytest.mark.parametrize("lost", ["bin/agent", "images/bootstrap.json", "images/image-proxyv2/image.json"])
def test_an_image_whose_part_is_gone_is_put_together_again(native_host: Host, lost: str) -> None:
    first = install({"native"}, lambda _: None, native_host)
    (first.bin.parent / lost).unlink()
    assert not isinstance(ready({"native"}, native_host), Toolchain)
    assert table(install({"native"}, lambda _: None, native_host)) == table(first)
    assert (first.bin.parent / lost).exists()


def test_a_machine_without_a_program_of_an_image_is_told_to_install_it(native_host: Host) -> None:
    (Path(native_host.path) / "curl").unlink()
    with pytest.raises(ToolchainError, match="image-curl cannot be put together") as failed:
        install({"native"}, lambda _: None, native_host)
    assert "install curl with your package manager" in failed.value.problem.fix
    assert "this route is taken because" in failed.value.problem.why and "answers 404" in failed.value.problem.why


def test_a_wrong_digest_is_no_reason_to_put_an_image_together(native_host: Host, registry: Registry) -> None:
    registry.store.files = {path: content[:-1] + b"x" for path, content in registry.store.files.items()}
    with pytest.raises(ToolchainError, match="wrong checksum"):
        install({"native"}, lambda _: None, native_host)
    store = shelf(pins.load(native_host), native_host)
    assert not store.image_table.exists()


@pytest.mark.parametrize("provider", ["kwok", "kind", "existing"])
def test_other_providers_need_no_image_and_no_part_of_one(native_host: Host, provider: str) -> None:
    needed = {piece.name for piece in pins.load(native_host).needed(frozenset({provider}))}
    assert not needed & {"image-proxyv2", "image-curl", "agent", "bootstrap"}
    assert "MESH_IMAGES" not in install({provider}, lambda _: None, native_host, Pins.asking).environment()


def test_a_preview_needs_no_image(native_host: Host) -> None:
    shown = install({"native"}, lambda _: None, native_host, Pins.previewed)
    assert routes(shown) == {} and "agent" not in {place.piece for place in shown.pieces}


def test_the_environment_of_another_provider_names_the_images_once_they_are_there(native_host: Host) -> None:
    made = install({"native"}, lambda _: None, native_host)
    after = install({"existing"}, lambda _: None, native_host)
    assert made.images is not None and after.environment()["MESH_IMAGES"] == str(made.images)


def test_whether_istios_own_envoy_is_there_is_known(
    native_host: Host, registry: Registry, publisher: Publisher
) -> None:
    store = shelf(pins.load(native_host), native_host)
    assert images.has_istios_envoy(store) is None
    install({"native"}, lambda _: None, native_host)
    assert images.has_istios_envoy(store) is True
    (store.images / "image-proxyv2" / "image.json").unlink()
    publisher.files = {path: content for path, content in publisher.files.items() if "proxyv2" not in path}
    install({"native"}, lambda _: None, native_host)
    assert images.has_istios_envoy(store) is False
    assert not (store.images / "image-proxyv2" / "root").exists()


def test_a_damaged_document_of_an_image_is_written_anew(native_host: Host) -> None:
    first = install({"native"}, lambda _: None, native_host)
    assert first.images
    whole = first.images.read_text()
    (first.images.parent / "image-proxyv2" / "image.json").write_text("{")
    (first.images.parent / "image-curl" / "image.json").write_text("[]")
    assert table(install({"native"}, lambda _: None, native_host)) == document.read(ImageTable, whole)


def test_a_table_that_cannot_be_read_is_no_traceback(native_host: Host) -> None:
    toolchain = install({"native"}, lambda _: None, native_host)
    assert toolchain.images
    toolchain.images.write_text("{")
    assert images.has_istios_envoy(shelf(pins.load(native_host), native_host)) is None


def test_the_projects_images_are_those_that_its_samples_ask_for() -> None:
    recipes = [piece.image for piece in pins.load(Host.current({})).pieces if piece.image]
    released = {f"{recipe.repository}:{recipe.released.tag}" for recipe in recipes}
    assert {kind.image for kind in SAMPLES.values()} <= released


def test_doctor_says_which_envoy_runs_and_what_it_lacks(
    native_host: Host, registry: Registry, publisher: Publisher
) -> None:
    def said() -> str:
        output = io.StringIO()
        machine = Machine(limits=Limits(), go=(1, 26, 0))
        doctor(Console(file=output, width=240), native_host, machine)
        return output.getvalue()

    assert "Envoy of native clusters" not in said()
    install({"native"}, lambda _: None, native_host)
    assert "Istio's own, of its released image" in said()
    assert "bootstrap" not in said()  # a part that is not needed is not missing
    for module in native_host.modules.iterdir():
        (module / "go.sum").write_text("changed")  # other pins: another cache folder
    publisher.files = {path: content for path, content in publisher.files.items() if "proxyv2" not in path}
    install({"native"}, lambda _: None, native_host)
    shown = said()
    assert "upstream Envoy" in shown and "no metrics of Istio's telemetry" in shown and "ALPN" in shown
    assert "image-proxyv2, agent, bootstrap: not the official release; at installation: " in shown
