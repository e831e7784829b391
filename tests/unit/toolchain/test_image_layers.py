"""Layers of images: what of them is unpacked, what is left out, and what makes an image be refused."""

import gzip
import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mesh_federation.toolchain import image_layers
from mesh_federation.toolchain.errors import ToolchainError
from mesh_federation.toolchain.image_layers import ImageRefused, unpack
from tests.unit.toolchain.layers import Entry, device, file, folder, hard_link, layer, link, sparse

ALPINE = (folder("bin"), file("bin/busybox", "busybox"), link("bin/sh", "/bin/busybox"))


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file beside the root, which no layer may change or show."""
    path = tmp_path / "outside" / "secret"
    path.parent.mkdir()
    path.write_text("as it was")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where images are unpacked."""
    return tmp_path / "image" / "root"


def unpacked(root: Path, *layers: tuple[Entry, ...]) -> Path:
    paths = []
    for number, entries in enumerate(layers):
        paths.append(root.parent.parent / f"layer-{number}")
        paths[-1].write_bytes(layer(*entries))
    unpack(paths, root)
    return root


def contents(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


def test_a_higher_layer_replaces_files_of_a_lower_one(root: Path) -> None:
    unpacked(root, (folder("etc"), file("etc/a", "old"), file("etc/b", "kept")), (file("etc/a", "new"),))
    assert contents(root) == {"etc/a": "new", "etc/b": "kept"}


def test_a_whiteout_removes_what_lower_layers_have(root: Path) -> None:
    lower = (folder("opt"), folder("opt/old"), file("opt/old/x", "x"), file("opt/a", "a"), file("opt/b", "b"))
    unpacked(root, lower, (file("opt/.wh.old", ""), file("opt/.wh.a", ""), file("opt/.wh.never", "")))
    assert contents(root) == {"opt/b": "b"}
    assert not (root / "opt" / "old").exists()


@pytest.mark.parametrize("is_last", [True, False], ids=["after", "before"])
def test_an_opaque_folder_hides_lower_layers_and_not_its_own_wherever_its_mark_stands(
    root: Path, is_last: bool
) -> None:
    lower = (folder("opt"), folder("opt/sub"), file("opt/sub/lower", ""), file("opt/lower", ""))
    own: tuple[Entry, ...] = (folder("opt/sub"), file("opt/sub/own", "1"), file("opt/own", "2"))
    mark = file("opt/.wh..wh..opq", "")
    unpacked(root, lower, (*own, mark) if is_last else (mark, *own))
    assert contents(root) == {"opt/own": "2", "opt/sub/own": "1"}


def test_a_whiteout_spares_what_its_own_layer_has(root: Path) -> None:
    unpacked(root, (file("a", "lower"),), (file("a", "own"), file(".wh.a", "")))
    assert contents(root) == {"a": "own"}


def test_a_link_to_an_absolute_path_leads_into_the_image(root: Path) -> None:
    unpacked(root, ALPINE)
    assert os.readlink(root / "bin" / "sh") == "../bin/busybox"
    assert (root / "bin" / "sh").read_text() == "busybox"


def test_files_below_a_linked_folder_land_where_the_link_leads(root: Path) -> None:
    unpacked(root, (folder("usr"), folder("usr/lib"), link("lib", "usr/lib")), (file("lib/a.so", "library"),))
    assert (root / "lib").is_symlink()
    assert (root / "usr" / "lib" / "a.so").read_text() == "library"


def test_a_hard_link_is_the_same_file(root: Path) -> None:
    unpacked(root, (file("a", "one"),), (hard_link("b", "a"),))
    assert (root / "a").samefile(root / "b")


def test_a_file_a_folder_and_a_link_replace_each_other(root: Path) -> None:
    lower = (file("a", "file"), folder("b"), file("b/inside", ""), folder("c"), link("d", "c"))
    unpacked(root, lower, (folder("a"), file("b", "file"), link("c", "a"), folder("d")))
    assert (root / "a").is_dir() and (root / "b").is_file() and (root / "c").is_symlink()
    assert (root / "d").is_dir() and not (root / "d").is_symlink()


def test_modes_stay_but_for_those_that_only_root_may_give(root: Path) -> None:
    unpacked(root, (file("tool", "", mode=0o755), file("sudo", "", mode=0o4755), file("shadow", "", mode=0o040)))
    modes = {name: (root / name).stat().st_mode & 0o7777 for name in ("tool", "sudo", "shadow")}
    assert modes == {"tool": 0o755, "sudo": 0o755, "shadow": 0o640}


def test_a_folder_that_its_owner_may_not_enter_can_still_be_filled_and_removed(root: Path) -> None:
    unpacked(root, (folder("closed", mode=0o000), file("closed/a", "")))
    assert (root / "closed").stat().st_mode & 0o700 == 0o700


def test_every_user_of_an_image_may_enter_folders_that_no_layer_names(root: Path, closed_umask: None) -> None:
    unpacked(root, (file("usr/bin/tool", "", mode=0o755),))
    modes = [path.stat().st_mode & 0o777 for path in (root, root / "usr", root / "usr" / "bin" / "tool")]
    assert modes == [0o755] * 3


def test_owners_are_dropped(root: Path) -> None:
    unpacked(root, (file("a", "", owner=1337),))
    assert (root / "a").stat().st_uid == os.getuid()


def test_devices_and_pipes_are_left_out(root: Path) -> None:
    unpacked(root, (folder("dev"), device("dev/null", tarfile.CHRTYPE), device("dev/pipe", tarfile.FIFOTYPE)))
    assert list((root / "dev").iterdir()) == []


def test_a_layer_may_be_uncompressed(root: Path) -> None:
    plain = root.parent.parent / "plain"
    plain.write_bytes(gzip.decompress(layer(file("a", "plain"))))
    unpack([plain], root)
    assert contents(root) == {"a": "plain"}


@pytest.mark.parametrize(
    "hostile",
    [
        (file("../outside/secret", "changed"),),
        (file("a/../../outside/secret", "changed"),),
        (file("/outside/secret", "changed"),),
        (hard_link("shown", "../outside/secret"),),
        (link("up", "../../outside"), hard_link("shown", "up/secret")),
        (link("up", "../../outside"), file("up/secret", "changed"), file("x/y", "")),
        (link("up", "../../outside"),),
        (folder("d"), link("d/here", ".."), link("shown", "d/here/../../../outside/secret")),
        (file(".wh...", ""), link("up", "../../outside")),
        (link("loop", "loop"), file("loop/a", "")),
        (hard_link("a", "b"),),
    ],
    ids=[
        "up",
        "up-from-inside",
        "absolute",
        "hard-link",
        "hard-link-by-a-link",
        "file-by-a-link",
        "link",
        "link-by-a-link",
        "whiteout-of-the-parent",
        "loop",
        "hard-link-to-nothing",
    ],
)
def test_what_leads_out_of_the_image_is_refused_and_touches_nothing(
    root: Path, outside: Path, hostile: tuple[Entry, ...]
) -> None:
    with pytest.raises(ImageRefused, match="a container image is refused"):
        unpacked(root, hostile)
    assert outside.read_text() == "as it was"
    assert sorted(path.name for path in root.parent.parent.iterdir()) == ["image", "layer-0", "outside"]


def test_a_whiteout_through_a_link_removes_nothing_outside(root: Path, outside: Path) -> None:
    with pytest.raises(ImageRefused):
        unpacked(root, (link("up", "../../outside"),), (file("up/.wh.secret", ""),))
    assert outside.exists()


@contextmanager
def limited(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(image_layers, "LARGEST", 1 << 20)
        patch.setattr(image_layers, "MOST", 10)
        yield


@pytest.mark.parametrize(
    "hostile",
    [
        (file("bomb", "\0" * (2 << 20)),),
        (file("a", "\0" * (700 << 10)), file("b", "\0" * (700 << 10))),
        (sparse("holes", 4 << 20),),
        tuple(file(f"file-{number}", "") for number in range(11)),
    ],
    ids=["one-file", "together", "holes", "many"],
)
def test_an_image_that_is_too_large_is_refused_before_it_fills_the_disk(
    root: Path, monkeypatch: pytest.MonkeyPatch, hostile: tuple[Entry, ...]
) -> None:
    with limited(monkeypatch), pytest.raises(ImageRefused):
        unpacked(root, hostile)
    assert sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) <= 1 << 20


def test_the_limit_counts_all_layers(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = file("half", "\0" * (600 << 10))
    with limited(monkeypatch), pytest.raises(ImageRefused):
        unpacked(root, (half,), (half,))


@pytest.mark.parametrize(
    "content",
    [b"\x28\xb5\x2f\xfd zstd", b"\x1f\x8b broken", b"", layer(file("a", "b" * 9999))[:60]],
    ids=["zstd", "broken", "empty", "cut-short"],
)
def test_a_layer_that_cannot_be_read_is_an_error_in_words(root: Path, content: bytes) -> None:
    broken = root.parent.parent / "broken"
    broken.write_bytes(content)
    with pytest.raises(ToolchainError, match="a layer of a container image cannot be read"):
        unpack([broken], root)


def test_a_name_of_any_bytes_is_kept(root: Path) -> None:
    buffer = io.BytesIO(layer(file("caf\udce9", "latin")))
    path = root.parent.parent / "names"
    path.write_bytes(buffer.getvalue())
    unpack([path], root)
    assert (root / "caf\udce9").read_text() == "latin"
