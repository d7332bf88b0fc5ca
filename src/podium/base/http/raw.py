"""A connection after its upgrade, on either side: bytes in and out with back-pressure both ways."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

from podium.base.http.message import RawConnection

READ_HIGH_BYTES = 256 * 1024
READ_LOW_BYTES = 64 * 1024


class Flow:
    """Whether a transport takes more bytes; the protocol reports, writers wait."""

    __slots__ = ("_lost", "_waiters", "paused")

    def __init__(self) -> None:
        self.paused = False
        """The transport's buffer is full. An attribute, for a thousand streams look at it for each event."""
        self._lost = False
        self._waiters: deque[asyncio.Future[None]] = deque()

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        self._wake()

    def lose(self) -> None:
        self._lost = True
        self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    async def ready(self) -> None:
        """Return when the transport takes bytes. Raises ConnectionError when it is gone."""
        while self.paused and not self._lost:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        if self._lost:
            raise ConnectionResetError("the peer closed the connection")


class RawPipe:
    """`RawConnection` over an asyncio transport whose protocol feeds it.

    At most READ_HIGH_BYTES (and one read of the transport) wait to be read: then the transport rests.
    """

    __slots__ = ("_chunks", "_ended", "_flow", "_paused", "_size", "_transport", "_waiter")

    def __init__(self, transport: asyncio.Transport, flow: Flow) -> None:
        self._transport = transport
        self._flow = flow
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> None:
        """Take bytes from the protocol."""
        self._chunks.append(data)
        self._size += len(data)
        if self._size > READ_HIGH_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def feed_end(self) -> None:
        """The peer sends no more."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self) -> bytes:
        while not self._chunks:
            if self._ended:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        data = self._chunks.popleft() if len(self._chunks) == 1 else self._take_all()
        self._size -= len(data)
        if self._paused and self._size < READ_LOW_BYTES:
            self._paused = False
            # The transport may have closed meanwhile: then there is nothing to resume.
            with contextlib.suppress(RuntimeError):
                self._transport.resume_reading()
        return data

    def _take_all(self) -> bytes:
        data = b"".join(self._chunks)
        self._chunks.clear()
        return data

    async def write(self, data: bytes) -> None:
        if self._transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        if data:
            self._transport.write(data)
        await self._flow.ready()

    def close(self) -> None:
        if not self._transport.is_closing():  # asyncio's transport over TLS falls apart when closed twice.
            self._transport.close()


async def splice(a: RawConnection, b: RawConnection) -> None:
    """Carry bytes both ways until either side ends, then close both."""

    async def carry(source: RawConnection, sink: RawConnection) -> None:
        try:
            while data := await source.read():
                await sink.write(data)
        except ConnectionError:
            pass  # The other direction sees the same end.

    tasks = [asyncio.ensure_future(carry(a, b)), asyncio.ensure_future(carry(b, a))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        a.close()
        b.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
