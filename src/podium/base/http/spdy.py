"""SPDY/3.1 framing, as far as Kubernetes' streams need it: exec, attach and port-forward.

Frames in and out are pure (`Decoder`, `Encoder`); `Session` runs them over a raw connection, as server or as
client. The peers (kubectl, containerd) know no flow control beyond the connection's own: window updates and
settings are read past, and a reader that falls behind makes the whole connection wait, in bounded memory.

The protocol: https://datatracker.ietf.org/doc/html/draft-mbelshe-httpbis-spdy-00 (SPDY/3).
"""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from podium.base.http.message import Headers, RawConnection

CONTROL_BYTES_MAX = 64 * 1024
HEADER_BYTES_MAX = 64 * 1024
STREAMS_MAX = 1024
DATA_BYTES = 32 * 1024
"""Data leave in frames of at most this size, so that streams take turns."""
SESSION_BYTES_MAX = 256 * 1024
"""What may wait to be read over all streams of a session before it stops reading."""
REPLY_TIMEOUT_S = 30.0

VERSION = 3
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 0x01

RST_PROTOCOL_ERROR, RST_INVALID_STREAM, RST_REFUSED_STREAM, RST_CANCEL = 1, 2, 3, 5


def _dictionary() -> bytes:
    """Return what header compression starts from (2.6.10.1): words with their lengths, then a text."""
    words = (
        "options head post put delete trace accept accept-charset accept-encoding accept-language "
        "accept-ranges age allow authorization cache-control connection content-base content-encoding "
        "content-language content-length content-location content-md5 content-range content-type date etag "
        "expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since "
        "last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer "
        "retry-after server te trailer transfer-encoding upgrade user-agent vary via warning "
        "www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin"
    )
    text = (
        "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
        "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
        "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
        "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
        "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
        "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
    )
    parts = [_sized(word.replace("_", " ").encode()) for word in words.split()]
    return b"".join(parts) + text.encode()


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


DICTIONARY = _dictionary()


class SpdyError(ConnectionError):
    """The peer broke the protocol; the session cannot go on."""


@dataclass(frozen=True, slots=True)
class SynStream:
    stream_id: int
    headers: Headers
    fin: bool = False


@dataclass(frozen=True, slots=True)
class SynReply:
    stream_id: int
    headers: Headers
    fin: bool = False


@dataclass(frozen=True, slots=True)
class RstStream:
    stream_id: int
    status: int


@dataclass(frozen=True, slots=True)
class Ping:
    ping_id: int


@dataclass(frozen=True, slots=True)
class Goaway:
    last_stream_id: int
    status: int = 0


@dataclass(frozen=True, slots=True)
class MoreHeaders:
    stream_id: int
    headers: Headers
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    """A piece of a stream; a long frame arrives as several pieces, the last of which may carry `fin`."""

    stream_id: int
    data: bytes
    fin: bool = False


Frame = SynStream | SynReply | RstStream | Ping | Goaway | MoreHeaders | Data


class Encoder:
    """Turns frames into bytes. The compression of headers has memory: one encoder per connection."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(level=6, zdict=DICTIONARY)

    def encode(self, frame: Frame) -> bytes:
        match frame:
            case Data(stream_id, data, fin):
                return _head(stream_id, FIN if fin else 0, len(data)) + data
            case SynStream(stream_id, headers, fin):
                payload = stream_id.to_bytes(4, "big") + bytes(6) + self._headers(headers)
                return _control(SYN_STREAM, payload, fin=fin)
            case SynReply(stream_id, headers, fin):
                return _control(SYN_REPLY, stream_id.to_bytes(4, "big") + self._headers(headers), fin=fin)
            case MoreHeaders(stream_id, headers, fin):
                return _control(HEADERS, stream_id.to_bytes(4, "big") + self._headers(headers), fin=fin)
            case RstStream(stream_id, status):
                return _control(RST_STREAM, stream_id.to_bytes(4, "big") + status.to_bytes(4, "big"))
            case Ping(ping_id):
                return _control(PING, ping_id.to_bytes(4, "big"))
            case Goaway(last_stream_id, status):
                return _control(GOAWAY, last_stream_id.to_bytes(4, "big") + status.to_bytes(4, "big"))

    def _headers(self, headers: Headers) -> bytes:
        values: dict[str, list[str]] = {}
        for name, value in headers:
            values.setdefault(name, []).append(value)
        block = len(values).to_bytes(4, "big")
        for name, given in values.items():
            block += _sized(name.encode("latin-1")) + _sized("\0".join(given).encode("latin-1", "replace"))
        return self._deflate.compress(block) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def _head(first: int, flags: int, size: int) -> bytes:
    return first.to_bytes(4, "big") + bytes((flags,)) + size.to_bytes(3, "big")


def _control(kind: int, payload: bytes, *, fin: bool = False) -> bytes:
    return _head(0x80000000 | VERSION << 16 | kind, FIN if fin else 0, len(payload)) + payload


class Decoder:
    """Turns bytes, however they are cut, into frames. Holds at most one control frame."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._data: tuple[int, bool] | None = None
        self._data_left = 0

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that `data` completes. Raises SpdyError; the decoder is of no use then."""
        self._buffer += data
        while True:
            if self._data is not None:
                stream_id, fin = self._data
                if self._data_left and not self._buffer:
                    return
                piece = bytes(self._buffer[: self._data_left])
                del self._buffer[: len(piece)]
                self._data_left -= len(piece)
                if not self._data_left:
                    self._data = None
                    yield Data(stream_id, piece, fin)
                else:
                    yield Data(stream_id, piece)
                continue
            if len(self._buffer) < 8:
                return
            first = int.from_bytes(self._buffer[:4], "big")
            flags = self._buffer[4]
            size = int.from_bytes(self._buffer[5:8], "big")
            if not first & 0x80000000:
                self._data = (first, bool(flags & FIN))
                self._data_left = size
                del self._buffer[:8]
                continue
            if (first >> 16) & 0x7FFF != VERSION:
                raise SpdyError("not SPDY version 3")
            if size > CONTROL_BYTES_MAX:
                raise SpdyError("control frame too long")
            if len(self._buffer) < 8 + size:
                return
            payload = bytes(self._buffer[8 : 8 + size])
            del self._buffer[: 8 + size]
            frame = self._control(first & 0xFFFF, bool(flags & FIN), payload)
            if frame is not None:
                yield frame

    def _control(self, kind: int, fin: bool, payload: bytes) -> Frame | None:
        match kind:
            case 1 if len(payload) >= 10:
                return SynStream(_id(payload), self._headers(payload[10:]), fin)
            case 2 if len(payload) >= 4:
                return SynReply(_id(payload), self._headers(payload[4:]), fin)
            case 8 if len(payload) >= 4:
                return MoreHeaders(_id(payload), self._headers(payload[4:]), fin)
            case 3 if len(payload) == 8:
                return RstStream(_id(payload), int.from_bytes(payload[4:], "big"))
            case 6 if len(payload) == 4:
                return Ping(int.from_bytes(payload, "big"))
            case 7 if len(payload) == 8:
                return Goaway(_id(payload), int.from_bytes(payload[4:], "big"))
            case 1 | 2 | 3 | 6 | 7 | 8:
                raise SpdyError(f"control frame {kind} of {len(payload)} bytes")
        return None  # SETTINGS, WINDOW_UPDATE, and what later versions may add.

    def _headers(self, block: bytes) -> Headers:
        try:
            text = self._inflate.decompress(block, HEADER_BYTES_MAX)
        except zlib.error as error:
            raise SpdyError(f"bad header compression: {error}") from error
        if self._inflate.unconsumed_tail:
            raise SpdyError("header block too long")
        return Headers(_pairs(text))


def _id(payload: bytes) -> int:
    return int.from_bytes(payload[:4], "big") & 0x7FFFFFFF


def _pairs(text: bytes) -> Iterable[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    fields: list[str] = []
    offset = 4
    count = int.from_bytes(text[:4], "big")
    while len(fields) < 2 * count:
        size = int.from_bytes(text[offset : offset + 4], "big")
        if offset + 4 + size > len(text):
            raise SpdyError("bad header block")
        fields.append(text[offset + 4 : offset + 4 + size].decode("latin-1"))
        offset += 4 + size
    for name, values in zip(fields[::2], fields[1::2], strict=True):
        pairs += [(name, value) for value in values.split("\0")]
    return pairs


class Stream:
    """One stream of a session: bytes both ways, each way with its own end."""

    def __init__(self, session: Session, stream_id: int, headers: Headers) -> None:
        self._session = session
        self.id = stream_id
        self.headers = headers
        self._chunks: deque[bytes] = deque()
        self._ended = False
        self._sent_end = False
        self._reset = False
        self._changed = asyncio.Event()
        self._replied = False

    async def read(self) -> bytes:
        """Return the next bytes; b"" when the peer has ended the stream. Raises ConnectionError on a reset,
        or when the session ended before the stream did."""
        while not self._chunks:
            if self._reset:
                raise ConnectionResetError("the stream was reset")
            if self._ended:
                return b""
            if self._session.closed:
                raise ConnectionResetError("the session has ended")
            self._changed.clear()
            await self._changed.wait()
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._session.consumed(len(data))
        return data

    async def write(self, data: bytes) -> None:
        """Send `data`, waiting while the connection is slow."""
        for start in range(0, len(data), DATA_BYTES):
            if self._reset or self._sent_end:
                raise ConnectionResetError("the stream is closed")
            await self._session.send(Data(self.id, data[start : start + DATA_BYTES]))

    async def end(self) -> None:
        """Say that no more will be written. Idempotent."""
        if not self._sent_end and not self._reset:
            self._sent_end = True
            await self._session.send(Data(self.id, b"", fin=True))
            self._session.forget_if_over(self)

    async def reset(self, status: int = RST_CANCEL) -> None:
        """Cut the stream both ways."""
        if not self._reset:
            self._reset = True
            await self._session.send(RstStream(self.id, status))
            self._session.forget_if_over(self)
            self._drop()

    async def reply(self) -> None:
        """Accept a stream that the peer opened."""
        await self._session.send(SynReply(self.id, Headers()))

    async def wait_reply(self) -> None:
        """Return when the peer has accepted the stream. Raises ConnectionError when it refused."""
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                while not self._replied:
                    if self._reset or self._session.closed:
                        raise ConnectionResetError("the stream was refused")
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise ConnectionError("no reply to a new stream") from None

    @property
    def over(self) -> bool:
        return self._reset or (self._ended and self._sent_end)

    # The session's side.

    def feed(self, data: bytes, *, fin: bool) -> int:
        """Take a piece; return how many bytes now wait to be read because of it."""
        if data and not self._ended and not self._reset:
            self._chunks.append(data)
        else:
            data = b""
        self._ended = self._ended or fin
        self._changed.set()
        return len(data)

    def feed_reply(self) -> None:
        self._replied = True
        self._changed.set()

    def feed_reset(self) -> None:
        # What came before stays readable: containerd writes how a command ended, then resets the stream.
        self._reset = True
        self._changed.set()

    def _drop(self) -> None:
        """Let go of what nobody will read, so that it does not hold up the session."""
        self._session.consumed(sum(map(len, self._chunks)))
        self._chunks.clear()
        self._changed.set()

    def wake(self) -> None:
        self._changed.set()


class Session:
    """SPDY over one raw connection. Streams live while `run` runs; it ends with the connection."""

    def __init__(self, raw: RawConnection, *, server: bool) -> None:
        self._raw = raw
        self._encoder = Encoder()
        self._decoder = Decoder()
        self._streams: dict[int, Stream] = {}
        self._next_id = 2 if server else 1
        self._peer_parity = 1 if server else 0
        self._last_peer_id = 0
        self._accepted: asyncio.Queue[Stream | None] = asyncio.Queue(STREAMS_MAX + 1)
        self._waiting_bytes = 0
        self._room = asyncio.Event()
        self.closed = False

    async def run(self) -> None:
        """Read frames until the connection ends; then every stream ends too. Never raises for the peer."""
        try:
            while data := await self._raw.read():
                for frame in self._decoder.feed(data):
                    await self._take(frame)
                while self._waiting_bytes > SESSION_BYTES_MAX and not self.closed:
                    self._room.clear()
                    await self._room.wait()
        except ConnectionError:
            pass
        finally:
            self.close()

    async def _take(self, frame: Frame) -> None:
        match frame:
            case Data(stream_id, data, fin):
                if stream := self._streams.get(stream_id):
                    self._waiting_bytes += stream.feed(data, fin=fin)
                    self.forget_if_over(stream)
            case SynStream(stream_id, headers, fin):
                await self._opened(stream_id, headers, fin)
            case SynReply(stream_id, _, fin):
                if stream := self._streams.get(stream_id):
                    stream.feed_reply()
                    stream.feed(b"", fin=fin)
            case MoreHeaders(stream_id, _, fin):
                if stream := self._streams.get(stream_id):
                    stream.feed(b"", fin=fin)
            case RstStream(stream_id, _):
                if stream := self._streams.pop(stream_id, None):
                    stream.feed_reset()
            case Ping(ping_id):
                # Ours carry our parity and need no answer; the peer's go back as they came.
                if ping_id % 2 == self._peer_parity:
                    await self.send(Ping(ping_id))
            case Goaway():
                pass  # No new streams from us then; the connection's end follows.

    async def _opened(self, stream_id: int, headers: Headers, fin: bool) -> None:
        if stream_id % 2 != self._peer_parity or stream_id <= self._last_peer_id:
            await self.send(RstStream(stream_id, RST_PROTOCOL_ERROR))
            raise SpdyError(f"bad id {stream_id} for a new stream")
        self._last_peer_id = stream_id
        if len(self._streams) >= STREAMS_MAX or self._accepted.full():
            await self.send(RstStream(stream_id, RST_REFUSED_STREAM))
            return
        stream = Stream(self, stream_id, headers)
        self._streams[stream_id] = stream
        stream.feed(b"", fin=fin)
        self._accepted.put_nowait(stream)

    async def open(self, headers: Headers) -> Stream:
        """Open a stream towards the peer; `wait_reply` on it tells whether the peer wants it."""
        if self.closed:
            raise ConnectionResetError("the session has ended")
        if len(self._streams) >= STREAMS_MAX:
            raise ConnectionError("too many streams")
        stream = Stream(self, self._next_id, headers)
        self._next_id += 2
        self._streams[stream.id] = stream
        await self.send(SynStream(stream.id, headers))
        return stream

    async def accept(self) -> Stream | None:
        """Return the next stream that the peer opened; None when the session has ended."""
        if self.closed and self._accepted.empty():
            return None
        return await self._accepted.get()

    async def send(self, frame: Frame) -> None:
        await self._raw.write(self._encoder.encode(frame))

    def consumed(self, size: int) -> None:
        self._waiting_bytes -= size
        if self._waiting_bytes <= SESSION_BYTES_MAX:
            self._room.set()

    def forget_if_over(self, stream: Stream) -> None:
        if stream.over:
            self._streams.pop(stream.id, None)

    def close(self) -> None:
        """End the session and its connection."""
        if not self.closed:
            self.closed = True
            for stream in self._streams.values():
                stream.wake()
            self._room.set()
            if not self._accepted.full():
                self._accepted.put_nowait(None)
            self._raw.close()
