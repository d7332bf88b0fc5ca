"""The same bytes for many streams: everybody gets them, in order with what is written to one alone."""

from __future__ import annotations

import asyncio

from podium.base.http.message import Request, Response, StreamWriter
from podium.base.http.stream import STREAM_FLUSH_BYTES, Stream
from tests.base.http_tools import peer_of, run, serving


def streams_of(count: int, found: list[Stream], everyone: asyncio.Event) -> object:
    async def handler(_request: Request) -> Response:
        async def stream(writer: StreamWriter) -> None:
            assert isinstance(writer, Stream)
            found.append(writer)
            if len(found) == count:
                everyone.set()
            await writer.wait_closed()

        return Response(stream=stream)

    return handler


def test_what_is_written_to_all_keeps_its_place_among_what_is_written_to_one() -> None:
    async def main() -> list[bytes]:
        found: list[Stream] = []
        everyone = asyncio.Event()
        async with (
            serving(streams_of(2, found, everyone)) as server,  # type: ignore[arg-type]
            peer_of(server) as one,
            peer_of(server) as other,
        ):
            for peer in (one, other):
                await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                await peer.until(b"\r\n\r\n")
            await everyone.wait()
            assert Stream.write_to_all(found, b"a") == []
            found[0].write(b"-")
            assert Stream.write_to_all(found, b"b") == []
            return [await one.until(b"a-b"), await other.until(b"ab")]

    first, second = run(main())
    assert first.endswith(b"3\r\na-b")
    assert second.endswith(b"2\r\nab")


def test_who_reads_slowly_is_named_and_who_has_left_is_passed_over() -> None:
    async def main() -> None:
        found: list[Stream] = []
        everyone = asyncio.Event()
        async with (
            serving(streams_of(3, found, everyone)) as server,  # type: ignore[arg-type]
            peer_of(server) as leaving,
            peer_of(server) as slow,
            peer_of(server) as quick,
        ):
            for peer in (leaving, slow, quick):
                await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                await peer.until(b"\r\n\r\n")
            await everyone.wait()
            left = asyncio.ensure_future(found[0].wait_closed())
            leaving.writer.transport.abort()
            await left
            slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
            named: list[Stream] = []
            while not named:
                named = Stream.write_to_all(found, b"x" * STREAM_FLUSH_BYTES)
                await quick.until(b"x" * STREAM_FLUSH_BYTES)
            assert named == [found[1]]
            assert found[0].buffered_bytes == 0

    run(main())
