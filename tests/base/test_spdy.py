"""SPDY/3.1: frames survive any cutting, and sessions carry streams both ways."""

from __future__ import annotations

import asyncio
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.base.http import spdy
from podium.base.http.message import Headers
from tests.base.http_tools import run
from tests.base.pipes import pipe

IDS = st.integers(1, 2**31 - 1)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12)
VALUES = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=40)
HEADERS = st.dictionaries(NAMES, VALUES, max_size=6).map(lambda d: Headers(d.items()))
FRAMES = st.one_of(
    st.builds(spdy.SynStream, IDS, HEADERS, st.booleans()),
    st.builds(spdy.SynReply, IDS, HEADERS, st.booleans()),
    st.builds(spdy.MoreHeaders, IDS, HEADERS, st.booleans()),
    st.builds(spdy.RstStream, IDS, st.integers(0, 2**32 - 1)),
    st.builds(spdy.Ping, st.integers(0, 2**32 - 1)),
    st.builds(spdy.Goaway, IDS, st.integers(0, 2**32 - 1)),
    st.builds(spdy.Data, IDS, st.binary(max_size=200), st.booleans()),
)


def test_the_dictionary_is_the_protocols() -> None:
    # A zlib stream that starts from a dictionary names it by its Adler-32, and SPDY/3's is this one.
    assert len(spdy.DICTIONARY) == 1423
    assert zlib.adler32(spdy.DICTIONARY) == 0xE3C6A7C2


def plain(frames: list[spdy.Frame]) -> list[object]:
    """Return frames comparably, with the pieces of each data frame joined."""
    joined: list[object] = []
    for frame in frames:
        if isinstance(frame, spdy.Data):
            last = joined[-1] if joined else None
            if isinstance(last, tuple) and last[0] == frame.stream_id and not last[2]:
                joined[-1] = (frame.stream_id, last[1] + frame.data, frame.fin)
            else:
                joined.append((frame.stream_id, frame.data, frame.fin))
        else:
            joined.append(repr(frame))
    return joined


@settings(max_examples=150, deadline=None)
@given(st.lists(FRAMES, max_size=12), st.data())
def test_frames_survive_any_cutting(frames: list[spdy.Frame], data: st.DataObject) -> None:
    encoder, decoder = spdy.Encoder(), spdy.Decoder()
    sent = b"".join(encoder.encode(frame) for frame in frames)
    received: list[spdy.Frame] = []
    while sent:
        size = data.draw(st.integers(1, len(sent)))
        received += decoder.feed(sent[:size])
        sent = sent[size:]
    assert plain(received) == plain(frames)


def test_frames_nobody_needs_are_passed_over() -> None:
    settings_frame = bytes.fromhex("8003000400000004") + bytes(4)
    window_update = bytes.fromhex("8003000900000008") + bytes(8)
    unknown = bytes.fromhex("800300ff00000003") + b"abc"
    ping = spdy.Encoder().encode(spdy.Ping(1))
    assert list(spdy.Decoder().feed(settings_frame + window_update + unknown + ping)) == [spdy.Ping(1)]


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\x80",
        bytes.fromhex("8002000600000004"),
        bytes.fromhex("80030001ffffffff"),
        bytes.fromhex("8003000100000004") + bytes(4),
        bytes.fromhex("8003000600000005") + bytes(5),
        bytes.fromhex("800300020000000c") + bytes(4) + b"not zlib",
    ],
    ids=["HTTP", "version 2", "too long", "too short", "odd ping", "bad compression"],
)
def test_nonsense_is_refused(data: bytes) -> None:
    decoder = spdy.Decoder()
    if data.startswith(b"GET"):  # Reads as a long data frame, which nobody waits for.
        assert all(isinstance(frame, spdy.Data) for frame in decoder.feed(data))
        return
    with pytest.raises(spdy.SpdyError):
        list(decoder.feed(data))


def test_a_header_block_cannot_explode() -> None:
    frame = spdy.Encoder().encode(spdy.SynReply(1, Headers([("a", "x" * 10_000_000)])))
    assert len(frame) < 64 * 1024
    with pytest.raises(spdy.SpdyError, match="too long"):
        list(spdy.Decoder().feed(frame))


def test_an_exec_like_conversation() -> None:
    async def main() -> None:
        near, far = pipe()
        client, server = spdy.Session(near, server=False), spdy.Session(far, server=True)

        async def serve() -> None:
            streams = {}
            for _ in range(3):
                stream = await server.accept()
                assert stream is not None
                await stream.reply()
                streams[stream.headers.get("streamtype")] = stream
            typed = b""
            while data := await streams["stdin"].read():
                typed += data
            await streams["stdout"].write(typed.upper() * 20)
            await streams["stdout"].end()
            await streams["error"].write(b'{"status":"Success"}')
            await streams["error"].end()

        running = [asyncio.ensure_future(x) for x in (client.run(), server.run(), serve())]
        error, stdin, stdout = [
            await client.open(Headers([("streamtype", k)])) for k in ("error", "stdin", "stdout")
        ]
        for stream in (error, stdin, stdout):
            await stream.wait_reply()
        await stdin.write(b"hello" * 50_000)
        await stdin.end()
        said = b""
        while data := await stdout.read():
            said += data
        assert said == b"HELLO" * 50_000 * 20
        assert await error.read() == b'{"status":"Success"}'
        assert await error.read() == b""
        client.close()
        await asyncio.gather(*running)
        assert await server.accept() is None

    run(main())


def test_a_reset_leaves_what_came_before_it() -> None:
    async def main() -> None:
        near, far = pipe()
        client, server = spdy.Session(near, server=False), spdy.Session(far, server=True)
        running = [asyncio.ensure_future(x) for x in (client.run(), server.run())]
        stream = await client.open(Headers())
        peer = await server.accept()
        assert peer is not None
        await peer.reply()
        await peer.write(b"last words")
        await peer.reset()
        assert await stream.read() == b"last words"
        with pytest.raises(ConnectionError):
            await stream.read()
        client.close()
        await asyncio.gather(*running)

    run(main())


def test_a_refused_stream_and_a_lost_session() -> None:
    async def main() -> None:
        near, far = pipe()
        client, server = spdy.Session(near, server=False), spdy.Session(far, server=True)
        running = [asyncio.ensure_future(x) for x in (client.run(), server.run())]
        stream = await client.open(Headers())
        peer = await server.accept()
        assert peer is not None
        await peer.reset(spdy.RST_REFUSED_STREAM)
        with pytest.raises(ConnectionError):
            await stream.wait_reply()
        other = await client.open(Headers())
        server.close()
        with pytest.raises(ConnectionError):
            await other.read()
        await asyncio.gather(*running)
        with pytest.raises(ConnectionError):
            await client.open(Headers())

    run(main())


def test_pings_of_the_peer_go_back() -> None:
    async def main() -> None:
        near, far = pipe()
        server = spdy.Session(far, server=True)
        running = asyncio.ensure_future(server.run())
        await near.write(spdy.Encoder().encode(spdy.Ping(7)) + spdy.Encoder().encode(spdy.Ping(8)))
        assert list(spdy.Decoder().feed(await near.read())) == [spdy.Ping(7)]
        near.close()
        await running

    run(main())


def test_a_reader_that_rests_makes_the_session_rest() -> None:
    async def main() -> None:
        near, far = pipe()
        client, server = spdy.Session(near, server=False), spdy.Session(far, server=True)
        running = [asyncio.ensure_future(x) for x in (client.run(), server.run())]
        stream = await client.open(Headers())
        peer = await server.accept()
        assert peer is not None
        writing = asyncio.ensure_future(stream.write(b"x" * 5_000_000))
        done, _ = await asyncio.wait([writing], timeout=0.2)
        assert not done
        got = 0
        while got < 5_000_000:
            got += len(await peer.read())
        await writing
        client.close()
        await asyncio.gather(*running)

    run(main())


def test_the_peer_cannot_open_streams_without_end_or_with_used_ids() -> None:
    async def main() -> None:
        near, far = pipe()
        server = spdy.Session(far, server=True)
        running = asyncio.ensure_future(server.run())
        encoder, decoder = spdy.Encoder(), spdy.Decoder()
        for i in range(spdy.STREAMS_MAX + 1):
            await near.write(encoder.encode(spdy.SynStream(2 * i + 1, Headers())))
        assert list(decoder.feed(await near.read())) == [
            spdy.RstStream(2 * spdy.STREAMS_MAX + 1, spdy.RST_REFUSED_STREAM)
        ]
        await near.write(encoder.encode(spdy.SynStream(1, Headers())))
        assert list(decoder.feed(await near.read())) == [spdy.RstStream(1, spdy.RST_PROTOCOL_ERROR)]
        assert await near.read() == b""
        await running

    run(main())
