"""Downloads a publisher's file and verifies it by the publisher's checksum, or by the one that is pinned.

A broken download is kept and taken up where it stopped; a file with a wrong checksum is thrown away.
"""

import hashlib
import http.client
import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from mesh_federation.toolchain.errors import MOVED, DownloadFailed, ToolchainError, from_os
from mesh_federation.toolchain.host import Patience
from mesh_federation.toolchain.pins import Official

_CHUNK = 1 << 18
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_DIGEST = re.compile(r"[0-9a-fA-F]{32,128}")
_NETWORK = "see to the network or to HTTPS_PROXY, then run it again"
_AGENT = {"User-Agent": "mesh-federation-toolchain"}


def reachable(urls: Collection[str], patience: Patience) -> frozenset[str]:
    """Return the sites of these URLs that respond; all are asked at the same time.

    One short wait for all of them: a network without these sites costs it once, not once a piece.
    """
    answered: set[str] = set()
    threads = []
    for site in {site_of(url) for url in urls}:
        # Daemons, because resolving a name can hang for longer than any timeout of ours.
        thread = threading.Thread(target=_knock, args=(site, patience.reach, answered), daemon=True)
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join(patience.reach)
    return frozenset(answered)


def site_of(url: str) -> str:
    """Return scheme and host of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def unreached(url: str) -> DownloadFailed:
    """Return the error for a site that does not respond."""
    return DownloadFailed(f"{site_of(url)} cannot be reached", "no answer", _NETWORK)


def fetch(official: Official, folder: Path, recorded: str | None, patience: Patience) -> tuple[Path, str]:
    """Download the file into the folder; return its path and its SHA-256.

    Raises:
        DownloadFailed: the publisher did not deliver, or lists no SHA-256 of the file; what came so far is kept.
        ToolchainError: the checksum is wrong or the disk is full.
    """
    name = urlsplit(official.url).path.rsplit("/", 1)[-1]
    target = folder / name
    expected = _expected(official, name, recorded, patience)
    if target.exists() and _sha256(target) == expected:
        return target, expected
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{name}.part"
    actual = _bring(_Source(official.url), partial, expected, patience)
    if actual != expected:
        partial.unlink()
        raise _wrong(official, expected, actual)
    partial.replace(target)
    return target, expected


def fetch_blob(url: str, sha256: str, size: int, folder: Path, authorization: str, patience: Patience) -> Path:
    """Get a file that is named by its digest into the folder.

    Args:
        url: where it is.
        sha256: its digest.
        size: bytes that it has; more are not taken.
        folder: where it is kept; what came of it before is taken up again.
        authorization: value of that header; empty where none is needed. It goes to no other site.
        patience: how long to wait.

    Raises:
        DownloadFailed: it did not come.
        ToolchainError: its digest is wrong, or the disk is full.
    """
    target, partial = folder / sha256, folder / f"{sha256}.part"
    if target.exists() and _sha256(target) == sha256:
        return target
    folder.mkdir(parents=True, exist_ok=True)
    actual = _bring(_Source(url, authorization, size), partial, sha256, patience)
    if actual != sha256:
        partial.unlink()
        raise ToolchainError(
            f"wrong checksum for {url}",
            f"what arrived has {actual}; it was thrown away",
            "run it again; if it stays so, something between here and the registry changes files: do not go on",
        )
    partial.replace(target)
    return target


def read(url: str, headers: Mapping[str, str], authorization: str, limit: int, patience: Patience) -> bytes:
    """Return a document of no more than so many bytes.

    Raises:
        DownloadFailed: it did not come, or is larger.
    """
    with _explained(url), _open(_Source(url, authorization), headers, patience) as response:
        text = response.read(limit + 1)
    if len(text) > limit:
        raise _too_large(url, limit)
    return text


def challenge(url: str, patience: Patience) -> str:
    """Return what a site asks of whoever comes without authorization; empty if nothing (RFC 9110, section 11.6.1).

    Raises:
        DownloadFailed: it gives another answer.
    """
    with _explained(url):
        try:
            _open(_Source(url), {}, patience).close()
        except urllib.error.HTTPError as error:
            if error.code != 401:
                raise
            error.close()
            return error.headers.get("WWW-Authenticate", "Basic")
    return ""


@dataclass(frozen=True)
class _Source:
    """Where a file comes from.

    Attributes:
        url: its address.
        authorization: value of that header, for the site of the URL alone.
        limit: bytes that are taken at most; None for no limit.
    """

    url: str
    authorization: str = ""
    limit: int | None = None


def _bring(source: _Source, partial: Path, expected: str, patience: Patience) -> str:
    """Bring the partial file to its end; returns its SHA-256, which may be another one than expected."""
    resumed = partial.exists()
    actual = _complete(source, partial, patience)
    if actual != expected and resumed:  # the old part may be of another file: once more from the start
        partial.unlink()
        actual = _complete(source, partial, patience)
    return actual


def _too_large(url: str, limit: int) -> DownloadFailed:
    return DownloadFailed(f"{url} is refused", f"it is larger than {limit} bytes", MOVED)


def _knock(site: str, timeout: float, answered: set[str]) -> None:
    request = urllib.request.Request(site, method="HEAD", headers=_AGENT)
    try:
        with urllib.request.urlopen(request, timeout=timeout):
            answered.add(site)
    except urllib.error.HTTPError as error:
        error.close()
        answered.add(site)  # any answer is an answer
    except (OSError, http.client.HTTPException):
        return


def _expected(official: Official, name: str, recorded: str | None, patience: Patience) -> str:
    """Return the SHA-256 that the file must have; the publisher's and the recorded one must agree."""
    if official.checksums is None:
        if recorded is None:
            raise ToolchainError(
                f"no checksum for {official.url}",
                "its publisher lists none, and mesh_federation/toolchain/pins.toml pins none",
                "review that file, then put its URL and its SHA-256 under [checksums] in"
                " mesh_federation/toolchain/pins.toml",
            )
        return recorded
    listed_now = _publisher_checksum(official.checksums, name, patience)
    if recorded is not None and recorded != listed_now:
        raise ToolchainError(
            f"{official.url} is not the file that it was",
            f"its publisher now lists {listed_now}, but {recorded} was recorded when it was first used",
            "find out why a released file changed; only then remove its line from checksums.txt in the cache folder",
        )
    return listed_now


def _wrong(official: Official, expected: str, actual: str) -> ToolchainError:
    who = "its publisher" if official.checksums else "[checksums] in mesh_federation/toolchain/pins.toml"
    fix = "run it again; if it stays so, something between here and the publisher changes files: do not go on"
    if official.checksums is None:
        fix += " (if it was you who changed that line or the version, correct the line)"
    return ToolchainError(
        f"wrong checksum for {official.url}",
        f"{who} lists {expected}, what arrived has {actual}; the file was thrown away",
        fix,
    )


def _publisher_checksum(checksums: str, name: str, patience: Patience) -> str:
    with _explained(checksums), _open(_Source(checksums), {}, patience) as response:
        text = response.read().decode(errors="replace")
    try:
        found = listed(text, name)
    except (ValueError, KeyError, TypeError, AttributeError):  # not the list: a login page, an error text
        found = None
    if found is None or not _SHA256.fullmatch(found):
        named = name in text or _DIGEST.fullmatch(text.strip())
        raise DownloadFailed(
            f"no checksum for {name}",
            f"{checksums} {'lists it without a SHA-256 checksum' if named else 'does not list it'}",
            MOVED,
        )
    return found


def listed(text: str, name: str) -> str | None:
    """Return the SHA-256 of a file from the publisher's list; None if the list does not have the file.

    Knows the forms in use: `sha256sum` lines, a bare digest, a Helm repository's index, a GitHub release.
    """
    if text.lstrip().startswith("{"):
        assets = json.loads(text).get("assets", [])
        digests = [asset.get("digest") for asset in assets if asset.get("name") == name]
        return digests[0].removeprefix("sha256:").lower() if digests and digests[0] else None
    if re.search(r"^entries:", text, re.MULTILINE):
        return _from_helm_index(text, name)
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].lstrip("*").rsplit("/", 1)[-1] == name and _SHA256.fullmatch(words[0]):
            return words[0].lower()
    bare = text.split()
    return bare[0].lower() if len(bare) == 1 and _SHA256.fullmatch(bare[0]) else None


def _from_helm_index(text: str, name: str) -> str | None:
    import yaml  # only for charts: slow to import

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for releases in yaml.load(text, Loader=loader)["entries"].values():
        for release in releases:
            if any(url.rsplit("/", 1)[-1] == name for url in release.get("urls", [])):
                return str(release["digest"]).removeprefix("sha256:").lower()
    return None


def _complete(source: _Source, partial: Path, patience: Patience) -> str:
    """Complete the partial file, resuming after a broken connection; return its SHA-256."""
    for attempt in range(1, patience.attempts + 1):
        try:
            with _explained(source.url):
                _append(source, partial, patience)
            break
        except _Broken as error:
            if attempt == patience.attempts:
                raise DownloadFailed(
                    f"the download of {source.url} broke off {attempt} times",
                    str(error),
                    "run it again: it goes on where it stopped",
                ) from error
    return _sha256(partial)


class _Broken(Exception):
    """The body ended before its announced length."""


def _append(source: _Source, partial: Path, patience: Patience) -> None:
    start = partial.stat().st_size if partial.exists() else 0
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        response = _open(source, headers, patience)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        error.close()
        if error.headers.get("Content-Range", "").endswith(f"/{start}"):
            return  # nothing is left to fetch
        partial.unlink()  # longer than the file: not a part of it
        start = 0
        response = _open(source, {}, patience)
    with response:
        continued = response.status == 206
        length = response.headers.get("Content-Length")
        received, kept = 0, start if continued else 0
        with _writing(partial, "ab" if continued else "wb") as write:
            try:
                while chunk := response.read1(_CHUNK):  # what is there now: a stall loses nothing
                    received += len(chunk)
                    if source.limit is not None and kept + received > source.limit:
                        raise _too_large(source.url, source.limit)
                    write(chunk)
            except http.client.IncompleteRead as error:
                write(error.partial)
                received += len(error.partial)
            except ConnectionError as error:
                raise _Broken(str(error)) from error
    if length is not None and received < int(length):
        raise _Broken(f"{received} of {length} bytes came in the last attempt")


@contextmanager
def _writing(path: Path, mode: str) -> Iterator["_Write"]:
    """Open for writing, so that a failed write is told apart from a failed read."""
    try:
        file: IO[bytes] = path.open(mode)
    except OSError as error:
        raise from_os(f"cannot keep {path.name}", path.parent, error) from error
    write = _Write(file, path)
    try:
        yield write
    finally:
        try:
            file.close()
        except OSError as error:
            raise from_os(f"cannot keep {path.name}", path.parent, error) from error


class _Write:
    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file = file
        self._path = path

    def __call__(self, chunk: bytes) -> None:
        try:
            self._file.write(chunk)
            self._file.flush()
        except OSError as error:
            raise from_os(f"cannot keep {self._path.name}", self._path.parent, error) from error


def _open(source: _Source, headers: Mapping[str, str], patience: Patience) -> http.client.HTTPResponse:
    request = urllib.request.Request(source.url, headers={**_AGENT, **headers})
    if source.authorization:
        request.add_unredirected_header("Authorization", source.authorization)
    response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=patience.stall)
    return response


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Return the error of urllib as text for a person."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        raise DownloadFailed(
            f"{url} is not to be had",
            f"its server answers {error.code} {error.reason}",
            MOVED if error.code in (401, 403, 404, 410) else "try again later",
        ) from error
    except TimeoutError as error:
        raise DownloadFailed(
            f"{url} is too slow",
            "nothing came for the time that is waited",
            "run it again: it goes on where it stopped",
        ) from error
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise DownloadFailed(f"{url} cannot be reached", f"{reason}", _NETWORK) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
