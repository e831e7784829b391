"""The streams of exec and port-forward, as API servers write them."""

import struct
import zlib

import pytest

from mesh_federation.native.spdy import DICTIONARY, SpdySession, StreamData, StreamOpened, StreamReset


class Sink:
    """A connection that keeps what is sent."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.sent = b""

    def sendall(self, data: bytes, /) -> None:
        """Keep it."""
        self.sent += data


def opening(stream: int, headers: dict[str, str], flags: int = 0) -> bytes:
    """Return the frame with which a client opens a stream."""
    block = struct.pack(">I", len(headers))
    for text in (part for pair in headers.items() for part in pair):
        block += struct.pack(">I", len(text)) + text.encode()
    compressor = zlib.compressobj(zdict=DICTIONARY)
    packed = compressor.compress(block) + compressor.flush(zlib.Z_SYNC_FLUSH)
    payload = struct.pack(">IIH", stream, 0, 0) + packed
    return struct.pack(">II", 0x80030001, flags << 24 | len(payload)) + payload


def test_the_dictionary_is_that_of_the_protocol() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_a_stream_is_opened_with_its_headers_and_answered() -> None:
    sink = Sink()
    messages = list(SpdySession(sink).received(opening(1, {"streamtype": "stdin"}, flags=1)))
    assert messages == [StreamOpened(1, {"streamtype": "stdin"}, ended=True)]
    assert struct.unpack(">II", sink.sent[:8])[0] == 0x80030002
    assert zlib.decompressobj().decompress(sink.sent[12:]) == b"\0\0\0\0"


def test_frames_may_come_in_any_pieces() -> None:
    session = SpdySession(Sink())
    frames = opening(1, {"streamtype": "stdin"}) + struct.pack(">II", 1, 1 << 24 | 5) + b"hello"
    messages = [message for byte in frames for message in session.received(bytes([byte]))]
    assert messages[1:] == [StreamData(1, b"hello", ended=True)]


def test_a_reset_names_its_stream_and_a_ping_is_answered() -> None:
    sink = Sink()
    frames = struct.pack(">IIII", 0x80030003, 8, 3, 5) + struct.pack(">III", 0x80030006, 4, 77)
    assert list(SpdySession(sink).received(frames)) == [StreamReset(3)]
    assert sink.sent == struct.pack(">III", 0x80030006, 4, 77)


def test_data_that_is_sent_says_where_it_ends() -> None:
    sink = Sink()
    SpdySession(sink).send(5, b"bye", ended=True)
    assert sink.sent == struct.pack(">II", 5, 1 << 24 | 3) + b"bye"


def test_another_protocol_is_refused() -> None:
    with pytest.raises(ValueError, match="not SPDY/3.1"):
        list(SpdySession(Sink()).received(struct.pack(">II", 0x80020001, 0)))
