"""Requests per second over TLS on 64 kept-alive connections: Podium's server beside the barest responder.

    python bench/http_server.py [--seconds 3] [--connections 64] [--body 3400]

The bare responder parses with httptools and writes a prepared answer: no routing, no limits, no task. What
Podium's server reaches of it is the price of those. Both run in a process of their own, on uvloop, and are
loaded by the same client. On a busy machine the rate says little; the processor time of a request still does.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import ssl
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import httptools
import uvloop

# Run as a script, this file's folder is searched first, and its name would hide the standard library's http.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from tests.base.certs import Authority, Pair  # noqa: E402

from podium.base.http.message import Headers, Request, Response  # noqa: E402
from podium.base.http.server import Server  # noqa: E402

REQUEST = (
    b"GET /api/v1/namespaces/default/pods/p HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"
)


class Bare(asyncio.Protocol):
    """The least a responder can do."""

    answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(self.answer)


async def _serve(kind: str, body: bytes, context: ssl.SSLContext, pipe: Connection) -> None:
    if kind == "bare":
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        Bare.answer = head.encode() + body
        listener = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", 0, ssl=context)
        pipe.send(listener.sockets[0].getsockname()[1])
    else:

        async def handler(_request: Request) -> Response:
            return Response(headers=Headers([("content-type", "application/json")]), body=body)

        server = Server(handler)
        await server.start("127.0.0.1", 0, context)
        pipe.send(server.port)
    before = resource.getrusage(resource.RUSAGE_SELF)
    await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    pipe.send((cpu_s, after.ru_maxrss // 1024))


def serve(kind: str, size: int, certificate: bytes, key: bytes, pipe: Connection) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    Pair(certificate, key).load_into(context)
    uvloop.run(_serve(kind, b"x" * size, context, pipe))


class Load(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, counts: list[int], size: int) -> None:
        self._counts = counts
        self._size = size
        self._got = 0
        self._whole = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        if not self._whole:
            self._whole = data.index(b"\r\n\r\n") + 4 + self._size
        self._got += len(data)
        if self._got >= self._whole:
            self._got = self._whole = 0
            self._counts[0] += 1
            self._transport.write(REQUEST)


async def _load(
    port: int, context: ssl.SSLContext, connections: int, seconds: float, size: int
) -> tuple[float, int]:
    """Return requests per second, and how many there were with those of the warm-up."""
    loop = asyncio.get_running_loop()
    counts = [0]
    transports: list[Any] = []
    for _ in range(connections):
        transport, _protocol = await loop.create_connection(
            lambda: Load(counts, size), "127.0.0.1", port, ssl=context, server_hostname="localhost"
        )
        transports.append(transport)
    await asyncio.sleep(0.3)
    warm, started = counts[0], time.perf_counter()
    await asyncio.sleep(seconds)
    rate = (counts[0] - warm) / (time.perf_counter() - started)
    for transport in transports:
        transport.abort()
    return rate, counts[0]


@dataclass(frozen=True, kw_only=True)
class Measured:
    rate: float
    cpu_us: float
    """The server's processor time for one request."""
    memory_mb: int


def measure(kind: str, arguments: argparse.Namespace, authority: Authority) -> Measured:
    ours, theirs = multiprocessing.Pipe()
    pair = authority.issue("localhost")
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(kind, arguments.body, pair.certificate, pair.key, theirs)
    )
    process.start()
    try:
        port = ours.recv()
        context = authority.client_context()
        rate, count = uvloop.run(
            _load(port, context, arguments.connections, arguments.seconds, arguments.body)
        )
        ours.send(None)
        cpu_s, memory_mb = ours.recv()
        return Measured(rate=rate, cpu_us=cpu_s / count * 1e6, memory_mb=memory_mb)
    finally:
        process.join(5)
        process.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--body", type=int, default=3400, help="bytes in each answer; a pod has about 3,400")
    arguments = parser.parse_args()
    authority = Authority()
    best: dict[str, Measured] = {}
    for kind in ("bare", "podium", "bare", "podium"):
        measured = measure(kind, arguments, authority)
        print(
            f"{kind:7} {measured.rate:9,.0f} requests/s {measured.cpu_us:7.1f} us of CPU a request "
            f"{measured.memory_mb:5} MB"
        )
        if kind not in best or measured.cpu_us < best[kind].cpu_us:
            best[kind] = measured
    print(f"podium: {best['podium'].cpu_us / best['bare'].cpu_us:.2f} times the bare responder's CPU")
    return 0


if __name__ == "__main__":
    sys.exit(main())
