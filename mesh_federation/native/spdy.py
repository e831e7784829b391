"""SPDY/3.1 as far as API servers speak it to kubelets: streams over one connection, for exec and port-forward.

Source: https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/. Flow control and pushed streams are left
out, as in the library that API servers use.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

VERSION = 0x8003
SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
FIN = 0x01
STREAM_ID = 0x7FFFFFFF
LARGEST_DATA = 32 * 1024

_WORDS = """
options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow
authorization cache-control connection content-base content-encoding content-language content-length content-location
content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match
if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range
referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get
status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin
"""
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = (
    b"".join(struct.pack(">I", len(word)) + word.replace("_", " ").encode() for word in _WORDS.split()) + _TAIL.encode()
)
"""What both sides compress headers with: section 2.6.10.1 of the draft."""


class Connection(Protocol):
    """What is needed of a socket."""

    def sendall(self, data: bytes, /) -> None:
        """Send all of it."""


@dataclass(frozen=True)
class StreamOpened:
    """The other side has opened a stream; `ended` means that it sends nothing on it."""

    stream: int
    headers: Mapping[str, str]
    ended: bool


@dataclass(frozen=True)
class StreamData:
    """Data of a stream; `ended` means that there is no more."""

    stream: int
    data: bytes
    ended: bool


@dataclass(frozen=True)
class StreamReset:
    """The other side wants nothing more of a stream."""

    stream: int


class SpdySession:
    """The server's side of a connection, for one thread."""

    def __init__(self, connection: Connection) -> None:
        """Take a connection on which both sides have agreed to speak SPDY."""
        self._connection = connection
        self._buffer = b""
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj()

    def received(self, data: bytes) -> Iterator[StreamOpened | StreamData | StreamReset]:
        """Yield what the other side has said; streams that it opens are accepted.

        Raises:
            ValueError: it does not speak SPDY/3.1.
        """
        self._buffer += data
        while len(self._buffer) >= 8:
            first, second = struct.unpack(">II", self._buffer[:8])
            flags, length = second >> 24, second & 0xFFFFFF
            if len(self._buffer) < 8 + length:
                return
            payload, self._buffer = self._buffer[8 : 8 + length], self._buffer[8 + length :]
            if not first >> 31:
                yield StreamData(first, payload, bool(flags & FIN))
            elif first >> 16 != VERSION:
                raise ValueError(f"frame of version {first >> 16:#x}, not SPDY/3.1")
            else:
                yield from self._control(first & 0xFFFF, flags, payload)

    def send(self, stream: int, data: bytes, ended: bool = False) -> None:
        """Send data on a stream; `ended` says that there is no more. Raises OSError."""
        while len(data) > LARGEST_DATA:
            self._frame(stream, 0, data[:LARGEST_DATA])
            data = data[LARGEST_DATA:]
        self._frame(stream, FIN if ended else 0, data)

    def _control(self, kind: int, flags: int, payload: bytes) -> Iterator[StreamOpened | StreamReset]:
        if kind == SYN_STREAM:
            stream = struct.unpack(">I", payload[:4])[0] & STREAM_ID
            headers = _headers(self._inflate.decompress(payload[10:]))
            none = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            self._frame(VERSION << 16 | SYN_REPLY, 0, struct.pack(">I", stream) + none)
            yield StreamOpened(stream, headers, bool(flags & FIN))
        elif kind == RST_STREAM:
            yield StreamReset(struct.unpack(">I", payload[:4])[0] & STREAM_ID)
        elif kind == PING:
            self._frame(VERSION << 16 | PING, 0, payload)

    def _frame(self, head: int, flags: int, payload: bytes) -> None:
        self._connection.sendall(struct.pack(">II", head, flags << 24 | len(payload)) + payload)


def _headers(block: bytes) -> Mapping[str, str]:
    """Read names and values of headers; names are in lower case."""
    texts = []
    position = 4
    for _ in range(2 * struct.unpack(">I", block[:4])[0]):
        length = struct.unpack(">I", block[position : position + 4])[0]
        texts.append(block[position + 4 : position + 4 + length].decode())
        position += 4 + length
    return dict(zip((name.lower() for name in texts[::2]), texts[1::2], strict=True))
