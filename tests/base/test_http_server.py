"""The server against peers that behave and peers that do not, over real sockets, plain and TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from typing import Any

import orjson
import pytest

from podium.base.http.message import Headers, Request, Response, StreamWriter
from podium.base.http.server import Server
from tests.base.certs import authority
from tests.base.http_tools import PATIENCE_S, peer_of, run, serving, transport_to

HOST = b"Host: a\r\n"
LOOPS = pytest.mark.parametrize("uv", [False, True], ids=["asyncio", "uvloop"])
WIRES = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


async def echo(request: Request) -> Response:
    """Answer with what was understood of the request."""
    body = await request.read_body()
    return Response(body=f"{request.method} {request.target} {len(body)}".encode())


def post(*lines: bytes, body: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\n" + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


AMBIGUOUS = {
    "bare LF": b"GET / HTTP/1.1\nHost: a\n\n",
    "bare LF in a header": b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    "CR in a header": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
    "NUL in the target": b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "folded header": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
    "empty header name": b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "space in the target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/3.1": b"GET / HTTP/3.1\r\nHost: a\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "a broken escape": b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
    "unknown method, CONNECT-like": b"FOO a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT": b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "authority as target": b"GET a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS to a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "both lengths": post(b"Content-Length: 3", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "both lengths, other order": post(b"Transfer-Encoding: chunked", b"Content-Length: 3", body=b"0\r\n\r\n"),
    "two equal lengths": post(b"Content-Length: 3", b"Content-Length: 3", body=b"abc"),
    "two lengths": post(b"Content-Length: 3", b"Content-Length: 4", body=b"abc"),
    "list of lengths": post(b"Content-Length: 3, 3", body=b"abc"),
    "signed length": post(b"Content-Length: +3", body=b"abc"),
    "negative length": post(b"Content-Length: -3", body=b"abc"),
    "hexadecimal length": post(b"Content-Length: 0x3", body=b"abc"),
    "empty length": post(b"Content-Length:", body=b"abc"),
    "endless length": post(b"Content-Length: 99999999999999999999999"),
    "unknown coding": post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "coding with a tab": post(b"Transfer-Encoding:\x0bchunked", body=b"0\r\n\r\n"),
    "chunked not last": post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"),
    "two codings": post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "two coding headers": post(
        b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"
    ),
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunk size with a prefix": post(b"Transfer-Encoding: chunked", body=b"0x3\r\nabc\r\n0\r\n\r\n"),
    "chunk size overflow": post(b"Transfer-Encoding: chunked", body=b"f" * 17 + b"\r\nabc\r\n0\r\n\r\n"),
    "chunk longer than said": post(b"Transfer-Encoding: chunked", body=b"3\r\nabcd\r\n0\r\n\r\n"),
    "chunk size without CR": post(b"Transfer-Encoding: chunked", body=b"3\nabc\n0\n\n"),
}


@WIRES
@pytest.mark.parametrize("data", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_ambiguous_framing_is_refused_and_nothing_behind_it_is_served(data: bytes, tls: bool) -> None:
    served: list[str] = []

    async def handler(request: Request) -> Response:
        await request.read_body()
        served.append(request.target)
        return Response()

    async def main() -> bytes:
        async with serving(handler, tls=tls) as server, peer_of(server) as peer:
            await peer.send(data + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
            return await peer.rest()

    answer = run(main())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert b"connection: close" in answer
    assert served == []


@WIRES
@pytest.mark.parametrize("method", ["BREW", "get", "M-SEARCH2"])
def test_whether_there_is_such_a_method_is_for_the_handler_to_say(tls: bool, method: str) -> None:
    served: list[tuple[str, str, bytes]] = []

    async def handler(request: Request) -> Response:
        served.append((request.method, request.target, await request.read_body()))
        return Response(status=405)

    async def main() -> bytes:
        async with serving(handler, tls=tls) as server, peer_of(server) as peer:
            head = f"{method} /pot HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
            await peer.send(head.encode() + b"tea")
            await peer.send(b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return await peer.rest()

    answer = run(main())
    assert served == [(method, "/pot", b"tea"), ("GET", "/a", b"")]
    assert answer.count(b"HTTP/1.1 405 ") == 2


@WIRES
@LOOPS
def test_a_large_body_that_comes_at_once_is_not_the_last_thing_read(tls: bool, uv: bool) -> None:
    async def main() -> list[int]:
        async with serving(echo, tls=tls) as server, peer_of(server) as peer:
            statuses = []
            for size in (100_000, 5, 200_000, 5):
                await peer.send(post(b"Content-Length: %d" % size, body=b"x" * size))
                statuses.append((await peer.answer())[0])
            return statuses

    assert run(main(), uv=uv) == [200] * 4


FOLLOWED_BY_NOISE = {
    "a request": (b"DELETE /a HTTP/1.1\r\nHost: a\r\n\r\n", [("DELETE", "/a")]),
    "a body": (
        post(
            b"Content-Length: 40", body=b"STEAL /b HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n".ljust(40, b"\n")[:40]
        ),
        [("POST", "/")],
    ),
}


@WIRES
@pytest.mark.parametrize(
    ("data", "expected"), FOLLOWED_BY_NOISE.values(), ids=[f"{name}" for name in FOLLOWED_BY_NOISE]
)
@pytest.mark.parametrize("whole", [True, False], ids=["at once", "in two"])
def test_noise_behind_a_request_has_nothing_served_twice(
    data: bytes, expected: list[tuple[str, str]], whole: bool, tls: bool
) -> None:
    served: list[tuple[str, str]] = []

    async def handler(request: Request) -> Response:
        await request.read_body()
        served.append((request.method, request.target))
        return Response()

    async def main() -> bytes:
        async with serving(handler, tls=tls) as server, peer_of(server) as peer:
            if whole:
                await peer.send(data + b"NOISE\r\n\r\n")
            else:
                head = data.index(b"\r\n\r\n") + 4
                await peer.send(data[:head])
                await peer.send(data[head:] + b"NOISE\r\n\r\n")
            return await peer.rest()

    answer = run(main())
    assert served == expected
    assert answer.count(b"HTTP/1.1 200 ") == 1
    assert answer.count(b"HTTP/1.1 400 ") == 1


@WIRES
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417),
    ],
    ids=["another version", "an unknown expectation"],
)
def test_what_this_server_does_not_do_is_told(data: bytes, status: int, tls: bool) -> None:
    async def main() -> bytes:
        async with serving(echo, tls=tls) as server, peer_of(server) as peer:
            await peer.send(data)
            return await peer.rest()

    assert run(main()).startswith(b"HTTP/1.1 %d " % status)


@LOOPS
@WIRES
def test_requests_on_one_connection_are_answered_in_order(tls: bool, uv: bool) -> None:
    async def main() -> list[tuple[int, bytes]]:
        async with serving(echo, tls=tls) as server, peer_of(server) as peer:
            requests = [f"GET /{i} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for i in range(500)]
            await peer.send(b"".join(requests) + post(b"Content-Length: 5", body=b"12345"))
            return [await peer.answer() for _ in range(501)]

    answers = run(main(), uv=uv)
    assert answers == [(200, f"GET /{i} 0".encode()) for i in range(500)] + [(200, b"POST / 5")]


def test_a_request_cut_anywhere_is_the_same_request() -> None:
    data = post(b"Transfer-Encoding: chunked", body=b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n")

    async def main() -> None:
        async with serving(echo) as server:
            for cut in range(1, len(data)):
                async with peer_of(server) as peer:
                    await peer.send(data[:cut])
                    await asyncio.sleep(0)
                    await peer.send(data[cut:])
                    assert await peer.answer() == (200, b"POST / 5")

    run(main())


def test_a_trailer_never_becomes_a_header() -> None:
    seen: list[str] = []

    async def handler(request: Request) -> Response:
        await request.read_body()
        seen.append(request.headers.get("x-remote-user"))
        return Response()

    async def main() -> None:
        async with serving(handler) as server, peer_of(server) as peer:
            await peer.send(post(b"Transfer-Encoding: chunked", body=b"0\r\nX-Remote-User: root\r\n\r\n"))
            await peer.answer()

    run(main())
    assert seen == [""]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1_100_000, 431, id="endless header"),
        pytest.param(b"GET /" + b"x" * 1_100_000, 431, id="endless target"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 10_001 + b"\r\n", 431, id="too many headers"
        ),
        pytest.param(post(b"Content-Length: 1001", body=b"x" * 1001), 413, id="long body"),
        pytest.param(post(b"Content-Length: 1001"), 413, id="long body announced"),
        pytest.param(
            post(b"Transfer-Encoding: chunked", body=b"1f4\r\n" + b"x" * 500 + b"\r\n1f5\r\n" + b"x" * 501),
            413,
            id="long chunked body",
        ),
        pytest.param(
            post(b"Transfer-Encoding: chunked", body=b"0\r\nX: " + b"x" * 200_000), 431, id="endless trailer"
        ),
        pytest.param(
            post(b"Transfer-Encoding: chunked", body=b"1;" + b"x" * 200_000),
            431,
            id="endless chunk extension",
        ),
    ],
)
@WIRES
def test_limits(data: bytes, status: int, tls: bool) -> None:
    async def main() -> bytes:
        async with serving(echo, tls=tls, body_bytes_max=1000) as server, peer_of(server) as peer:
            await peer.send(data)
            return await peer.rest()

    answer = run(main())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert int(head.split(b" ")[1]) == status
    assert orjson.loads(body)["code"] == status


def test_a_refused_upload_still_gets_its_answer() -> None:
    """Closing at once would reset the connection, and the peer would see the reset instead of the 413."""

    async def main() -> int:
        async with (
            serving(echo) as server,
            transport_to(server) as transport,
            transport.request("POST", "/", body=b"x" * 20_000_000) as response,
        ):
            return response.status

    for _ in range(5):
        assert run(main()) == 413


def test_the_limit_itself_is_allowed() -> None:
    async def main() -> tuple[int, bytes]:
        async with serving(echo, body_bytes_max=1000) as server, peer_of(server) as peer:
            await peer.send(post(b"Content-Length: 1000", body=b"x" * 1000))
            return await peer.answer()

    assert run(main()) == (200, b"POST / 1000")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHo", 408, id="half a head"),
        pytest.param(post(b"Content-Length: 10", body=b"12345"), 408, id="half a body"),
        pytest.param(b"", 0, id="nothing"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200, id="idle after an answer"),
    ],
)
def test_a_slow_peer_is_not_waited_for(data: bytes, status: int) -> None:
    async def main() -> bytes:
        limits: dict[str, Any] = {"head_timeout_s": 0.05, "body_timeout_s": 0.05, "idle_timeout_s": 0.05}
        async with serving(echo, **limits) as server, peer_of(server) as peer:
            await peer.send(data)
            return await peer.rest()

    answer = run(main())
    assert (int(answer.split(b" ")[1]) if answer else 0) == status


@LOOPS
def test_time_that_the_server_took_is_not_counted_against_its_peers(uv: bool) -> None:
    unread: list[socket.socket] = []
    ask = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

    async def handler(request: Request) -> Response:
        if unread:
            unread[0].sendall(ask)
            time.sleep(2.5)  # noqa: ASYNC251 - what holds the loop, while another peer's request lies unread
        return Response(body=b"done")

    async def main() -> bytes:
        async with (
            serving(handler, idle_timeout_s=1.0, reads_at_once=True) as server,
            peer_of(server) as peer,
        ):
            with socket.create_connection(("127.0.0.1", server.port)) as other:
                other.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                await asyncio.to_thread(other.recv, 4096)
                unread.append(other)
                await peer.send(ask)
                await peer.rest()
                return await asyncio.to_thread(other.recv, 4096)

    assert run(main(), uv=uv).startswith(b"HTTP/1.1 200 ")


def test_expect_continue() -> None:
    async def main() -> tuple[int, bytes]:
        async with serving(echo) as server, peer_of(server) as peer:
            await peer.send(post(b"Content-Length: 5", b"Expect: 100-continue"))
            assert await peer.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await peer.send(b"12345")
            return await peer.answer()

    assert run(main()) == (200, b"POST / 5")


def test_no_continue_for_a_request_that_is_refused_unread() -> None:
    async def handler(_request: Request) -> Response:
        return Response(status=403)

    async def main() -> bytes:
        async with serving(handler) as server, peer_of(server) as peer:
            await peer.send(post(b"Content-Length: 5", b"Expect: 100-continue"))
            return await peer.rest()

    answer = run(main())
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"connection: close" in answer


def test_head_has_the_length_but_no_body() -> None:
    async def main() -> bytes:
        async with serving(echo) as server, peer_of(server) as peer:
            await peer.send(b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return await peer.rest()

    answer = run(main())
    assert b"content-length: 8\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_http_1_0_closes_unless_asked_to_keep_alive() -> None:
    async def main() -> tuple[bytes, tuple[int, bytes]]:
        async with serving(echo) as server:
            async with peer_of(server) as peer:
                await peer.send(b"GET / HTTP/1.0\r\n\r\n")
                first = await peer.rest()
            async with peer_of(server) as peer:
                await peer.send(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                await peer.answer()
                await peer.send(b"GET /b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                return first, await peer.answer()

    first, second = run(main())
    assert b"connection: close" in first
    assert second == (200, b"GET /b 0")


def test_what_follows_a_last_request_is_ignored() -> None:
    async def main() -> bytes:
        async with serving(echo) as server, peer_of(server) as peer:
            close = b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            await peer.send(close + b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n")
            return await peer.rest()

    answer = run(main())
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1") == 1


def test_a_half_closed_peer_gets_its_answer() -> None:
    async def main() -> bytes:
        async with serving(echo) as server, peer_of(server) as peer:
            await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            peer.writer.write_eof()
            return await peer.rest()

    assert run(main()).endswith(b"GET / 0")


def test_an_absolute_target_is_its_path() -> None:
    async def main() -> tuple[int, bytes]:
        async with serving(echo) as server, peer_of(server) as peer:
            await peer.send(b"GET http://a/x?y=1 HTTP/1.1\r\nHost: a\r\n\r\n")
            return await peer.answer()

    assert run(main()) == (200, b"GET /x?y=1 0")


def test_a_failing_handler_is_a_500_without_a_trace(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(_request: Request) -> Response:
        raise KeyError("the secret")

    async def main() -> tuple[int, bytes]:
        async with serving(handler) as server, peer_of(server) as peer:
            await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await peer.answer()
            await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            return await peer.answer()

    status, body = run(main())
    assert status == 500
    assert orjson.loads(body)["reason"] == "InternalError"
    assert b"secret" not in body
    assert "the secret" in caplog.text


def test_a_header_value_cannot_split_the_response() -> None:
    async def handler(_request: Request) -> Response:
        return Response(headers=Headers([("x", "a\r\nset-cookie: b")]))

    async def main() -> bytes:
        async with serving(handler) as server, peer_of(server) as peer:
            await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return await peer.rest()

    assert b"\r\nset-cookie" not in run(main())


@WIRES
@pytest.mark.parametrize("size", [0, 1, 300_000, 5_000_000])
def test_a_body_in_parts_arrives_whole(size: int, tls: bool) -> None:
    async def handler(_request: Request) -> Response:
        return Response(body=[b"x" * (size // 3), b"", b"y" * (size - size // 3)])

    async def main() -> bytes:
        async with (
            serving(handler, tls=tls) as server,
            transport_to(server) as transport,
            transport.request("GET", "/") as response,
        ):
            assert response.headers.get("content-length") == str(size)
            return await response.read()

    assert run(main()) == b"x" * (size // 3) + b"y" * (size - size // 3)


def test_a_reader_that_stops_reading_is_cut() -> None:
    async def handler(_request: Request) -> Response:
        return Response(body=[b"x" * 1_000_000] * 50)

    async def main() -> None:
        async with serving(handler, write_timeout_s=0.05) as server, peer_of(server) as peer:
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            while not server.connections:
                await asyncio.sleep(0)
            while server.connections:
                await asyncio.sleep(0.01)

    run(main())


# Streams.


def stream_of(writes: list[list[bytes]]) -> Response:
    """Return a response that writes each inner list in one turn of the loop."""

    async def stream(writer: StreamWriter) -> None:
        for turn in writes:
            for data in turn:
                writer.write(data)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    return Response(stream=stream)


@LOOPS
@WIRES
def test_what_one_turn_writes_leaves_as_one_chunk(tls: bool, uv: bool) -> None:
    async def handler(_request: Request) -> Response:
        return stream_of([[b"a", b"b", b"c"], [b"d", b""], [b""], [b"e"]])

    async def main() -> bytes:
        async with serving(handler, tls=tls) as server, peer_of(server) as peer:
            await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return await peer.rest()

    head, _, body = run(main(), uv=uv).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body == b"3\r\nabc\r\n1\r\nd\r\n1\r\ne\r\n0\r\n\r\n"


def test_the_head_of_a_silent_stream_leaves_at_once() -> None:
    async def handler(_request: Request) -> Response:
        async def stream(writer: StreamWriter) -> None:
            await writer.wait_closed()

        return Response(stream=stream)

    async def main() -> bytes:
        async with serving(handler) as server, peer_of(server) as peer:
            await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            return await peer.until(b"\r\n\r\n")

    assert b"200 OK" in run(main())


def test_a_connection_serves_on_after_a_stream() -> None:
    async def handler(request: Request) -> Response:
        return stream_of([[b"abc"]]) if request.path == "/s" else await echo(request)

    async def main() -> tuple[int, bytes]:
        async with serving(handler) as server, peer_of(server) as peer:
            get = b"GET /s HTTP/1.1\r\nHost: a\r\n\r\n"
            await peer.send(get + get.replace(b"/s", b"/x"))
            await peer.until(b"0\r\n\r\n")
            return await peer.answer()

    assert run(main()) == (200, b"GET /x 0")


def test_http_1_0_streams_end_with_the_connection() -> None:
    async def handler(_request: Request) -> Response:
        return stream_of([[b"abc"], [b"def"]])

    async def main() -> bytes:
        async with serving(handler) as server, peer_of(server) as peer:
            await peer.send(b"GET / HTTP/1.0\r\n\r\n")
            return await peer.rest()

    assert run(main()).endswith(b"\r\n\r\nabcdef")


def test_a_stream_shorter_than_announced_is_cut_not_ended() -> None:
    async def handler(_request: Request) -> Response:
        response = stream_of([[b"abc"]])
        response.headers.set("content-length", "10")
        return response

    async def main() -> None:
        async with (
            serving(handler) as server,
            transport_to(server) as transport,
            transport.request("GET", "/") as response,
        ):
            with pytest.raises(ConnectionError):
                await response.read()

    run(main())


@WIRES
def test_a_slow_reader_makes_drain_wait_and_buffers_grow_only_without_it(tls: bool) -> None:
    seen: list[int] = []
    waiting = asyncio.Event()

    async def handler(_request: Request) -> Response:
        async def stream(writer: StreamWriter) -> None:
            for _ in range(200):
                writer.write(b"x" * 100_000)
                seen.append(writer.buffered_bytes)
                drained = asyncio.ensure_future(writer.drain())
                done, _ = await asyncio.wait([drained], timeout=0.2)
                if not done:
                    waiting.set()
                await drained

        return Response(stream=stream)

    async def main() -> int:
        async with serving(handler, tls=tls) as server, peer_of(server) as peer:
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            await waiting.wait()
            peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
            return len(await peer.rest())

    assert run(main()) > 200 * 100_000
    assert max(seen) < 2_000_000


@WIRES
def test_a_stream_learns_that_its_reader_has_left(tls: bool) -> None:
    ended: list[bool] = []

    async def main() -> None:
        over = asyncio.Event()

        async def handler(_request: Request) -> Response:
            async def stream(writer: StreamWriter) -> None:
                writer.write(b"x")
                await writer.wait_closed()
                ended.append(writer.closed)
                writer.write(b"dropped")
                with pytest.raises(ConnectionError):
                    await writer.drain()
                over.set()

            return Response(stream=stream)

        async with serving(handler, tls=tls) as server:
            async with peer_of(server) as peer:
                await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                await peer.until(b"x\r\n")
            await over.wait()

    run(main())
    assert ended == [True]


def test_a_stream_that_never_looks_is_cancelled_when_its_reader_has_left() -> None:
    async def main() -> None:
        over = asyncio.Event()

        async def handler(_request: Request) -> Response:
            async def stream(writer: StreamWriter) -> None:
                writer.write(b"x")
                try:
                    await asyncio.Event().wait()
                finally:
                    over.set()

            return Response(stream=stream)

        async with serving(handler) as server:
            async with peer_of(server) as peer:
                await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                await peer.until(b"x\r\n")
            await over.wait()

    run(main())


@LOOPS
def test_a_thousand_streams(uv: bool) -> None:
    count = 1000

    async def main() -> None:
        writers: list[StreamWriter] = []
        everyone = asyncio.Event()

        async def handler(_request: Request) -> Response:
            async def stream(writer: StreamWriter) -> None:
                writers.append(writer)
                if len(writers) == count:
                    everyone.set()
                await writer.wait_closed()

            return Response(stream=stream)

        async with serving(handler) as server, transport_to(server, connections_max=count) as transport:
            responses = await asyncio.gather(*(transport.send("GET", "/") for _ in range(count)))
            await everyone.wait()
            for _ in range(3):
                for writer in writers:
                    writer.write(b"event one\n")
                    writer.write(b"event two\n")
                await asyncio.sleep(0)
            readers = [response.chunks() for response in responses]
            for reader in readers:
                got = b""
                while len(got) < 60:
                    got += await anext(reader)
                assert got == b"event one\nevent two\n" * 3
            for response in responses:
                response.close()

    run(main(), uv=uv)


# Upgrades.


@LOOPS
@WIRES
def test_an_upgrade_carries_bytes_both_ways_and_loses_none(tls: bool, uv: bool) -> None:
    async def handler(_request: Request) -> Response:
        async def upgraded(raw: object) -> None:
            while data := await raw.read():  # type: ignore[attr-defined]
                await raw.write(data)  # type: ignore[attr-defined]

        return Response(status=101, upgrade=upgraded)

    async def main() -> bytes:
        async with serving(handler, tls=tls) as server, peer_of(server) as peer:
            early = b"early bytes;" * 3000
            head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
            await peer.send(head + early)
            answer = await peer.until(b"\r\n\r\n")
            assert b"HTTP/1.1 101 " in answer
            assert b"upgrade: echo\r\n" in answer
            assert await peer.reader.readexactly(len(early)) == early
            late = b"late" * 1_000_000
            sending = asyncio.ensure_future(peer.send(late))
            assert await peer.reader.readexactly(len(late)) == late
            await sending
            peer.writer.close()
            return answer

    run(main(), uv=uv)


def test_an_upgraded_reader_that_rests_makes_its_peer_rest() -> None:
    async def main() -> None:
        go_on = asyncio.Event()
        received = 0

        async def handler(_request: Request) -> Response:
            async def upgraded(raw: object) -> None:
                nonlocal received
                await go_on.wait()
                while data := await raw.read():  # type: ignore[attr-defined]
                    received += len(data)

            return Response(status=101, upgrade=upgraded)

        async with serving(handler) as server, peer_of(server) as peer:
            await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
            await peer.until(b"\r\n\r\n")
            sending = asyncio.ensure_future(peer.send(b"x" * 50_000_000))
            done, _ = await asyncio.wait([sending], timeout=0.5)
            assert not done
            go_on.set()
            await sending
            peer.writer.close()
            while received < 50_000_000:
                await asyncio.sleep(0.01)

    run(main())


def test_an_upgrade_that_is_not_granted_leaves_http() -> None:
    async def main() -> list[tuple[int, bytes]]:
        async with serving(echo) as server, peer_of(server) as peer:
            first = b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
            await peer.send(first + b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n")
            return [await peer.answer(), await peer.answer()]

    assert run(main()) == [(200, b"GET /a 0"), (200, b"GET /b 0")]


# Identity, life and death.


@LOOPS
def test_the_peer_certificate_is_the_verified_one_or_none(uv: bool) -> None:
    async def handler(request: Request) -> Response:
        return Response(body=request.peer_certificate or b"none")

    async def main() -> list[bytes]:
        me = authority().issue("me", "us")
        certificate = ssl.PEM_cert_to_DER_cert(me.certificate.decode())
        answers = []
        async with serving(handler, tls=True) as server:
            for context in (authority().client_context(), authority().client_context(me)):
                async with (
                    transport_to(server, ssl_context=context) as transport,
                    transport.request("GET", "/") as response,
                ):
                    answers.append(await response.read())
        return [answers[0], b"mine" if answers[1] == certificate else answers[1]]

    assert run(main(), uv=uv) == [b"none", b"mine"]


def test_stopping_ends_idle_connections_tells_streams_and_lets_requests_finish() -> None:
    async def main() -> None:
        started, release = asyncio.Event(), asyncio.Event()

        async def handler(request: Request) -> Response:
            if request.path == "/stream":

                async def stream(writer: StreamWriter) -> None:
                    writer.write(b"begun")
                    await writer.wait_closed()
                    writer.write(b"farewell")

                return Response(stream=stream)
            if request.path == "/slow":
                started.set()
                await release.wait()
            return await echo(request)

        server = Server(handler)
        await server.start("127.0.0.1", 0, None)
        async with peer_of(server) as idle, peer_of(server) as streaming, peer_of(server) as slow:
            await idle.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await idle.answer()
            await streaming.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            await streaming.until(b"begun\r\n")
            await slow.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            await started.wait()
            stopping = asyncio.ensure_future(server.stop(grace_s=PATIENCE_S))
            assert await idle.rest() == b""
            assert (await streaming.rest()) == b"8\r\nfarewell\r\n0\r\n\r\n"
            with pytest.raises(ConnectionError):
                await asyncio.open_connection("127.0.0.1", server.port)
            release.set()
            answer = await slow.rest()
            assert b"connection: close" in answer
            assert answer.endswith(b"GET /slow 0")
            await stopping

    run(main())


def test_stopping_without_grace_cuts_what_runs() -> None:
    async def main() -> None:
        cancelled = asyncio.Event()
        started = asyncio.Event()

        async def handler(_request: Request) -> Response:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return Response()

        async with serving(handler) as server, peer_of(server) as peer:
            await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await started.wait()
            await server.stop()
            assert cancelled.is_set()
            assert not server.connections

    run(main())


def test_connections_are_bounded() -> None:
    async def main() -> None:
        async with serving(echo, connections_max=1) as server, peer_of(server) as first:
            await first.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await first.answer()
            async with peer_of(server) as second:
                with contextlib.suppress(ConnectionError):
                    assert await second.rest() == b""
            await first.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await first.answer())[0] == 200

    run(main())


def test_an_unread_body_is_taken_in_only_so_far() -> None:
    """A handler that has not asked for the body yet does not make the server hold it."""

    async def main() -> None:
        go_on = asyncio.Event()
        total = 0

        async def handler(request: Request) -> Response:
            nonlocal total
            await go_on.wait()
            while piece := await request.read_chunk():
                total += len(piece)
            return Response()

        size = 30_000_000
        async with serving(handler) as server, peer_of(server) as peer:
            sending = asyncio.ensure_future(peer.send(post(b"Content-Length: %d" % size, body=b"x" * size)))
            done, _ = await asyncio.wait([sending], timeout=0.5)
            assert not done
            go_on.set()
            assert (await peer.answer())[0] == 200
            await sending
        assert total == size

    run(main())
