"""watch over a WebSocket, for browsers: each event is one message, a text where it is JSON.

The watch itself knows only a `StreamWriter`; here is one that puts each write into a frame. What waits to be
sent is bounded as on any watch: the watcher looks at `buffered_bytes` and aborts a client that cannot follow.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from podium.base.http.message import RawConnection, StreamWriter
from podium.base.http.websocket import WebSocket

DRAINED_BYTES = 64 * 1024


async def serve(
    raw: RawConnection,
    watch: Callable[[StreamWriter], Awaitable[None]],
    message: Callable[[bytes], bytes | str] = bytes.decode,
) -> None:
    """Run `watch` over an accepted WebSocket until either side ends it.

    `message` makes a message of what a watch over HTTP would send for an event.
    """
    socket = WebSocket(raw, server=True)
    frames = _Frames(raw, message)
    sending = asyncio.create_task(frames.send_all(socket))
    receiving = asyncio.create_task(_until_closed(socket, frames))
    try:
        await watch(frames)
        await frames.flush()
        await socket.close()
    except ConnectionError:
        pass
    finally:
        for task in (sending, receiving):
            task.cancel()
        await asyncio.gather(sending, receiving, return_exceptions=True)
        raw.close()


async def _until_closed(socket: WebSocket, frames: _Frames) -> None:
    # A client has nothing to say on a watch; upstream reads and drops it too.
    try:
        while await socket.receive() is not None:
            pass
    finally:
        frames.gone()


class _Frames:
    """A `StreamWriter` whose writes become messages, in order."""

    def __init__(self, raw: RawConnection, message: Callable[[bytes], bytes | str]) -> None:
        self._raw = raw
        self._message = message
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._sent = asyncio.Event()
        self._gone = asyncio.Event()

    def write(self, data: bytes) -> None:
        if not self.closed:
            self._waiting.append(data)
            self._bytes += len(data)
            self._arrived.set()

    async def drain(self) -> None:
        await self._until_at_most(DRAINED_BYTES)

    async def flush(self) -> None:
        """Return once everything is sent. Raises ConnectionError when the client has left before."""
        await self._until_at_most(0)

    async def _until_at_most(self, size: int) -> None:
        while self._bytes > size:
            if self.closed:
                raise ConnectionResetError("the client has left")
            self._sent.clear()
            await self._sent.wait()

    @property
    def buffered_bytes(self) -> int:
        return self._bytes

    @property
    def closed(self) -> bool:
        return self._gone.is_set()

    async def wait_closed(self) -> None:
        await self._gone.wait()

    def abort(self) -> None:
        self.gone()
        self._raw.close()

    def gone(self) -> None:
        """The client has left: nothing more is sent, and whoever waits learns it."""
        self._gone.set()
        self._sent.set()

    async def send_all(self, socket: WebSocket) -> None:
        """Send what is written until cancelled or the client leaves."""
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._waiting:
                    data = self._waiting[0]
                    await socket.send(self._message(data))
                    self._waiting.popleft()
                    self._bytes -= len(data)
                    self._sent.set()
        except ConnectionError:
            self.gone()
