"""A request's body as it arrives at the server: held so far, asked for, complete or broken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from podium.base.http.message import BodyTooLarge

if TYPE_CHECKING:
    from podium.base.http.connection import Connection

UNREAD_BODY_BYTES_MAX = 64 * 1024
"""What may arrive of a body before its handler asks for it."""


class Body:
    """A request's body as it arrives."""

    __slots__ = (
        "_buffer",
        "_connection",
        "_error",
        "_paused",
        "_wanted",
        "complete",
        "expect",
        "length",
    )

    def __init__(self, connection: Connection, *, length: int | None, expect: bool) -> None:
        self._connection = connection
        # One buffer: as many pieces as a peer cares to make of a body would cost many times its size.
        self._buffer = bytearray()
        self._error: Exception | None = None
        self._paused = False
        self._wanted: asyncio.Future[None] | None = None
        self.length = length
        """What Content-Length says; None when chunked."""
        self.expect = expect
        """The peer waits for `100 Continue`."""
        self.complete = False

    @classmethod
    def of(cls, connection: Connection, data: bytes) -> Body:
        """Return a body that has arrived as a whole."""
        body = cls(connection, length=len(data), expect=False)
        body._buffer += data
        body.complete = True
        return body

    def feed(self, data: bytes) -> None:
        self._buffer += data
        if self._wanted is None:
            if len(self._buffer) > UNREAD_BODY_BYTES_MAX and not self._paused:
                self._paused = True
                self._connection.pause_reading()
        else:
            self._wake()

    def finish(self) -> None:
        self.complete = True
        if self._paused:
            # All of it came at once, and nobody will ask for more: what follows has to be read.
            self._paused = False
            self._connection.resume_reading()
        self._wake()

    @property
    def awaited(self) -> bool:
        """The handler waits for more of it."""
        return self._wanted is not None

    def fail(self, error: Exception) -> None:
        if not self.complete and self._error is None:
            self._error = error
            self._wake()

    def _wake(self) -> None:
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)

    async def _more(self) -> None:
        """Return when more has arrived, or all, or raise what went wrong."""
        if self.expect and not self._buffer:
            self.expect = False
            self._connection.send_continue()
        if self._paused:
            self._paused = False
            self._connection.resume_reading()
        connection, server = self._connection, self._connection.server
        self._wanted = server.loop.create_future()
        connection.deadline = server.loop.time() + server.body_timeout_s
        try:
            await self._wanted
        finally:
            self._wanted = None
            connection.deadline = 0.0
        if self._error is not None:
            raise self._error

    async def read(self) -> bytes:
        limit = self._connection.server.body_bytes_max
        if self.length is not None and self.length > limit:
            self._connection.end_after_answer()
            raise BodyTooLarge(limit)
        while not self.complete:
            if len(self._buffer) > limit:
                break
            if self._error is not None:
                raise self._error
            await self._more()
        if len(self._buffer) > limit:
            self._connection.end_after_answer()
            raise BodyTooLarge(limit)
        return self._take()

    async def read_chunk(self) -> bytes:
        while not self._buffer and not self.complete:
            if self._error is not None:
                raise self._error
            await self._more()
        return self._take()

    def _take(self) -> bytes:
        data = bytes(self._buffer)
        self._buffer.clear()
        return data
