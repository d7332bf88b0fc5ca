"""A container runtime's streaming server made of our own SPDY: what containerd does, to be looked at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from podium.base.http import spdy
from podium.base.http.message import Headers, RawConnection, Request, Response
from tests.base.http_tools import serving, url

Streams = dict[str, spdy.Stream]
Behaviour = Callable[[Streams], Awaitable[None]]


@asynccontextmanager
async def exec_double(behaviour: Behaviour, *kinds: str) -> AsyncIterator[str]:
    """Yield a URL where `behaviour` runs once the streams of these kinds (and "error") are open."""

    async def upgraded(raw: RawConnection) -> None:
        session = spdy.Session(raw, server=True)
        running = asyncio.ensure_future(session.run())
        streams: Streams = {}
        while set(streams) != {"error", *kinds}:
            stream = await session.accept()
            if stream is None:
                return
            await stream.reply()
            streams[stream.headers.get("streamtype")] = stream
        try:
            await behaviour(streams)
        finally:
            # As containerd does: the connection ends, not each stream.
            session.close()
            await running

    async def handler(request: Request) -> Response:
        assert request.headers.get("upgrade") == "SPDY/3.1"
        assert "v4.channel.k8s.io" in request.headers.get_all("x-stream-protocol-version")
        headers = Headers([("upgrade", "SPDY/3.1"), ("x-stream-protocol-version", "v4.channel.k8s.io")])
        return Response(status=101, headers=headers, upgrade=upgraded)

    async with serving(handler) as server:
        yield f"{url(server)}/exec/token"


@asynccontextmanager
async def port_forward_double() -> AsyncIterator[str]:
    """Yield a URL where forwarded connections name their port, then echo in upper case; port 9 refuses."""

    async def serve(data: spdy.Stream, error: spdy.Stream) -> None:
        if data.headers.get("port") == "9":
            await error.write(b"connection refused")
        else:
            await data.write(f"port {data.headers.get('port')}:".encode())
            while piece := await data.read():
                await data.write(piece.upper())
                if piece.endswith(b"!"):
                    break
        await error.end()
        await data.end()

    async def upgraded(raw: RawConnection) -> None:
        session = spdy.Session(raw, server=True)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(session.run())
            waiting: dict[str, Streams] = {}
            while (stream := await session.accept()) is not None:
                await stream.reply()
                pair = waiting.setdefault(stream.headers.get("requestid"), {})
                pair[stream.headers.get("streamtype")] = stream
                if len(pair) == 2:
                    tasks.create_task(serve(pair["data"], pair["error"]))

    async def handler(request: Request) -> Response:
        assert "portforward.k8s.io" in request.headers.get_all("x-stream-protocol-version")
        headers = Headers([("upgrade", "SPDY/3.1"), ("x-stream-protocol-version", "portforward.k8s.io")])
        return Response(status=101, headers=headers, upgrade=upgraded)

    async with serving(handler) as server:
        yield f"{url(server)}/portforward/token"
