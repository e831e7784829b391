"""Finds installed pieces: on the search path, in Pulumi's plugin folder, in the cache, in the checkout.

Official plugins always win over stand-ins. Nothing here waits for anything: no network, no locks, no build.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from mesh_federation import process
from mesh_federation.toolchain import launchers
from mesh_federation.toolchain.errors import from_os
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.pins import Piece, Pins

_ENGINE = "pulumi"

Route = Literal["found", "official", "module", "wheel", "assembled", "stand-in"]


@dataclass(frozen=True)
class Located:
    """A piece that is installed.

    Attributes:
        piece: its name.
        route: how it came.
        version: its version, as pinned or as it says itself.
        path: the executable or the folder.
        note: what there was to say when it came; of a module or a stand-in, why its publisher's own did not come.
    """

    piece: str
    route: Route
    version: str
    path: Path
    note: str = ""


@dataclass(frozen=True)
class StoreEntry:
    """What the cache remembers of a piece, or of a program that was asked for its version.

    Attributes:
        route: how it came.
        version: its version.
        stamps: size and time of every file, by path; a file that differs is not the one that was installed.
        note: what there was to say when it came.
    """

    route: Route
    version: str
    stamps: Mapping[str, list[int]]
    note: str = ""


@dataclass(frozen=True)
class Shelf:
    """One cache folder: everything that was installed for one set of pins."""

    root: Path

    @property
    def bin(self) -> Path:
        """Folder with every executable."""
        return self.root / "bin"

    @property
    def charts(self) -> Path:
        """Folder with every chart."""
        return self.root / "charts"

    @property
    def manifests(self) -> Path:
        """Folder with every manifest."""
        return self.root / "manifests"

    @property
    def images(self) -> Path:
        """Folder with every container image."""
        return self.root / "images"

    @property
    def image_table(self) -> Path:
        """Document with the table of all images that are there."""
        return self.images / "table.json"

    @property
    def downloads(self) -> Path:
        """Folder for incomplete downloads."""
        return self.root / "downloads"

    @property
    def scratch(self) -> Path:
        """Folder for builds."""
        return self.root / "build"

    def entries(self) -> dict[str, StoreEntry]:
        """Return the record; empty if it cannot be read."""
        try:
            document = json.loads((self.root / "installed.json").read_text())
            return {name: StoreEntry(**entry) for name, entry in document.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def remember(self, name: str, entry: StoreEntry) -> None:
        """Add to the record, completely or not at all; the caller holds the lock."""
        entries = {**self.entries(), name: entry}
        scratch = self.root / "installed.json.new"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            scratch.write_text(json.dumps({key: asdict(value) for key, value in sorted(entries.items())}, indent=1))
            scratch.replace(self.root / "installed.json")
        except OSError as error:
            raise from_os("cannot keep the record of what is installed", self.root, error) from error


def shelf(pins: Pins, host: Host) -> Shelf:
    """Return the cache folder of these pins."""
    return Shelf(host.cache / pins.key)


def main_file(piece: Piece, store: Shelf) -> Path:
    """The executable that is asked for, or the file without which a piece of another kind is none."""
    if piece.chart:
        return store.charts / piece.chart / "Chart.yaml"
    if piece.manifest:
        return store.manifests / piece.manifest
    if piece.template:
        return store.images / piece.template
    if piece.image:
        return store.images / piece.name / "image.json"
    return store.bin / piece.executables[0]


def files(piece: Piece, store: Shelf) -> list[Path]:
    """Return every file that must be in the cache if the piece is installed."""
    return [store.bin / name for name in piece.executables] or [main_file(piece, store)]


def stamps(paths: list[Path]) -> dict[str, list[int]] | None:
    """Return size and time of the files; None if one is missing."""
    found = {}
    for path in paths:
        try:
            state = path.stat()
        except OSError:
            return None
        found[str(path)] = [state.st_size, state.st_mtime_ns]
    return found


def locate(piece: Piece, store: Shelf, entries: Mapping[str, StoreEntry], host: Host) -> Located | None:
    """Return where the piece is, by the best route that is available; None if it must be installed."""
    if piece.kind == "plugin" and (kept := _kept_by_pulumi(piece, host)):
        return kept
    if piece.kind == "language" and (beside := _beside_engine(piece, store, entries)):
        return beside
    entry = entries.get(piece.name)
    if entry is not None and _unchanged(entry, files(piece, store)):
        return Located(piece.name, entry.route, entry.version, main_file(piece, store), entry.note)
    if piece.standin and launchers.valid(piece, host):
        note = entry.note if entry is not None and entry.route == "stand-in" else ""
        return Located(piece.name, "stand-in", piece.version, host.launchers / piece.name, note)
    return None


def settled(piece: Piece, place: Located, entries: Mapping[str, StoreEntry], host: Host) -> bool:
    """Whether nothing is left to do for a piece that is there.

    A launcher that an official program overtook would still win on a search path. A program on the search path that
    was never asked for its version may be better than a stand-in.
    """
    if not piece.standin:
        return True
    if place.route != "stand-in":
        return not (host.launchers / piece.name).exists()
    found = candidate(piece, host)
    return found is None or _answered(found, entries) is not None


def candidate(piece: Piece, host: Host) -> Path | None:
    """The program on the search path that may be this piece. A language host is none: the engine looks elsewhere."""
    return _which(piece.executables[0], host) if piece.probe else None


def ask(piece: Piece, found: Path, host: Host) -> StoreEntry:
    """Ask a program for its version, or take it from the name that Pulumi gives to a plugin's folder."""
    folder = found.resolve().parent.name
    named = f"{piece.name.removeprefix('pulumi-')}-v{piece.version}"
    version = piece.version if folder == named else _version(_output([str(found), *piece.probe], host))
    return StoreEntry("found", version or "", stamps([found]) or {})


def on_path(piece: Piece, entries: Mapping[str, StoreEntry], host: Host) -> Located | None:
    """Return a program of the pinned version on the search path, if it was asked for its version before."""
    found = candidate(piece, host)
    version = _answered(found, entries) if found else None
    if not found or not version or not _fits(piece, version):
        return None
    return Located(piece.name, "found", version, found)


def ours(path: Path, host: Host) -> bool:
    """Whether a file is of this toolchain, so that finding it on the search path means nothing.

    A link from here to a program of the user's is ours: what it leads to is found where it lies itself.
    """
    folders = [folder for each in (host.cache, host.launchers) for folder in (each, each.resolve())]
    lies = (path, path.resolve())
    return any(each.is_relative_to(folder) for each in lies for folder in folders) or launchers.is_launcher(path)


def _kept_by_pulumi(piece: Piece, host: Host) -> Located | None:
    """Return an official plugin that the user's own Pulumi has installed."""
    name = piece.name.removeprefix("pulumi-")
    folder = host.pulumi_home / "plugins" / f"{name}-v{piece.version}"
    try:
        kept = (folder / piece.name).resolve(strict=True)
    except (OSError, RuntimeError):  # missing, or a link that leads to itself
        return None
    # The engine marks an installation that was interrupted with a .partial file beside the folder.
    if not os.access(kept, os.X_OK) or ours(kept, host) or folder.with_name(f"{folder.name}.partial").exists():
        return None
    return Located(piece.name, "found", piece.version, kept)


def _beside_engine(piece: Piece, store: Shelf, entries: Mapping[str, StoreEntry]) -> Located | None:
    """Return the language host beside the user's engine: an engine uses the one in its own folder."""
    engine = entries.get(_ENGINE)
    program = store.bin / _ENGINE
    if engine is None or engine.route != "found" or not _unchanged(engine, [program]):
        return None
    beside = program.resolve().with_name(piece.name)
    return Located(piece.name, "found", engine.version, beside) if os.access(beside, os.X_OK) else None


def _answered(program: Path, entries: Mapping[str, StoreEntry]) -> str | None:
    """Return the version that a program on the search path reported; None if it was not asked yet."""
    entry = entries.get(str(program))
    return entry.version if entry is not None and _unchanged(entry, [program]) else None


def _which(name: str, host: Host) -> Path | None:
    """Return the first executable of that name on the search path that is not this toolchain's own."""
    for folder in host.path.split(os.pathsep):
        found = shutil.which(name, path=folder) if folder else None
        if found and not ours(Path(found), host):
            return Path(found)
    return None


def _unchanged(entry: StoreEntry, expected: list[Path]) -> bool:
    recorded = [Path(path) for path in entry.stamps]
    return set(map(str, expected)) <= set(entry.stamps) and stamps(recorded) == dict(entry.stamps)


def _output(command: list[str], host: Host) -> str:
    try:
        done = process.run(command, variables={"PATH": host.path}, timeout=10)
    except (OSError, process.ProgramMissing, process.ProgramTimeout):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _version(shown: str) -> str | None:
    match = re.search(r"(?<![\w.])v?(\d+\.\d+\.\d+)(?![\w.-])", shown)
    return match[1] if match else None


def _fits(piece: Piece, version: str) -> bool:
    """The pinned version exactly; the engine alone may be newer, because it keeps to its protocol."""
    if piece.kind != "engine":
        return version == piece.version
    have, want = ([int(part) for part in text.split(".")] for text in (version, piece.version))
    return have[0] == want[0] and have >= want
