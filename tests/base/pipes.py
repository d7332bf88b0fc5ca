"""Two raw connections joined in memory, with back-pressure as a socket has it."""

from __future__ import annotations

import asyncio
from collections import deque

CAPACITY_BYTES = 128 * 1024


class Pipe:
    """One end; a `RawConnection`."""

    def __init__(self) -> None:
        self.other: Pipe
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._changed = asyncio.Event()
        self.closed = False

    async def read(self) -> bytes:
        while not self._chunks:
            if self.closed or self.other.closed:
                return b""
            await self._wait()
        data = self._chunks.popleft()
        self._size -= len(data)
        self.other._changed.set()
        return data

    async def write(self, data: bytes) -> None:
        if self.closed or self.other.closed:
            raise ConnectionResetError("closed")
        self.other._chunks.append(data)
        self.other._size += len(data)
        self.other._changed.set()
        while self.other._size > CAPACITY_BYTES:
            if self.closed or self.other.closed:
                raise ConnectionResetError("closed")
            await self._wait()

    async def _wait(self) -> None:
        self._changed = asyncio.Event() if self._changed.is_set() else self._changed
        await self._changed.wait()

    def close(self) -> None:
        self.closed = True
        self._changed.set()
        self.other._changed.set()


def pipe() -> tuple[Pipe, Pipe]:
    near, far = Pipe(), Pipe()
    near.other, far.other = far, near
    return near, far
