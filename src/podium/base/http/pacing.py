"""Long bodies leave in pieces, and only so many pieces in one turn of the loop, whoever sends them."""

from __future__ import annotations

import asyncio
from collections import deque

PIECES_A_TURN = 4
"""Of `WRITE_BYTES`: a megabyte over TLS takes the loop about a millisecond."""


class Pacer:
    """Lets the senders of one server take turns."""

    __slots__ = ("_left", "_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._left = PIECES_A_TURN
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def turn(self) -> None:
        """Return when one more piece may be sent."""
        if self._left == PIECES_A_TURN:
            self._loop.call_soon(self._next_turn)
        if self._left and not self._waiting:
            self._left -= 1
            return
        waiter = self._loop.create_future()
        self._waiting.append(waiter)
        await waiter

    def _next_turn(self) -> None:
        self._left = PIECES_A_TURN
        while self._left and self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():  # Or else its sender was cancelled.
                waiter.set_result(None)
                self._left -= 1
        if self._left < PIECES_A_TURN:
            self._loop.call_soon(self._next_turn)
