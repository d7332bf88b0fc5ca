"""The body of a streamed response, as its handler writes it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from podium.base.http import wire

if TYPE_CHECKING:
    from podium.base.http.connection import Connection

STREAM_FLUSH_BYTES = 256 * 1024
"""A turn of the loop that writes more than this sends it in several pieces."""


class Stream:
    """The `StreamWriter` of a response: what one turn of the loop writes leaves as one chunk."""

    __slots__ = (
        "_chunked",
        "_connection",
        "_gone",
        "_head",
        "_pending",
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
        self._transport = transport
        self._head = head
        self._chunked = chunked
        self._remaining = length
        """What is still owed of a length that the handler announced."""
        self._pending: list[bytes] = []
        self._size = 0
        self._gone = False
        self._told = False
        self._waiters: list[asyncio.Future[None]] = []
        # The head leaves with what the first turn writes, or alone.
        self._scheduled = True
        connection.server.loop.call_soon(self._flush)

    def write(self, data: bytes) -> None:
        if self._gone or not data:
            return
        self._pending.append(data)
        self._size += len(data)
        if self._size >= STREAM_FLUSH_BYTES:
            self._send()
        elif not self._scheduled:
            self._scheduled = True
            self._connection.server.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        if self._pending or self._head:
            self._send()

    def _send(self, tail: bytes = b"") -> None:
        parts = [self._head] if self._head else []
        if self._pending:
            if self._remaining is not None:
                self._remaining -= self._size
            if self._chunked:
                parts.append(f"{self._size:x}\r\n".encode())
                parts += self._pending
                parts.append(b"\r\n")
            else:
                parts += self._pending
        self._pending = []
        self._size = 0
        self._head = b""
        if tail:
            parts.append(tail)
        if parts and not self._transport.is_closing():
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    async def drain(self) -> None:
        if self._size:
            self._send()
        if self._gone:
            raise ConnectionResetError("the peer closed the connection")
        await self._connection.flow.ready()

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
