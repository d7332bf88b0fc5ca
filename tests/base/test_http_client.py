"""The client: its pool, its retries, and servers that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from podium.base.http.client import HttpTransport
from podium.base.http.message import Request, Response
from podium.base.http.message import StreamWriter as Writer
from tests.base.certs import authority
from tests.base.http_tools import run, serving, transport_to

LOOPS = pytest.mark.parametrize("uv", [False, True], ids=["asyncio", "uvloop"])
WIRES = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def scripted(script: Script, *, tls: bool = False) -> AsyncIterator[HttpTransport]:
    """A server that does to each connection what `script` says, and a client of it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(
        serve, "127.0.0.1", 0, ssl=authority().server_context() if tls else None
    )
    port = server.sockets[0].getsockname()[1]
    transport = HttpTransport(
        f"http{'s' if tls else ''}://127.0.0.1:{port}",
        ssl_context=authority().client_context() if tls else None,
    )
    try:
        yield transport
    finally:
        await transport.close()
        server.close()
        await server.wait_closed()


async def get(transport: HttpTransport, method: str = "GET", target: str = "/") -> tuple[int, bytes]:
    async with transport.request(method, target) as response:
        return response.status, await response.read()


async def who(request: Request) -> Response:
    await request.read_body()
    return Response(body=request.remote.encode())


@LOOPS
@WIRES
def test_connections_are_used_again(tls: bool, uv: bool) -> None:
    async def main() -> tuple[int, int]:
        async with serving(who, tls=tls) as server, transport_to(server) as transport:
            one_by_one = {await get(transport) for _ in range(10)}
            together = set(await asyncio.gather(*(get(transport) for _ in range(5))))
            again = set(await asyncio.gather(*(get(transport) for _ in range(5))))
            assert together == again
            return len(one_by_one), len(together)

    assert run(main(), uv=uv) == (1, 5)


@LOOPS
def test_a_second_connection_resumes_the_tls_session_with_the_same_identity(uv: bool) -> None:
    async def handler(request: Request) -> Response:
        return Response(body=str(len(request.peer_certificate or b"")).encode())

    async def main() -> None:
        from tests.base.certs import authority  # noqa: PLC0415

        context = authority().client_context(authority().issue("me"))
        async with serving(handler, tls=True) as server:
            sizes = []
            for resumed in (False, True):
                async with (
                    transport_to(server, ssl_context=context) as transport,
                    transport.request("GET", "/") as response,
                ):
                    tls = response._connection._transport.get_extra_info("ssl_object")
                    assert tls.session_reused is resumed
                    sizes.append(int(await response.read()))
            assert sizes[0] == sizes[1] > 0

    run(main(), uv=uv)


def test_the_pool_has_a_limit() -> None:
    running = 0
    most = 0

    async def handler(_request: Request) -> Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return Response()

    async def main() -> None:
        async with serving(handler) as server, transport_to(server, connections_max=3) as transport:
            await asyncio.gather(*(get(transport) for _ in range(30)))

    run(main())
    assert most == 3


def test_an_abandoned_answer_does_not_poison_the_next() -> None:
    async def handler(request: Request) -> Response:
        return Response(body=b"x" * 5_000_000 if request.path == "/long" else b"short")

    async def main() -> tuple[int, bytes]:
        async with serving(handler) as server, transport_to(server, connections_max=1) as transport:
            for _ in range(3):
                async with transport.request("GET", "/long") as response:
                    assert response.status == 200
            return await get(transport)

    assert run(main()) == (200, b"short")


def test_an_unread_answer_stays_with_the_server() -> None:
    sent = 0

    async def handler(_request: Request) -> Response:
        async def stream(writer: Writer) -> None:
            nonlocal sent
            for _ in range(1000):
                writer.write(b"x" * 100_000)
                await writer.drain()
                sent += 100_000

        return Response(stream=stream)

    async def main() -> int:
        async with (
            serving(handler) as server,
            transport_to(server) as transport,
            transport.request("GET", "/") as response,
        ):
            before = -1
            while before != sent:
                before = sent
                await asyncio.sleep(0.1)
            assert sent < 50_000_000
            return len(await response.read())

    assert run(main()) == 100_000_000


def test_a_body_is_streamed_at_the_servers_pace() -> None:
    produced = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal produced
        for _ in range(300):
            produced += 100_000
            yield b"x" * 100_000

    async def main() -> bytes:
        go_on = asyncio.Event()

        async def handler(request: Request) -> Response:
            await go_on.wait()
            total = 0
            while piece := await request.read_chunk():
                total += len(piece)
            return Response(body=str(total).encode())

        async with serving(handler) as server, transport_to(server) as transport:
            sending = asyncio.ensure_future(transport.send("POST", "/", body=pieces()))
            before = -1
            while before != produced or not produced:
                before = produced
                await asyncio.sleep(0.1)
            assert produced < 20_000_000
            go_on.set()
            response = await sending
            return await response.read()

    assert run(main()) == b"30000000"


def test_a_body_that_fails_fails_the_request() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"
        raise ValueError("the disk is gone")

    async def main() -> None:
        async with serving(who) as server, transport_to(server) as transport:
            with pytest.raises(ConnectionError, match="the disk is gone"):
                await transport.send("POST", "/", body=pieces())
            assert (await get(transport))[0] == 200

    run(main())


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("method", "retried"),
    [("GET", True), ("HEAD", True), ("POST", False), ("DELETE", False), ("PATCH", False)],
)
def test_only_what_does_no_harm_is_repeated_on_a_kept_connection_that_closes(
    method: str, retried: bool
) -> None:
    requests: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK if b"HEAD" not in requests[-1] else OK[:-2])
        # Takes a second request, and leaves without a word.
        requests.append(await reader.readuntil(b"\r\n\r\n"))

    async def main() -> None:
        async with scripted(script) as transport:
            await get(transport)
            if retried:
                assert (await get(transport, method))[0] == 200
            else:
                with pytest.raises(ConnectionError):
                    await get(transport, method)

    run(main())
    assert len(requests) >= (3 if retried else 2)


def test_a_fresh_connection_that_closes_is_an_error() -> None:
    count = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        await reader.readuntil(b"\r\n\r\n")

    async def main() -> None:
        async with scripted(script) as transport:
            with pytest.raises(ConnectionError):
                await get(transport)

    run(main())
    assert count == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2_000_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
        b"HTTP/1.1 200",
        b"",
    ],
    ids=[
        "no HTTP",
        "both lengths",
        "two lengths",
        "endless head",
        "short",
        "short chunk",
        "half a head",
        "nothing",
    ],
)
def test_a_broken_answer_is_a_connection_error(answer: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    async def main() -> None:
        async with scripted(script) as transport:
            with pytest.raises(ConnectionError):
                await get(transport)

    run(main())


def test_a_stray_answer_never_becomes_the_next_requests() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")

    async def main() -> None:
        async with scripted(script) as transport:
            for _ in range(3):
                assert await get(transport) == (200, b"ok")

    run(main())


def test_a_body_until_the_connections_end() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nall of it")

    async def main() -> tuple[int, bytes]:
        async with scripted(script) as transport:
            return await get(transport)

    assert run(main()) == (200, b"all of it")


def test_interim_answers_are_passed_over() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK)
        await reader.read()

    async def main() -> tuple[int, bytes]:
        async with scripted(script) as transport:
            return await get(transport)

    assert run(main()) == (200, b"ok")


@WIRES
def test_what_follows_an_upgrade_at_once_is_not_lost(tls: bool) -> None:
    """More than one read of it may come before the caller has had its turn."""
    much = 1_000_000

    async def eager(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        writer.write(b"x" * much)
        await reader.read()

    async def main() -> int:
        async with scripted(eager, tls=tls) as transport:
            _, raw = await transport.upgrade(
                "GET", "/", headers=[("connection", "Upgrade"), ("upgrade", "x")]
            )
            assert raw is not None
            seen = 0
            while seen < much and (data := await raw.read()):
                seen += len(data)
            raw.close()
            return seen

    assert run(main()) == much


@WIRES
def test_an_upgrade_both_ways_and_a_refused_one(tls: bool) -> None:
    async def handler(request: Request) -> Response:
        if request.path != "/up":
            return Response(status=403, body=b"no")

        async def upgraded(raw: object) -> None:
            while data := await raw.read():  # type: ignore[attr-defined]
                await raw.write(data.upper())  # type: ignore[attr-defined]

        return Response(status=101, upgrade=upgraded)

    async def main() -> None:
        headers = {"connection": "Upgrade", "upgrade": "x"}
        async with serving(handler, tls=tls) as server, transport_to(server) as transport:
            response, raw = await transport.upgrade("GET", "/up", headers=headers)
            assert response.status == 101
            assert raw is not None
            await raw.write(b"hello")
            assert await raw.read() == b"HELLO"
            raw.close()
            response, raw = await transport.upgrade("GET", "/", headers=headers)
            assert (response.status, raw) == (403, None)
            assert await response.read() == b"no"
            response.close()
            assert transport._slots._value == 512

    run(main())


@pytest.mark.parametrize("target", ["", "/a b", "/a\r\nX: y", "/\x00"])
def test_a_target_that_would_split_the_request_is_refused(target: str) -> None:
    async def main() -> None:
        async with serving(who) as server, transport_to(server) as transport:
            with pytest.raises(ValueError, match="not a request target"):
                await get(transport, "GET", target)

    run(main())


def test_nobody_listens() -> None:
    async def main() -> None:
        async with serving(who) as server:
            pass
        transport = HttpTransport(f"http://127.0.0.1:{server.port}", ssl_context=None)
        with pytest.raises(ConnectionError):
            await get(transport)
        assert transport._slots._value == 512
        await transport.close()

    run(main())


def test_tokens_and_headers() -> None:
    seen: list[list[str]] = []

    async def handler(request: Request) -> Response:
        seen.append([request.headers.get("authorization"), *request.headers.get_all("x")])
        return Response()

    async def main() -> None:
        tokens = iter(("a", "b"))
        async with serving(handler) as server, transport_to(server, token=lambda: next(tokens)) as transport:
            for _ in range(2):
                async with transport.request("GET", "/", headers=[("X", "1"), ("x", "2")]):
                    pass

    run(main())
    assert seen == [["Bearer a", "1", "2"], ["Bearer b", "1", "2"]]
