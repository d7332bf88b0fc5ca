"""Load for `bench.api`: connections that ask again once they are answered, watchers, a process's figures."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

Make = Callable[[], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Where a server is, and how to be believed there."""

    port: int
    context: ssl.SSLContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process as /proc shows it."""

    pid: int

    def cpu_s(self) -> float:
        """Return the processor time of its threads, to the nanosecond where the kernel tells."""
        try:
            return (
                sum(
                    int(path.read_text().split()[0])
                    for path in Path(f"/proc/{self.pid}/task").glob("*/schedstat")
                )
                / 1e9
            )
        except (OSError, IndexError):
            text = Path(f"/proc/{self.pid}/stat").read_text()
            user, system = text.rpartition(")")[2].split()[11:13]
            return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Return its resident memory."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0


def request(method: str, target: str, body: bytes = b"", *, token: str = "") -> bytes:
    head = f"{method} {target} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n"
    if token:
        head += f"authorization: Bearer {token}\r\n"
    if body:
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class _Reading(asyncio.BufferedProtocol):
    """Reads into one buffer for all: what asyncio would make for each read costs the client more than TLS."""

    _inbox = memoryview(bytearray(256 * 1024))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._inbox

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._inbox[:nbytes]))

    def data_received(self, data: bytes) -> None:
        raise NotImplementedError


class Connection(_Reading):
    """One keep-alive connection; one request at a time. Fails loudly on what is no success."""

    may_be_refused = False
    """429 is an answer too; `refused` counts them."""
    refused = 0

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._head = b""
        self._got = 0
        self._whole = 0
        self._status = 0
        self._answered: asyncio.Future[int] | None = None
        self._kept: bytes | None = None
        self._closed = False
        self._again: Callable[[Connection], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._kept is not None:
            self._kept += data
        if not self._whole:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            self._status = int(self._head[9:12])
            head = self._head[:end].lower()
            place = head.find(b"content-length: ")
            length = int(head[place + 16 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
            self._whole, self._got = end + 4 + length, len(self._head)
            if self._status == 429 and self.may_be_refused:
                self.refused += 1
            elif self._status >= 400:
                raise AssertionError(self._head.decode())
            self._head = b""
        else:
            self._got += len(data)
        if self._got >= self._whole:
            size, self._whole = self._whole, 0
            if self._again is not None:
                self._again(self)
            elif self._answered is not None:
                self._answered.set_result(size)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(ConnectionResetError("the server closed the connection"))

    async def send(self, data: bytes) -> int:
        """Return the size of the answer."""
        if self._closed:
            raise ConnectionResetError("the server closed the connection")
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        try:
            return await self._answered
        finally:
            self._answered = None

    async def text(self, data: bytes) -> str:
        """Return the body of a short answer."""
        self._kept = b""
        await self.send(data)
        body, self._kept = self._kept or b"", None
        return body.partition(b"\r\n\r\n")[2].decode()

    def loop(self, make: Make, again: Callable[[Connection], None] | None) -> None:
        self._again = again
        if again is not None:
            self._transport.write(make())

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def close(self) -> None:
        self._transport.abort()


async def connect(client: Client) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(
        Connection, "127.0.0.1", client.port, ssl=client.context, server_hostname="localhost"
    )
    return connection


async def closed_loop(
    connections: Sequence[Connection],
    make: Make,
    *,
    seconds: float = 0.0,
    count: int = 0,
    progress: list[int] | None = None,
) -> int:
    """Keep every connection busy, for a time or until `count` answers; return how many there were.

    `progress` holds, at any moment, how many there are so far.
    """
    done = 0
    asked = 0
    idle = 0
    finished = asyncio.get_running_loop().create_future()
    end = time.perf_counter() + seconds

    def again(connection: Connection) -> None:
        nonlocal done, asked, idle
        done += 1
        if progress is not None:
            progress[0] = done
        if (asked < count) if count else (time.perf_counter() < end):
            asked += 1
            connection.write(make())
            return
        idle += 1
        if idle == len(connections):
            finished.set_result(None)

    for connection in connections:
        asked += 1
        connection.loop(make, again)
    await finished
    for connection in connections:
        connection.loop(make, None)
    return done


class _Watcher(_Reading):
    """Counts events; the n-th event of each watcher is the n-th write."""

    def __init__(self, data: bytes, arrived: list[list[float]], ready: Callable[[], None]) -> None:
        self._request = data
        self._arrived = arrived
        self._ready: Callable[[], None] | None = ready
        self._seen = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._ready is not None:
            self._ready()
            self._ready = None
        count = data.count(b'{"type":"MODIFIED"')
        if count:
            now = time.perf_counter()
            for index in range(self._seen, self._seen + count):
                slot = self._arrived[index]
                slot[0] += 1
                slot[1] = now
            self._seen += count


@contextlib.asynccontextmanager
async def watchers(
    client: Client, count: int, target: str, arrived: list[list[float]]
) -> AsyncIterator[None]:
    """Hold `count` watches; `arrived` says of each write how many have seen it and when the last one did."""
    loop = asyncio.get_running_loop()
    transports: list[asyncio.BaseTransport] = []
    ready = 0
    all_ready = loop.create_future()

    def one_ready() -> None:
        nonlocal ready
        ready += 1
        if ready == count:
            all_ready.set_result(None)

    try:
        for start in range(0, count, 50):
            made = await asyncio.gather(
                *(
                    loop.create_connection(
                        lambda: _Watcher(request("GET", target), arrived, one_ready),
                        "127.0.0.1",
                        client.port,
                        ssl=client.context,
                        server_hostname="localhost",
                    )
                    for _ in range(start, min(count, start + 50))
                )
            )
            transports += [transport for transport, _ in made]
        await all_ready
        yield
    finally:
        for transport in transports:
            cast(asyncio.Transport, transport).abort()
