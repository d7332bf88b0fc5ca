"""WebSockets between our own two sides, over a real server, and against malformed handshakes and frames."""

from __future__ import annotations

import asyncio

import pytest

from podium.base.http import websocket
from podium.base.http.message import Handler, HttpError, RawConnection, Request, Response
from podium.base.http.websocket import WebSocket
from tests.base.http_tools import peer_of, run, serving, transport_to
from tests.base.pipes import pipe


def echoing(*, message_bytes_max: int = 1_000_000) -> Handler:
    async def handler(request: Request) -> Response:
        offered = websocket.offered_protocols(request.headers)
        protocol = "b" if "b" in offered else ""

        async def upgraded(raw: RawConnection) -> None:
            socket = WebSocket(raw, server=True, protocol=protocol, message_bytes_max=message_bytes_max)
            while (message := await socket.receive()) is not None:
                await socket.send(message)

        return Response(status=101, headers=websocket.accept_headers(request, protocol), upgrade=upgraded)

    return handler


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_messages_both_ways(tls: bool) -> None:
    messages: list[bytes | str] = [b"", b"abc", "text ä", b"x" * 300_000, "", b"\0\xff"]

    async def main() -> None:
        async with serving(echoing(), tls=tls) as server, transport_to(server) as transport:
            socket = await websocket.connect(transport, "/", protocols=["a", "b"])
            assert socket.protocol == "b"
            for message in messages:
                await socket.send(message)
            for message in messages:
                assert await socket.receive() == message
            await socket.close()

    run(main())


def test_the_peers_close_ends_receiving() -> None:
    async def main() -> None:
        near, far = pipe()
        client, server = WebSocket(near, server=False), WebSocket(far, server=True)
        await client.send(b"last")
        await client.close(1000, "bye")
        assert await server.receive() == b"last"
        assert await server.receive() is None
        assert await server.receive() is None
        with pytest.raises(ConnectionError):
            await server.send(b"x")

    run(main())


def test_a_message_in_fragments_and_a_ping_between() -> None:
    def frame(first: int, data: bytes) -> bytes:
        mask = b"\1\2\3\4"
        return bytes((first, 0x80 | len(data))) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data))

    async def main() -> None:
        near, far = pipe()
        server = WebSocket(far, server=True)
        await near.write(frame(0x02, b"ab") + frame(0x89, b"ping") + frame(0x00, b"cd") + frame(0x80, b"ef"))
        assert await server.receive() == b"abcdef"
        assert await near.read() == b"\x8a\x04ping"

    run(main())


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"\x82\x03abc", 1002), (b"\xff\xff\xff\xff\xff\xff", 1002), (b"\x82\xfe\x07\xd1" + b"\0" * 2010, 1009)],
    ids=["unmasked", "noise", "too long"],
)
def test_broken_frames_end_the_connection(data: bytes, code: int) -> None:
    async def main() -> None:
        near, far = pipe()
        server = WebSocket(far, server=True, message_bytes_max=2000)
        await near.write(data)
        assert await server.receive() is None
        farewell = await near.read()
        assert farewell[0] == 0x88
        assert int.from_bytes(farewell[2:4], "big") == code
        assert await near.read() == b""

    run(main())


KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
HEAD = b"Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
VERSION = b"Sec-WebSocket-Version: 13\r\n"


def test_the_handshake_of_the_rfc() -> None:
    async def main() -> bytes:
        async with serving(echoing()) as server, peer_of(server) as peer:
            await peer.send(b"GET / HTTP/1.1\r\n" + HEAD + VERSION + KEY + b"\r\n")
            return await peer.until(b"\r\n\r\n")

    answer = run(main())
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\n" + HEAD + VERSION,
        b"GET / HTTP/1.1\r\n" + HEAD + KEY,
        b"GET / HTTP/1.1\r\n" + HEAD + VERSION + b"Sec-WebSocket-Key: short\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 0\r\n" + HEAD + VERSION + KEY,
    ],
    ids=["no key", "no version", "bad key", "POST"],
)
def test_a_malformed_handshake_is_a_bad_request(request_: bytes) -> None:
    async def main() -> tuple[int, bytes]:
        async with serving(echoing()) as server, peer_of(server) as peer:
            await peer.send(request_ + b"\r\n")
            return await peer.answer()

    assert run(main())[0] == 400


def test_a_refusal_reaches_the_client() -> None:
    async def handler(_request: Request) -> Response:
        return Response(status=403, body=b"not you")

    async def main() -> None:
        async with serving(handler) as server, transport_to(server) as transport:
            with pytest.raises(HttpError, match="not you") as caught:
                await websocket.connect(transport, "/")
            assert caught.value.status == 403

    run(main())


def test_messages_of_several_tasks_do_not_mix() -> None:
    async def main() -> None:
        near, far = pipe()
        client, server = WebSocket(near, server=False), WebSocket(far, server=True)
        senders = [asyncio.ensure_future(client.send(bytes((i,)) * 50_000)) for i in range(20)]
        received = [await server.receive() for _ in senders]
        await asyncio.gather(*senders)
        assert sorted(received) == [bytes((i,)) * 50_000 for i in range(20)]  # type: ignore[type-var]

    run(main())
