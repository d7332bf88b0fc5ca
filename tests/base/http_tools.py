"""What the HTTP tests share: a server on loopback, and a peer that sends exactly the bytes it is told to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import uvloop

from podium.base.http.client import HttpTransport
from podium.base.http.message import Handler
from podium.base.http.server import Server
from tests.base.certs import authority

T = TypeVar("T")
PATIENCE_S = 10.0


def run(main: Awaitable[T], *, uv: bool = False, patience_s: float = 3 * PATIENCE_S) -> T:
    """Run a coroutine on a fresh loop, plain or uvloop's, for a bounded time."""

    async def bounded() -> T:
        async with asyncio.timeout(patience_s):
            return await main

    if uv:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(bounded())
    return asyncio.run(bounded())


@asynccontextmanager
async def serving(handler: Handler, *, tls: bool = False, **options: Any) -> AsyncIterator[Server]:
    server = Server(handler, **options)
    await server.start("127.0.0.1", 0, authority().server_context() if tls else None)
    try:
        yield server
    finally:
        await server.stop()


def url(server: Server) -> str:
    return f"{'https' if server.tls else 'http'}://127.0.0.1:{server.port}"


@asynccontextmanager
async def transport_to(
    server: Server, *, ssl_context: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[HttpTransport]:
    context = (ssl_context or authority().client_context()) if server.tls else None
    transport = HttpTransport(url(server), ssl_context=context, **options)
    try:
        yield transport
    finally:
        await transport.close()


class Peer:
    """A raw client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def until(self, mark: bytes) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.readuntil(mark)

    async def rest(self) -> bytes:
        """Return everything until the server closes."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read()

    async def answer(self) -> tuple[int, bytes]:
        """Return status and body of one answer with a Content-Length."""
        head = (await self.until(b"\r\n\r\n")).decode()
        status = int(head.split(" ", 2)[1])
        lengths = [x for x in head.lower().split("\r\n") if x.startswith("content-length:")]
        size = int(lengths[0].partition(":")[2]) if lengths else 0
        async with asyncio.timeout(PATIENCE_S):
            return status, await self.reader.readexactly(size)


@asynccontextmanager
async def peer_of(server: Server) -> AsyncIterator[Peer]:
    context = authority().client_context() if server.tls else None
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


Callback = Callable[[], Awaitable[None]]
