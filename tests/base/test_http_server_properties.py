"""The server's parsing as a property: however requests are cut, the same requests come out, and whatever
bytes come in, every answer is well formed and nothing fails."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.base.http.connection import Connection
from podium.base.http.message import Request, Response
from podium.base.http.server import Server


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.sent = b""
        self.closed = False
        self.reading = True

    def get_extra_info(self, _name: str) -> None:
        return None

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.sent += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return 0


async def converse(
    pieces: list[bytes], seen: list[tuple[str, str, bytes]], *, reads_at_once: bool = False
) -> bytes:
    """Send `pieces` to a connection, as a transport would, and return what it answers."""

    async def handler(request: Request) -> Response:
        body = await request.read_body()
        seen.append((request.method, request.target, body))
        return Response(body=request.target.encode("latin-1"))

    server = Server(handler, reads_at_once=reads_at_once)
    server.loop = asyncio.get_running_loop()
    connection, wire = Connection(server), Wire()
    connection.connection_made(cast(Any, wire))
    for piece in pieces:
        await _settle(server, lambda: not wire.reading and not wire.closed)
        if wire.closed:
            break
        _deliver(connection, piece)
    await _settle(server, lambda: False)
    if not wire.closed:
        connection.eof_received()
    connection.connection_lost(None)
    await _settle(server, lambda: bool(server.tasks))
    await server.stop()
    return wire.sent


def _deliver(connection: Connection, piece: bytes) -> None:
    """Hand over what was read, in the buffer that the next read of any connection will overwrite."""
    buffer = connection.get_buffer(-1)
    buffer[: len(piece)] = piece
    connection.buffer_updated(len(piece))
    buffer[: len(piece)] = b"?" * len(piece)


async def _settle(server: Server, waiting: Callable[[], bool]) -> None:
    for _ in range(3):
        await asyncio.sleep(0)
    while waiting():
        await asyncio.sleep(0)
    for _ in range(3 * len(server.tasks) + 20):
        await asyncio.sleep(0)


TARGETS = st.lists(st.sampled_from([*"abc/?=&", "%20"]), max_size=20).map(lambda t: "/" + "".join(t))
BODIES = st.binary(max_size=300)


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, tuple[str, str, bytes]]:
    """Draw a request, as bytes and as what it means."""
    method, target = draw(st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"])), draw(TARGETS)
    body = b"" if method == "GET" else draw(BODIES)
    head = f"{method} {target} HTTP/1.1\r\nHost: a\r\n".encode()
    if method == "GET":
        return head + b"\r\n", (method, target, b"")
    if draw(st.booleans()):
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body, (method, target, body)
    size = draw(st.integers(1, 50))
    chunks = [body[i : i + size] for i in range(0, len(body), size)]
    coded = b"".join(b"%x;e=1\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\nT: x\r\n\r\n"
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + coded, (method, target, body)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(p % (len(data) + 1) for p in places)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(requests(), min_size=1, max_size=8), st.lists(st.integers(0, 5000), max_size=12), st.booleans()
)
def test_requests_survive_any_cutting(
    drawn: list[tuple[bytes, tuple[str, str, bytes]]], places: list[int], reads_at_once: bool
) -> None:
    seen: list[tuple[str, str, bytes]] = []
    pieces = cut(b"".join(data for data, _ in drawn), places)
    answer = asyncio.run(converse(pieces, seen, reads_at_once=reads_at_once))
    assert seen == [meaning for _, meaning in drawn]
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == len(drawn)


@st.composite
def alike(draw: st.DrawFn) -> list[bytes]:
    """Draw requests of one client, whose heads are much the same; some are spoilt a little."""
    head = draw(st.sampled_from([b"Host: a\r\n", b"Host: a\r\nContent-Type: b\r\nX: y\r\n"]))
    pieces = []
    for method in draw(st.lists(st.sampled_from([b"GET", b"POST", b"PUT"]), min_size=2, max_size=6)):
        body = b"" if method == b"GET" else draw(st.sampled_from([b"x", b"{}" * 9, b"{}" * 50, b"\r\n\r\n"]))
        length = b"Content-Length: %d\r\n" % len(body) if body else b""
        piece = method + b" /x HTTP/1.1\r\n" + head + length + b"\r\n" + body
        if draw(st.integers(0, 3)) == 0:
            at, gone = draw(st.integers(4, len(piece))), draw(st.integers(0, 2))
            piece = (
                piece[:at]
                + draw(st.sampled_from([b"", b"0", b"1", b"+", b" ", b"\r\n"]))
                + piece[at + gone :]
            )
        pieces.append(piece)
    return pieces


@settings(max_examples=300, deadline=None)
@given(alike(), st.integers(1, 60))
def test_a_head_that_was_seen_before_means_what_the_parser_makes_of_it(pieces: list[bytes], at: int) -> None:
    whole: list[tuple[str, str, bytes]] = []
    parsed: list[tuple[str, str, bytes]] = []
    asyncio.run(converse(pieces, whole))
    # What comes in two parts is always parsed.
    asyncio.run(converse([part for piece in pieces for part in (piece[:at], piece[at:]) if part], parsed))

    def known(seen: list[tuple[str, str, bytes]]) -> list[tuple[str, str, bytes]]:
        # A method that nobody knows is made out only where a read begins with it.
        return list(itertools.takewhile(lambda one: one[0] in ("GET", "POST", "PUT"), seen))

    assert known(whole) == known(parsed)


def test_a_request_is_served_once_whatever_stands_behind_it_in_the_same_read() -> None:
    seen: list[tuple[str, str, bytes]] = []
    post = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
    answer = asyncio.run(converse([post + b"BREW /b HTTP/1.1\r\nHost: a\r\n\r\n"], seen))
    assert seen == [("POST", "/a", b"{}")]
    assert (answer.count(b"HTTP/1.1 200 OK\r\n"), answer.count(b"HTTP/1.1 400 Bad Request\r\n")) == (1, 1)


NOISE = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.sampled_from(
            [
                b"GET / HTTP/1.1\r\n",
                b"POST / HTTP/1.1\r\n",
                b"Host: a\r\n",
                b"Content-Length: 5\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"Connection: Upgrade\r\nUpgrade: x\r\n",
                b"Expect: 100-continue\r\n",
                b"\r\n",
                b"\n",
                b"5\r\nhello\r\n",
                b"0\r\n\r\n",
            ]
        ),
        requests().map(lambda drawn: drawn[0]),
    ),
    max_size=15,
)


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.ERROR)
    return caplog


@settings(max_examples=300, deadline=None)
@given(NOISE, st.lists(st.integers(0, 2000), max_size=6))
def test_noise_gets_refusals_and_never_a_failure(parts: list[bytes], places: list[int]) -> None:
    seen: list[tuple[str, str, bytes]] = []
    answer = asyncio.run(converse(cut(b"".join(parts), places), seen))
    statuses = {line.split(b" ")[1] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")}
    assert statuses <= {b"100", b"200", b"400", b"408", b"431"}
    # A refusal is the last word.
    if b"HTTP/1.1 4" in answer:
        assert b"HTTP/1.1 200" not in answer[answer.index(b"HTTP/1.1 4") :]


def test_the_wire_of_these_tests_shows_failures(quiet: pytest.LogCaptureFixture) -> None:
    """Guard the harness: a request that is served leaves an answer, and one cut short leaves none."""
    seen: list[tuple[str, str, bytes]] = []
    assert b"200 OK" in asyncio.run(converse([b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"], seen))
    assert asyncio.run(converse([b"GET /x HTTP/1.1\r\nHost: a\r\n"], seen)) == b""
    assert [target for _, target, _ in seen] == ["/x"]
    assert not quiet.records


@pytest.mark.parametrize("reads_at_once", [True, False])
def test_a_peer_that_takes_no_answers_gets_no_more_of_them(reads_at_once: bool) -> None:
    asked: list[str] = []

    async def handler(request: Request) -> Response:
        asked.append(request.target)
        return Response(body=b"x")

    async def main() -> None:
        server = Server(handler, reads_at_once=reads_at_once)
        server.loop = asyncio.get_running_loop()
        connection, wire = Connection(server), Wire()
        connection.connection_made(cast(Any, wire))
        connection.pause_writing()
        for number in range(5000):
            if wire.reading:
                _deliver(connection, b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
        await _settle(server, lambda: False)
        assert asked == []
        assert not wire.reading, "what is asked meanwhile waits with the peer"
        connection.resume_writing()
        while not wire.reading or len(asked) < 1000:
            await asyncio.sleep(0)
        assert asked == [f"/{number}" for number in range(len(asked))]
        connection.connection_lost(None)
        await server.stop()

    asyncio.run(main())
