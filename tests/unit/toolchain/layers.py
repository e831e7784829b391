"""Layers of container images, good and hostile ones."""

import io
import tarfile
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One entry of a layer: its header and its content."""

    info: tarfile.TarInfo
    content: bytes = b""


def file(name: str, content: str | bytes, *, mode: int = 0o644, owner: int = 0) -> Entry:
    """A file, or a whiteout if it is named so."""
    body = content.encode() if isinstance(content, str) else content
    info = _info(name, tarfile.REGTYPE, mode)
    info.size, info.uid, info.gid = len(body), owner, owner
    return Entry(info, body)


def folder(name: str, *, mode: int = 0o755) -> Entry:
    """A folder."""
    return Entry(_info(name, tarfile.DIRTYPE, mode))


def link(name: str, leads_to: str) -> Entry:
    """A symbolic link."""
    info = _info(name, tarfile.SYMTYPE, 0o777)
    info.linkname = leads_to
    return Entry(info)


def hard_link(name: str, other: str) -> Entry:
    """Another name of a file."""
    info = _info(name, tarfile.LNKTYPE, 0o644)
    info.linkname = other
    return Entry(info)


def device(name: str, kind: bytes) -> Entry:
    """A device or a pipe."""
    return Entry(_info(name, kind, 0o666))


def sparse(name: str, size: int) -> Entry:
    """A file of holes alone: it says its size and holds nothing."""
    info = _info(name, tarfile.REGTYPE, 0o644)
    info.pax_headers = {"GNU.sparse.map": f"{size},0", "GNU.sparse.size": str(size)}
    return Entry(info)


def layer(*entries: Entry) -> bytes:
    """An archive of these entries, compressed as registries have it; equal entries are equal bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT, compresslevel=1) as archive:
        for entry in entries:
            archive.addfile(entry.info, io.BytesIO(entry.content))
    return buffer.getvalue()


def _info(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode = kind, mode
    return info
