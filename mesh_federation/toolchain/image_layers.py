"""Layers of a container image, unpacked one over the other into a folder, as an ordinary user.

Nothing in a layer is trusted: no entry is written outside the folder, no link leads out of it, and no layer fills the
disk. What only root could make is left out: devices and pipes, owners, set-user-id bits, file capabilities. A container
gets its own /dev.

Source: OCI image specification 1.1, "Image Layer Filesystem Changeset".
"""

import gzip
import io
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mesh_federation.toolchain.errors import ToolchainError, from_os

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LARGEST = 2 * 2**30
"""Bytes that all layers of an image may have when they are unpacked; those of Istio's proxy have about 0.3 GiB."""
MOST = 200_000
"""Entries that all layers of an image may have."""
_MOST_LINKS = 40  # as Linux has it: more symbolic links in one path are a loop
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


class ImageRefused(ToolchainError):
    """An image whose layers are not what a release has: nothing of it may be used."""

    def __init__(self, why: str) -> None:
        """Say what was found."""
        fix = "no release has that: find out where the image came from before anything else of it is used"
        super().__init__("a container image is refused", why, fix)


def unpack(layers: Sequence[Path], root: Path) -> None:
    """Unpack layers, the lowest first, into a folder that does not exist yet.

    Raises:
        ImageRefused: an entry or a link leads out of the folder, or there is too much of it.
        ToolchainError: a layer cannot be read, or the disk is full.
    """
    allowance = _Allowance(LARGEST, MOST)
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        _make_folder(root)
        for layer in layers:
            with _archive(layer, allowance) as archive:
                _unpack_layer(archive, root, allowance)
        _check_links(root)
    except OSError as error:
        raise from_os("cannot unpack a container image", root, error) from error


class _Allowance:
    """What an image may still unpack, in bytes and in entries."""

    def __init__(self, bytes_left: int, entries_left: int) -> None:
        self._bytes = bytes_left
        self._entries = entries_left

    def take(self, size: int) -> None:
        self._bytes -= size
        if self._bytes < 0:
            raise ImageRefused(f"its files are larger than {LARGEST >> 30} GiB")

    def take_entry(self) -> None:
        self._entries -= 1
        if self._entries < 0:
            raise ImageRefused(f"it holds more than {MOST} files")


class _Bounded(io.RawIOBase):
    """A stream whose bytes are taken from the allowance: a small layer can unpack to anything."""

    def __init__(self, stream: io.BufferedIOBase, allowance: _Allowance) -> None:
        self._stream = stream
        self._allowance = allowance

    def readinto(self, buffer: "WriteableBuffer") -> int:
        count = self._stream.readinto(buffer)
        self._allowance.take(count)
        return count


@contextmanager
def _archive(layer: Path, allowance: _Allowance) -> Iterator[tarfile.TarFile]:
    try:
        with _opened(layer) as stream, tarfile.open(fileobj=_Bounded(stream, allowance), mode="r|") as archive:
            yield archive
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError) as error:
        why = f"{layer.name} is not a tar archive, compressed by gzip or not at all: {error}"
        raise ToolchainError("a layer of a container image cannot be read", why, "run it again") from error


def _opened(layer: Path) -> io.BufferedIOBase:
    with layer.open("rb") as file:
        is_compressed = file.read(2) == b"\x1f\x8b"
    return gzip.open(layer) if is_compressed else layer.open("rb")


def _unpack_layer(archive: tarfile.TarFile, root: Path, allowance: _Allowance) -> None:
    placed: set[Path] = set()
    for entry in archive:
        allowance.take_entry()
        path = _checked(entry.name)
        if not path.name:
            continue  # the root itself
        folder = inside(root, path.parent)
        if path.name == _OPAQUE:
            _hide_lower(folder, {*placed, folder})
        elif path.name.startswith(_WHITEOUT):
            hidden = path.name.removeprefix(_WHITEOUT)
            if hidden in ("", ".", ".."):
                raise ImageRefused(f"it holds {entry.name!r}, which would remove a folder around it")
            _hide_lower(folder / hidden, placed)
        else:
            _make_folder(folder)
            target = folder / path.name
            _place(archive, entry, target, root, allowance)
            placed.update((target, *target.parents))


def _checked(name: str) -> PurePosixPath:
    """Return the path of an entry below the root."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ImageRefused(f"it holds {name!r}, which would be written outside its folder")
    return path


def inside(root: Path, path: PurePosixPath) -> Path:
    """Return where a path of the image lies, its links followed as if the root were `/`.

    Raises:
        ImageRefused: a link leads to itself.
    """
    ahead, here, links = list(reversed(path.parts)), list[str](), 0
    while ahead:
        part = ahead.pop()
        lies = root.joinpath(*here, part)
        if part == "..":
            here = here[:-1]
        elif lies.is_symlink():
            links += 1
            if links > _MOST_LINKS:
                raise ImageRefused(f"a link of {path} leads to itself")
            ahead.extend(reversed(PurePosixPath(os.readlink(lies)).parts))
        else:
            here.append(part)
    return root.joinpath(*here)


def _hide_lower(path: Path, placed: set[Path]) -> None:
    """Remove what lower layers have at a path; what this layer has there stays."""
    if path not in placed:
        _remove(path)
    elif path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            _hide_lower(child, placed)


def _make_folder(path: Path) -> None:
    """Make a folder that no layer has an entry for, readable for every user of the image whatever the umask is."""
    if not path.is_dir():
        _make_folder(path.parent)
        path.mkdir()
        path.chmod(0o755)


def _place(archive: tarfile.TarFile, entry: tarfile.TarInfo, target: Path, root: Path, allowance: _Allowance) -> None:
    """Make one entry, in place of what is there."""
    if entry.isdir():
        if target.is_symlink() or not target.is_dir():
            _remove(target)
            target.mkdir()
        target.chmod(entry.mode & 0o777 | 0o700)
        return
    _remove(target)
    if entry.isfile():
        _write(archive, entry, target, allowance)
    elif entry.issym():
        target.symlink_to(_relative(entry.linkname, target, root))
    elif entry.islnk():
        _link(entry, target, root)


def _write(archive: tarfile.TarFile, entry: tarfile.TarInfo, target: Path, allowance: _Allowance) -> None:
    if entry.issparse():
        allowance.take(entry.size)  # its holes are not in the layer
    content = archive.extractfile(entry)
    assert content
    with content, target.open("xb") as file:
        shutil.copyfileobj(content, file, 1 << 20)
    target.chmod(entry.mode & 0o777 | 0o600)


def _relative(leads_to: str, link: Path, root: Path) -> str:
    """Return what a link leads to in words that hold wherever the root lies."""
    if not leads_to or "\0" in leads_to:
        raise ImageRefused(f"the link {link.relative_to(root)} leads nowhere")
    if not leads_to.startswith("/"):
        return leads_to
    up = len(link.parent.relative_to(root).parts)
    return str(PurePosixPath(*[".."] * up, leads_to.lstrip("/") or "."))


def _link(entry: tarfile.TarInfo, target: Path, root: Path) -> None:
    origin = _checked(entry.linkname)
    lies = inside(root, origin.parent) / origin.name
    if lies.is_symlink() or not lies.is_file():
        raise ImageRefused(f"{entry.name} is a link to {entry.linkname}, which is no file of it")
    os.link(lies, target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _check_links(root: Path) -> None:
    """Refuse an image of which a link leads out, for whoever follows it from outside."""
    whole = root.resolve()
    for folder, folders, files in os.walk(whole):
        for name in (*folders, *files):
            link = Path(folder, name)
            if link.is_symlink() and not Path(os.path.realpath(link)).is_relative_to(whole):
                raise ImageRefused(f"the link {link.relative_to(whole)} leads to {os.readlink(link)}, outside of it")
