"""Load for `bench.api`: connections that ask again once they are answered, watchers, a process's figures."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

T = TypeVar("T")
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


class _Watcher:
    """A watch whose events are noted as they arrive and read later.

    Server and client share a machine: a client that decrypts a thousand streams while it measures would take
    so much of it that it measures itself. While events arrive, only bytes and times are kept, and nobody
    sleeps for them: waking the sleeper would cost the server as much as sending.
    """

    _inbox = memoryview(bytearray(256 * 1024))

    def __init__(self, context: ssl.SSLContext) -> None:
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._coming, self._going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._coming, self._going, server_hostname="localhost")
        self._heard: list[tuple[float, bytes]] = []
        self._seen = 0
        self.heard_at = 0.0

    async def open(self, port: int, data: bytes) -> None:
        """Connect, send the request `data`, and return once the answer has begun."""
        await asyncio.get_running_loop().sock_connect(self._socket, ("127.0.0.1", port))
        await self._shaken(self._tls.do_handshake)
        self._tls.write(data)
        begun = await self._shaken(lambda: self._tls.read(65536))
        self._seen -= begun.count(_EVENT)
        self._count(time.perf_counter(), [])

    async def _shaken(self, step: Callable[[], T]) -> T:
        """Return what `step` does, once the peer has said enough for it."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                await self._flush()
                self._coming.write(await loop.sock_recv(self._socket, 65536))
            finally:
                await self._flush()

    async def _flush(self) -> None:
        if self._going.pending:
            await asyncio.get_running_loop().sock_sendall(self._socket, self._going.read())

    def fileno(self) -> int:
        return self._socket.fileno()

    def hear(self, at: float) -> None:
        """Keep what has come until now."""
        length = self._socket.recv_into(self._inbox)
        if not length:
            raise AssertionError("the server closed a watch")
        self.heard_at = at
        self._heard.append((at, bytes(self._inbox[:length])))

    def read(self, arrived: list[list[float]]) -> None:
        """Note in `arrived` which events came when: the n-th event of each watcher is the n-th write."""
        heard, self._heard = self._heard, []
        for at, data in heard:
            self._coming.write(data)
            self._count(at, arrived)

    def _count(self, at: float, arrived: list[list[float]]) -> None:
        while True:
            try:
                plain = self._tls.read(65536)
            except ssl.SSLWantReadError:
                return
            count = plain.count(_EVENT)
            for slot in arrived[self._seen : self._seen + count]:
                slot[0] += 1
                slot[1] = max(slot[1], at)
            self._seen += count

    def close(self) -> None:
        self._socket.close()


_EVENT = b'{"type":"MODIFIED"'
_QUIET_S = 0.3
_LOOK_S = 0.001
"""How often watches are looked at: so much too late an event may seem to have come."""


class Watchers:
    """Many watches of one resource."""

    def __init__(self) -> None:
        self._watchers: dict[int, _Watcher] = {}
        self._poll = select.epoll()
        self._listening: asyncio.Task[None] | None = None

    async def open(self, client: Client, count: int, target: str) -> None:
        made = [_Watcher(client.context) for _ in range(count)]
        self._watchers |= {one.fileno(): one for one in made}
        for start in range(0, count, 50):
            await asyncio.gather(
                *(one.open(client.port, request("GET", target)) for one in made[start : start + 50])
            )
        for one in made:
            self._poll.register(one.fileno(), select.EPOLLIN)
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        while True:
            for number, _ in self._poll.poll(0):
                self._watchers[number].hear(time.perf_counter())
            await asyncio.sleep(_LOOK_S)

    async def read(self, arrived: list[list[float]]) -> None:
        """Wait until nothing more comes; then say of each write how many have seen it, and when last."""
        assert self._listening is not None
        while time.perf_counter() - max(one.heard_at for one in self._watchers.values()) < _QUIET_S:
            await asyncio.sleep(_QUIET_S / 3)
            if self._listening.done():
                self._listening.result()
        for one in self._watchers.values():
            one.read(arrived)

    def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        for one in self._watchers.values():
            one.close()
        self._poll.close()


@contextlib.asynccontextmanager
async def watchers(client: Client, count: int, target: str) -> AsyncIterator[Watchers]:
    """Hold `count` watches."""
    held = Watchers()
    try:
        await held.open(client, count, target)
        yield held
    finally:
        held.close()
