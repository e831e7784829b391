"""The registry route: released images over the real protocol, and what a registry may not do."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mesh_federation.native.image import Image
from mesh_federation.toolchain import image_layers
from mesh_federation.toolchain.errors import DownloadFailed, ToolchainError
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.image_layers import ImageRefused
from mesh_federation.toolchain.image_registry import Pulled, pull
from mesh_federation.toolchain.pins import ReleasedImage
from tests.unit.toolchain.image_server import LAYER, MANIFEST, TOKEN, Registry, descriptor, sha256
from tests.unit.toolchain.layers import file, folder, layer
from tests.unit.toolchain.publisher import Publisher, serve, truncated

NAME, TAG = "istio/proxyv2", "1.31.0"
PASSWD = "root:x:0:0:root:/root:/bin/sh\nproxy:x:1337:1338::/:/bin/false\n"
BASE = layer(folder("etc"), file("etc/passwd", PASSWD), file("etc/group", "root:x:0:\nstaff:x:50:\n"))
TOP = layer(folder("usr"), file("usr/envoy", "Envoy", mode=0o755))
SETTINGS = {
    "Entrypoint": ["/usr/envoy"],
    "Cmd": ["--help"],
    "Env": ["PATH=/usr/bin", "SHA=a=b"],
    "User": "1337:1337",
    "Labels": None,
}


@pytest.fixture
def registry(publisher: Publisher) -> Iterator[Registry]:
    """A registry with one image, whose layers lie at another site."""
    store = Publisher()
    with serve(store):
        hub = Registry(publisher, store)
        hub.offer(NAME, TAG, [BASE, TOP], SETTINGS)
        yield hub


def pulled(registry: Registry, host: Host, recorded: str | None = None) -> Pulled:
    released = ReleasedImage(registry.site.url, NAME, TAG)
    return pull(released, recorded, host.cache / "image", host.cache / "downloads", host)


def test_a_released_image_is_unpacked_with_what_it_says_of_its_processes(registry: Registry, host: Host) -> None:
    root = host.cache / "image" / "root"
    environment = {"PATH": "/usr/bin", "SHA": "a=b"}
    assert pulled(registry, host).image == Image(str(root), {}, ("/usr/envoy",), ("--help",), environment, 1337, 1337)
    assert (root / "usr" / "envoy").read_text() == "Envoy"
    assert (root / "usr" / "envoy").stat().st_mode & 0o777 == 0o755


def test_the_token_is_shown_to_the_registry_and_to_no_other_site(registry: Registry, host: Host) -> None:
    pulled(registry, host)
    assert set(registry.headers) == {("site", f"Bearer {TOKEN}"), ("store", None)}


def test_the_digest_of_the_tag_is_what_is_recorded(registry: Registry, host: Host) -> None:
    digest = registry.offer(NAME, TAG, [BASE], SETTINGS)
    assert pulled(registry, host).sha256 == digest


def test_a_tag_that_moved_brings_what_was_recorded(registry: Registry, host: Host) -> None:
    first = pulled(registry, host).sha256
    registry.offer(NAME, TAG, [layer(file("other", ""))], SETTINGS)
    again = pulled(registry, host, recorded=first)
    assert again.sha256 == first
    assert (Path(again.image.root) / "usr" / "envoy").exists()


def test_a_new_image_replaces_the_whole_old_one(registry: Registry, host: Host) -> None:
    pulled(registry, host)
    registry.offer(NAME, TAG, [layer(file("new", ""))], {})
    root = Path(pulled(registry, host).image.root)
    assert [path.name for path in root.iterdir()] == ["new"]
    assert [path.name for path in root.parent.iterdir()] == ["root"]


def test_a_manifest_without_an_index_will_do(registry: Registry, host: Host) -> None:
    config = json.dumps({"config": SETTINGS}).encode()
    document = json.dumps({"config": descriptor("c", config), "layers": [descriptor(LAYER, TOP)]}).encode()
    registry.offer_blob(NAME, sha256(config), config)
    registry.offer_manifest(NAME, TAG, document)
    assert pulled(registry, host).sha256 == sha256(document)


def test_a_registry_without_tokens_is_asked_plainly(registry: Registry, host: Host) -> None:
    open_to_all = {path: content for path, content in registry.site.files.items() if "token" not in path}
    registry.site.files = {**open_to_all, **registry.store.files}
    registry.site.answers.clear()
    assert pulled(registry, host).image.user == 1337


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", (0, 0)),
        ("65532", (65532, 0)),
        ("1337", (1337, 1338)),
        ("proxy", (1337, 1338)),
        ("proxy:staff", (1337, 50)),
        ("7:8", (7, 8)),
    ],
)
def test_a_user_may_be_named_as_the_images_own_files_have_it(
    registry: Registry, host: Host, user: str, expected: tuple[int, int]
) -> None:
    registry.offer(NAME, TAG, [BASE], {"User": user})
    image = pulled(registry, host).image
    assert (image.user, image.group) == expected


@pytest.mark.parametrize("user", ["nobody", "1337:nobody"])
def test_a_user_that_the_image_does_not_have_is_refused(registry: Registry, host: Host, user: str) -> None:
    registry.offer(NAME, TAG, [BASE], {"User": user})
    with pytest.raises(DownloadFailed, match=f"it runs as {user}"):
        pulled(registry, host)


def test_an_image_for_other_machines_only_is_named(registry: Registry, host: Host) -> None:
    with pytest.raises(DownloadFailed, match="there is none for linux on arm64"):
        pulled(registry, replace(host, arch="arm64"))


@pytest.mark.parametrize("kind", ["application/vnd.oci.image.layer.v1.tar+zstd", "application/vnd.example.model"])
def test_layers_of_another_type_are_refused_before_they_are_fetched(registry: Registry, host: Host, kind: str) -> None:
    registry.offer(NAME, TAG, [BASE], SETTINGS, layer_type=kind)
    with pytest.raises(DownloadFailed, match="only tar and tar with gzip can be unpacked"):
        pulled(registry, host)
    assert registry.store.asked(f"/v2/{NAME}/blobs/sha256:{sha256(BASE)}") == []


@pytest.mark.parametrize("content", [TOP, SETTINGS, MANIFEST], ids=["layer", "config", "manifest"])
def test_what_has_another_digest_is_refused_and_thrown_away(registry: Registry, host: Host, content: object) -> None:
    changed = b"x"
    if content is TOP:
        registry.store.files[f"/v2/{NAME}/blobs/sha256:{sha256(TOP)}"] = TOP[:-1] + changed
    elif content is SETTINGS:
        [path] = [path for path, blob in registry.store.files.items() if b"Entrypoint" in blob]
        registry.store.files[path] = registry.store.files[path].replace(b"--help", b"--evil")
    else:
        [path] = [
            path for path, blob in registry.site.files.items() if b'"layers"' in blob and "/manifests/sha256:" in path
        ]
        registry.site.files[path] += b" "
    with pytest.raises(ToolchainError, match="wrong checksum") as refused:
        pulled(registry, host)
    assert not isinstance(refused.value, DownloadFailed)  # no reason for another route
    assert not (host.cache / "image" / "root").exists()
    assert not list((host.cache / "downloads").glob("*.part"))


def test_a_recorded_digest_is_held_against_what_comes(registry: Registry, host: Host) -> None:
    registry.offer_manifest(NAME, f"sha256:{'0' * 64}", b'{"manifests": []}')
    with pytest.raises(ToolchainError, match="wrong checksum"):
        pulled(registry, host, recorded="0" * 64)


def test_a_hostile_image_leaves_the_one_that_was_there(registry: Registry, host: Host) -> None:
    pulled(registry, host)
    registry.offer(NAME, TAG, [layer(file("../../evil", ""))], SETTINGS)
    with pytest.raises(ImageRefused):
        pulled(registry, host)
    assert (host.cache / "image" / "root" / "usr" / "envoy").exists()
    assert not list(host.cache.rglob("evil"))


def test_layers_that_say_that_they_are_too_large_are_refused(
    registry: Registry, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_layers, "LARGEST", len(BASE))
    with pytest.raises(ImageRefused):
        pulled(registry, host)


def test_a_layer_that_is_larger_than_it_says_is_not_taken(registry: Registry, host: Host) -> None:
    registry.store.files[f"/v2/{NAME}/blobs/sha256:{sha256(TOP)}"] = TOP + b"\0" * 1_000_000
    with pytest.raises(DownloadFailed, match=f"larger than {len(TOP)} bytes"):
        pulled(registry, host)
    assert sum(path.stat().st_size for path in (host.cache / "downloads").iterdir()) < 100_000


def test_a_layer_that_broke_off_is_taken_up_again(registry: Registry, host: Host) -> None:
    path = f"/v2/{NAME}/blobs/sha256:{sha256(TOP)}"
    whole = registry.store.answers[path]
    registry.store.answers[path] = truncated(10)
    with pytest.raises(DownloadFailed, match="broke off"):
        pulled(registry, host)
    registry.store.answers[path] = whole
    pulled(registry, host)
    assert registry.store.asked(path)[-1] == "bytes=10-"


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"<html>please log in</html>", "is not the document that a registry has there"),
        (b'{"schemaVersion": 1, "fsLayers": []}', "is not the document that a registry has there"),
        (b'{"manifests": [{"mediaType": "m", "digest": "md5:0", "size": 1}]}', "is not the document"),
        (b" " * (5 << 20), "larger than 4194304 bytes"),
    ],
    ids=["page", "schema-1", "digest", "large"],
)
def test_what_is_no_manifest_is_a_reason_for_another_route(
    registry: Registry, host: Host, document: bytes, why: str
) -> None:
    registry.offer_manifest(NAME, TAG, document)
    with pytest.raises(DownloadFailed, match=why):
        pulled(registry, host)


def test_a_registry_that_wants_a_password_is_told_apart(registry: Registry, host: Host) -> None:
    registry.site.answers["/v2/"] = lambda handler, _: handler.send_error(401)
    with pytest.raises(DownloadFailed, match="to nobody without a password"):
        pulled(registry, host)


def test_a_repository_that_is_not_there_or_not_for_everybody_is_a_reason_for_another_route(
    registry: Registry, host: Host
) -> None:
    del registry.site.files[f"/v2/{NAME}/manifests/{TAG}"]
    with pytest.raises(DownloadFailed, match="answers 404") as failed:
        pulled(registry, host)
    assert TOKEN not in str(failed.value)
