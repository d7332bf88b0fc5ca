"""The body of a streamed response, as its handler writes it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from time import perf_counter
from typing import TYPE_CHECKING

from podium.base.http import wire

if TYPE_CHECKING:
    from podium.base.http.connection import Connection

STREAM_FLUSH_BYTES = 256 * 1024
"""A turn of the loop that writes more than this sends it in several pieces."""
FLUSHES_A_TURN = 32
"""After so many streams, others get their turn of the loop: a write needs several, and waits for each."""
REST = 0.25
"""How long streams wait now and then, as a part of what their turns took. What is written to them meanwhile
leaves in the same piece: with a thousand watchers, sending costs more than what is sent."""
REST_MIN_S = 0.001
"""The loop's timers know no less."""


class Outbox:
    """The streams of one server that have something to send: one callback of the loop serves them all."""

    __slots__ = ("_chunk", "_chunked", "_loop", "_rest_s", "_streams")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._streams: deque[Stream] = deque()
        self._rest_s = 0.0
        """What others are owed."""
        self._chunked: list[bytes] = []
        self._chunk = b""

    def flush_soon(self, stream: Stream) -> None:
        """Call `stream.flush` in the loop's next turn."""
        if not self._streams:
            self._loop.call_soon(self._flush)
        self._streams.append(stream)

    def flush_all_soon(self, streams: list[Stream]) -> None:
        """As `flush_soon`, for each of them."""
        if streams and not self._streams:
            self._loop.call_soon(self._flush)
        self._streams.extend(streams)

    def _flush(self) -> None:
        streams = self._streams
        started = perf_counter()
        try:
            for _ in range(min(FLUSHES_A_TURN, len(streams))):
                streams.popleft().flush()
        finally:
            if streams:
                self._rest_s += (perf_counter() - started) * REST
                if self._rest_s < REST_MIN_S:
                    self._loop.call_soon(self._flush)
                else:
                    self._loop.call_later(self._rest_s, self._flush)
                    self._rest_s = 0.0

    def chunk(self, pieces: list[bytes], size: int) -> bytes:
        """Return `pieces`, of `size` bytes together, as one chunk. Thousands of streams in a row may send the
        same pieces: their chunk is made once."""
        # Comparing costs nothing where they are the same objects, and little where they are not.
        if pieces != self._chunked:
            self._chunked = pieces
            self._chunk = b"%x\r\n%b\r\n" % (size, b"".join(pieces))
        return self._chunk


class Stream:
    """The `StreamWriter` of a response: what one turn of the loop writes leaves as one chunk."""

    __slots__ = (
        "_chunked",
        "_connection",
        "_flow",
        "_gone",
        "_head",
        "_outbox",
        "_pending",
        "_plain",
        "_remaining",
        "_scheduled",
        "_size",
        "_told",
        "_transport",
        "_waiters",
    )

    def __init__(
        self,
        connection: Connection,
        transport: asyncio.Transport,
        head: bytes,
        *,
        chunked: bool,
        length: int | None,
    ) -> None:
        self._connection = connection
        self._flow = connection.flow
        self._transport = transport
        self._head = head
        self._chunked = chunked
        self._remaining = length
        """What is still owed of a length that the handler announced."""
        self._plain = chunked and length is None
        self._pending: list[bytes] = []
        self._size = 0
        self._gone = False
        self._told = False
        self._waiters: list[asyncio.Future[None]] = []
        # The head leaves with what the first turn writes, or alone.
        self._scheduled = True
        self._outbox = connection.server.outbox
        self._outbox.flush_soon(self)

    @staticmethod
    def write_to_all(streams: Iterable[Stream], data: bytes) -> list[Stream]:
        """Write `data`, which is not empty, to each of `streams`; return those whose peers read slowly.

        One loop for all: with a thousand watchers, a call for each would cost more than what it does.
        """
        slow: list[Stream] = []
        unscheduled: list[Stream] = []
        length = len(data)
        for stream in streams:
            if stream._gone:
                continue
            stream._pending.append(data)
            stream._size = size = stream._size + length
            if size >= STREAM_FLUSH_BYTES:
                stream._send()
            elif not stream._scheduled:
                stream._scheduled = True
                unscheduled.append(stream)
            if stream._flow.paused:
                slow.append(stream)
        if unscheduled:
            # They may come by several ports of one server: any of their outboxes serves them all.
            unscheduled[0]._outbox.flush_all_soon(unscheduled)
        return slow

    def write(self, data: bytes) -> None:
        if self._gone or not data:
            return
        self._pending.append(data)
        self._size += len(data)
        if self._size >= STREAM_FLUSH_BYTES:
            self._send()
        elif not self._scheduled:
            self._scheduled = True
            self._outbox.flush_soon(self)

    def flush(self) -> None:
        """Send what the turn of the loop that is over wrote."""
        self._scheduled = False
        if self._head or not self._plain:
            if self._pending or self._head:
                self._send()
            return
        # As `_send` does, without what only other streams need: thousands of watchers come by here at once.
        pending = self._pending
        if pending:
            data = self._outbox.chunk(pending, self._size)
            self._pending = []
            self._size = 0
            if not self._transport.is_closing():
                self._transport.write(data)

    def _send(self, tail: bytes = b"") -> None:
        pending, size, head = self._pending, self._size, self._head
        self._pending = []
        self._size = 0
        self._head = b""
        data = b""
        if pending:
            if self._remaining is not None:
                self._remaining -= size
            if self._chunked:
                data = self._outbox.chunk(pending, size)
            else:
                data = pending[0] if len(pending) == 1 else b"".join(pending)
        if head or tail:
            data = head + data + tail
        if data and not self._transport.is_closing():
            self._transport.write(data)

    async def drain(self) -> None:
        if self._size:
            self._send()
        if self._gone:
            raise ConnectionResetError("the peer closed the connection")
        await self._flow.ready()

    @property
    def buffered_bytes(self) -> int:
        return self._size + self._transport.get_write_buffer_size()

    @property
    def closed(self) -> bool:
        return self._gone or self._transport.is_closing()

    async def wait_closed(self) -> None:
        if self._told or self.closed:
            return
        waiter = self._connection.server.loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            self._waiters.remove(waiter)

    def abort(self) -> None:
        self._gone = True
        self._transport.abort()
        self.lose()

    def lose(self, *, peer: bool = True) -> None:
        """The peer is gone, or (`peer` false) the server is stopping and the stream should end."""
        self._gone = self._gone or peer
        self._told = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def end(self) -> None:
        """Send what is left and the body's end."""
        if self._transport.is_closing():
            return
        self._send(wire.CHUNK_END if self._chunked else b"")
        if self._remaining:
            # The peer would take the next answer for the rest of this one, or the rest for an answer.
            self._transport.abort()
