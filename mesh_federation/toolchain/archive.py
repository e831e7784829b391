"""Installs downloaded files; of an archive, only the files that are needed."""

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from mesh_federation.toolchain.errors import MOVED, DownloadFailed, ToolchainError, from_os


@dataclass(frozen=True)
class _Member:
    path: PurePosixPath
    is_file: bool
    open: Callable[[], IO[bytes]]


def take_programs(source: Path, names: tuple[str, ...], folder: Path) -> None:
    """Install the named programs of an archive into a folder, or the file itself if it is a single program."""
    with _writing(source, folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not _is_archive(source):
            _place(source.open("rb"), folder / names[0], 0o755)
            return
        with _members(source) as members:
            found = {member.path.name: member for member in members if member.is_file}
            if missing := [name for name in names if name not in found]:
                raise DownloadFailed(
                    f"{source.name} does not hold {', '.join(missing)}",
                    "its publisher arranges it otherwise than mesh_federation/toolchain/pins.toml says",
                    MOVED,
                )
            for name in names:
                _place(found[name].open(), folder / name, 0o755)


def take_member(source: Path, path: str, target: Path) -> None:
    """Put the program that lies at a path of the archive in its place."""
    with _writing(source, target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _members(source) as members:
            found = [member for member in members if member.is_file and str(member.path) == path]
            if not found:
                raise DownloadFailed(
                    f"{source.name} does not hold {path}",
                    "its publisher arranges it otherwise than mesh_federation/toolchain/pins.toml says",
                    MOVED,
                )
            _place(found[0].open(), target, 0o755)


def take_folder(source: Path, name: str, folder: Path) -> None:
    """Replace a folder by the archive's top folder of that name."""
    scratch = folder.with_name(f".{folder.name}.new")
    with _writing(source, folder):
        shutil.rmtree(scratch, ignore_errors=True)
        with _members(source) as members:
            for member in members:
                if member.is_file and member.path.parts[0] == name:
                    target = scratch.joinpath(*member.path.parts[1:])
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _place(member.open(), target, 0o644)
        if not scratch.exists():
            raise DownloadFailed(
                f"{source.name} does not hold a folder {name}",
                "its publisher arranges it otherwise than mesh_federation/toolchain/pins.toml says",
                MOVED,
            )
        shutil.rmtree(folder, ignore_errors=True)
        scratch.rename(folder)


def take_file(source: Path, target: Path) -> None:
    """Install a file that is not a program."""
    with _writing(source, target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        _place(source.open("rb"), target, 0o644)


def _is_archive(source: Path) -> bool:
    return source.name.endswith((".tar.gz", ".tgz", ".zip"))


@contextmanager
def _members(source: Path) -> Iterator[list[_Member]]:
    """Return all members, after checking that none of their paths leads outside the folder."""
    try:
        if source.suffix in (".zip", ".whl"):
            with zipfile.ZipFile(source) as archive:
                yield _safe(source, [_from_zip(archive, info) for info in archive.infolist()])
        else:
            with tarfile.open(source) as archive_tar:
                yield _safe(source, [_from_tar(archive_tar, info) for info in archive_tar.getmembers()])
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ToolchainError(
            f"{source.name} is not an archive that can be read", str(error), f"remove {source} and run it again"
        ) from error


def _from_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    return _Member(PurePosixPath(info.filename), not info.is_dir(), lambda: archive.open(info))


def _from_tar(archive: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    def content() -> IO[bytes]:
        file = archive.extractfile(info)
        if file is None:
            raise tarfile.TarError(f"{info.name} has no content")
        return file

    return _Member(PurePosixPath(info.name), info.isfile(), content)  # links and devices are never taken


def _safe(source: Path, members: list[_Member]) -> list[_Member]:
    for member in members:
        if member.path.is_absolute() or ".." in member.path.parts:
            raise ToolchainError(
                f"{source.name} is refused",
                f"it holds {member.path}, which would be written outside its folder",
                "no release does that: find out where the file came from before anything else of it is used",
            )
    return members


def _place(content: IO[bytes], target: Path, mode: int) -> None:
    """Write beside the target, then rename: the program is there completely or not at all."""
    scratch = target.with_name(f".{target.name}.new")
    try:
        with content, scratch.open("wb") as file:
            shutil.copyfileobj(content, file, 1 << 20)
        scratch.chmod(mode)
        scratch.replace(target)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise


@contextmanager
def _writing(source: Path, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise from_os(f"cannot unpack {source.name}", folder, error) from error
