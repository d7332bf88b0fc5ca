"""Standard output as the audit log. Its reader may be slow, or gone: the event loop must not wait for it."""

from __future__ import annotations

import asyncio
import os
import select

from podium.base.tasks import in_task

PIECE_BYTES = select.PIPE_BUF if hasattr(select, "PIPE_BUF") else 512
"""A pipe that is writable takes so much at once."""
WRITE_WITHIN_S = 10.0
"""A line that takes longer is lost."""


class Stdout:
    """Lines to a file descriptor, one after the other."""

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd
        self._lock = asyncio.Lock()
        self._broken = b""
        """What ends a line that was cut off."""

    async def write(self, line: bytes) -> None:
        # Most often there is room: then nothing is waited for, not even the lock.
        if not self._lock.locked() and len(line) <= PIECE_BYTES and not self._broken and self._writable():
            os.write(self._fd, line)
            return
        await in_task()
        try:
            async with asyncio.timeout(WRITE_WITHIN_S), self._lock:
                await self._write_all(self._broken + line)
        except TimeoutError:
            raise OSError("nobody reads the standard output") from None

    async def close(self) -> None:
        """Standard output stays open; others use it too."""

    async def _write_all(self, data: bytes) -> None:
        while data:
            while not self._writable():
                await self._until_writable()
            written = os.write(self._fd, data[:PIECE_BYTES])
            data = data[written:]
            self._broken = b"\n"
        self._broken = b""

    def _writable(self) -> bool:
        if os.name == "nt":
            return True  # There only sockets can be asked.
        return bool(select.select((), (self._fd,), (), 0)[1])

    async def _until_writable(self) -> None:
        loop = asyncio.get_running_loop()
        writable = asyncio.Event()
        loop.add_writer(self._fd, writable.set)
        try:
            await writable.wait()
        finally:
            loop.remove_writer(self._fd)
