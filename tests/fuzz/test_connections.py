"""A real server process and peers that misbehave: many, idle, slow, gone, or saying two things at once."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.wire.server import Running, running

pytestmark = pytest.mark.fuzz

PATIENCE_S = 60.0
IDLE_CONNECTIONS = 10_000
GROWTH_BYTES_MAX = 160 * 1024 * 1024
"""What a handful of hostile peers may cost the server, whatever they do."""
CONNECTION_BYTES_MAX = 64 * 1024
"""What one may cost that does nothing; most of it is OpenSSL's."""
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("apiserver")) as started:
        yield started


def context(server: Running) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(server.ca_file))
    made.check_hostname = False
    return made


def resident_bytes(server: Running) -> int:
    for line in Path(f"/proc/{server.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def open_files(server: Running) -> int:
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


class Peer:
    """One TLS connection that sends exactly what it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @staticmethod
    async def to(server: Running, trust: ssl.SSLContext) -> Peer:
        return Peer(*await asyncio.open_connection("127.0.0.1", server.port, ssl=trust))

    def send(self, method: str, target: str, body: bytes = b"", *, headers: str = "") -> None:
        self.writer.write(
            f"{method} {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer replay\r\n{headers}"
            f"Content-Length: {len(body)}\r\nContent-Type: application/json\r\n\r\n".encode()
            + body
        )

    async def answer(self) -> tuple[int, bytes]:
        """Return the next response's status and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return int(head.split(b" ", 2)[1]), await self.reader.readexactly(length)

    async def close(self) -> None:
        self.writer.transport.abort()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


async def works(server: Running, trust: ssl.SSLContext) -> None:
    """A fresh client is served."""
    peer = await Peer.to(server, trust)
    peer.send("GET", CONFIG_MAPS)
    status, _ = await peer.answer()
    assert status == 200
    await peer.close()


async def until(condition: object, what: str) -> None:
    assert callable(condition)
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.05)


def run(main: object) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(3 * PATIENCE_S):
            await main  # type: ignore[misc]

    asyncio.run(bounded())


AMBIGUOUS = {
    "both lengths": "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "lengths that differ": "Content-Length: 5\r\nContent-Length: 6\r\n",
    "lengths in a list": "Content-Length: 5, 5\r\n",
    "a signed length": "Content-Length: +5\r\n",
    "a negative length": "Content-Length: -5\r\n",
    "an endless length": f"Content-Length: {'9' * 40}\r\n",
    "another coding": "Transfer-Encoding: gzip\r\n",
    "chunked twice": "Transfer-Encoding: chunked, chunked\r\n",
    "chunked inside": "Transfer-Encoding: chunked, identity\r\n",
    "a disguised coding": "Transfer-Encoding : chunked\r\n",
    "a folded header": "X-A: b\r\n Content-Length: 5\r\n",
    "a bare line feed": "X-A: b\nContent-Length: 5\r\n",
    "a NUL": "X-A: b\0c\r\n",
    "a nameless header": ": b\r\n",
    "a second host": "Host: b\r\n",
    "a header line without a colon": "X-A\r\n",
}


@pytest.mark.parametrize("headers", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_ambiguous_heads_are_refused_and_what_follows_is_not_served(server: Running, headers: str) -> None:
    async def main() -> None:
        trust = context(server)
        peer = await Peer.to(server, trust)
        peer.writer.write(
            f"POST {CONFIG_MAPS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer replay\r\n{headers}\r\n"
            f"0\r\n\r\nDELETE /api/v1/namespaces/kube-public HTTP/1.1\r\nHost: a\r\n"
            f"Authorization: Bearer replay\r\n\r\n".encode()
        )
        data = b""
        with contextlib.suppress(ConnectionError):
            data = await peer.reader.read()
        assert data.startswith(b"HTTP/1.1 400 ")
        assert data.count(b"HTTP/1.1 ") == 1
        await peer.close()
        await works(server, trust)

    run(main())


def test_large_heads_are_refused(server: Running) -> None:
    async def main() -> None:
        trust = context(server)
        for headers in ("X: " + "a" * 1_100_000 + "\r\n", "X: a\r\n" * 20_000):
            peer = await Peer.to(server, trust)
            peer.send("GET", CONFIG_MAPS, headers=headers)
            assert (await peer.reader.readline()).startswith(b"HTTP/1.1 431 ")
            await peer.close()
        peer = await Peer.to(server, trust)
        peer.send("GET", "/" + "a" * 1_100_000)
        assert (await peer.reader.readline()).startswith(b"HTTP/1.1 431 ")
        await peer.close()
        await works(server, trust)

    run(main())


def test_large_bodies_are_413(server: Running) -> None:
    async def main() -> None:
        trust = context(server)
        limit = 3 * 1024 * 1024
        for method, target, headers in (
            ("POST", CONFIG_MAPS, ""),
            ("PUT", f"{CONFIG_MAPS}/a", ""),
            ("DELETE", f"{CONFIG_MAPS}/a", ""),
            ("PATCH", f"{CONFIG_MAPS}/a", "Content-Type: application/merge-patch+json\r\n"),
        ):
            peer = await Peer.to(server, trust)
            padding = b'{"metadata":{"name":"a"}}' + b" " * limit
            if headers:
                padding = b"{}" + padding[2:]
            peer.writer.write(
                f"{method} {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer replay\r\n"
                f"{headers or 'Content-Type: application/json' + chr(13) + chr(10)}"
                f"Content-Length: {len(padding)}\r\n\r\n".encode()
            )
            with contextlib.suppress(ConnectionError):
                peer.writer.write(padding)
            status, content = await peer.answer()
            assert status == 413, (method, content)
            assert orjson.loads(content)["reason"] == "RequestEntityTooLarge"
            await peer.close()
        await works(server, trust)

    run(main())


def test_compressed_bodies_are_not_inflated(server: Running) -> None:
    """Requests are not decompressed, as upstream: a bomb is a body that is no JSON."""
    import gzip  # noqa: PLC0415

    async def main() -> None:
        trust = context(server)
        bomb = gzip.compress(b" " * 100_000_000 + b"{}", 9)
        before = resident_bytes(server)
        peer = await Peer.to(server, trust)
        peer.send("POST", CONFIG_MAPS, bomb, headers="Content-Encoding: gzip\r\n")
        status, _ = await peer.answer()
        assert status == 400
        assert resident_bytes(server) - before < 20 * 1024 * 1024
        await peer.close()

    run(main())


def test_pipelined_requests_are_answered_in_order(server: Running) -> None:
    async def main() -> None:
        peer = await Peer.to(server, context(server))
        count = 200
        for number in range(count):
            peer.send("GET", f"{CONFIG_MAPS}/none-{number}")
        for number in range(count):
            status, content = await peer.answer()
            assert status == 404
            assert orjson.loads(content)["details"]["name"] == f"none-{number}"
        await peer.close()

    run(main())


def test_ten_thousand_idle_connections(server: Running) -> None:
    """They are bounded memory and no hindrance; when they go, all of it is given back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE_CONNECTIONS + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this machine allows {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        run(_many_idle(server))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def _many_idle(server: Running) -> None:
    before_files, before_bytes = open_files(server), resident_bytes(server)
    trust = context(server)
    # TCP connections that never begin TLS: the cheapest attack there is.
    sockets: list[socket.socket] = []
    loop = asyncio.get_running_loop()
    try:
        for number in range(IDLE_CONNECTIONS):
            peer = socket.socket()
            peer.setblocking(False)
            # The loopback has more than one address, and each only so many ports.
            peer.bind((f"127.0.0.{2 + number % 8}", 0))
            await loop.sock_connect(peer, ("127.0.0.1", server.port))
            sockets.append(peer)
        await works(server, trust)
        assert resident_bytes(server) - before_bytes < IDLE_CONNECTIONS * CONNECTION_BYTES_MAX
    finally:
        for peer in sockets:
            peer.close()
    await until(lambda: open_files(server) < before_files + 50, "the connections to be gone")
    await works(server, trust)


def test_a_thousand_watches_come_and_go(server: Running) -> None:
    async def main() -> None:
        trust = context(server)
        await works(server, trust)
        before = open_files(server)
        for _ in range(4):
            peers = [await Peer.to(server, trust) for _ in range(250)]
            for peer in peers:
                peer.send("GET", f"{CONFIG_MAPS}?watch=1")
            for peer in peers:
                assert (await peer.reader.readline()).startswith(b"HTTP/1.1 200 ")
            for peer in peers:
                await peer.close()
        await until(lambda: open_files(server) < before + 20, "the watches' connections to be gone")
        assert await gauge(server, trust, "apiserver_longrunning_requests") == 0

    run(main())


async def gauge(server: Running, trust: ssl.SSLContext, name: str) -> float:
    """Return the sum of a metric over its labels."""
    peer = await Peer.to(server, trust)
    peer.send("GET", "/metrics")
    _, content = await peer.answer()
    await peer.close()
    lines = [line for line in content.decode().splitlines() if line.startswith(f"{name}{{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def test_readers_that_never_read(server: Running) -> None:
    """A watch that is never read is cut off; a list that is never read ends; neither holds up anybody."""

    async def main() -> None:
        trust = context(server)
        writer = await Peer.to(server, trust)
        writer.send("POST", CONFIG_MAPS, body("slow", 1))
        assert (await writer.answer())[0] in (201, 409)
        before = resident_bytes(server)
        peers = []
        for target in (f"{CONFIG_MAPS}?watch=1", CONFIG_MAPS) * 5:
            peer = await Peer.to(server, trust)
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            peer.send("GET", target)
            peers.append(peer)
        # Thirty times half a megabyte to five watches: seventy-five megabytes if all were kept.
        for number in range(30):
            writer.send("PUT", f"{CONFIG_MAPS}/slow", body("slow", number))
            assert (await writer.answer())[0] == 200
        assert resident_bytes(server) - before < GROWTH_BYTES_MAX
        for peer in [writer, *peers]:
            await peer.close()
        await works(server, trust)

    run(main())


def body(name: str, number: int) -> bytes:
    return orjson.dumps({"metadata": {"name": name}, "data": {"n": str(number), "k": "v" * 500_000}})


def test_half_requests_do_not_hold_up_others(server: Running) -> None:
    """Heads and bodies that stop half-way, and handshakes that do; the server's own limits end them later."""

    async def main() -> None:
        trust = context(server)
        halves = (
            b"",
            b"GET",
            b"GET / HTTP/1.1\r\nHost: a\r\nX-A: ",
            b"POST " + CONFIG_MAPS.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12",
            b"POST "
            + CONFIG_MAPS.encode()
            + b" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n1",
        )
        peers = []
        for half in halves * 40:
            peer = await Peer.to(server, trust)
            peer.writer.write(half)
            peers.append(peer)
        await works(server, trust)
        for peer in peers:
            await peer.close()
        await works(server, trust)

    run(main())
