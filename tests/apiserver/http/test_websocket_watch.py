"""A watch over a WebSocket: the same events, a message each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from podium.base.http import websocket
from podium.base.http.client import HttpTransport
from podium.base.http.message import HttpError
from podium.base.http.server import Server
from podium.machinery.codec import protobuf
from podium.machinery.codec.protobuf_wire import fields
from tests.apiserver.harness import Api, api

MAPS = "/api/v1/namespaces/default/configmaps"


@asynccontextmanager
async def served(directory: Path) -> AsyncIterator[tuple[Api, HttpTransport]]:
    async with api(directory) as running:
        server = Server(running.server.handler)
        await server.start("127.0.0.1", 0, None)
        transport = HttpTransport(f"http://127.0.0.1:{server.port}", ssl_context=None)
        try:
            async with asyncio.timeout(20):
                yield running, transport
        finally:
            await transport.close()
            await server.stop()


async def event(socket: websocket.WebSocket) -> tuple[str, str]:
    message = await socket.receive()
    assert isinstance(message, str)
    found = orjson.loads(message)
    return found["type"], found["object"]["metadata"].get("name", "")


def test_events_are_messages(tmp_path: Path) -> None:
    async def test() -> None:
        async with served(tmp_path) as (running, transport):
            await running.ok("POST", MAPS, {"metadata": {"name": "before"}})
            socket = await websocket.connect(transport, f"{MAPS}?watch=1")
            assert await event(socket) == ("ADDED", "before")
            await running.ok("POST", MAPS, {"metadata": {"name": "after"}})
            assert await event(socket) == ("ADDED", "after")
            await running.ok("DELETE", f"{MAPS}/before")
            assert await event(socket) == ("DELETED", "before")
            await socket.close()

    asyncio.run(test())


def test_the_subprotocol_of_the_client_is_confirmed(tmp_path: Path) -> None:
    async def test() -> None:
        async with served(tmp_path) as (running, transport):
            await running.ok("POST", MAPS, {"metadata": {"name": "a"}})
            socket = await websocket.connect(transport, f"{MAPS}?watch=1", protocols=("its.own",))
            assert socket.protocol == "its.own"
            assert await event(socket) == ("ADDED", "a")
            await socket.close()
            with pytest.raises(HttpError) as refused:
                await websocket.connect(transport, f"{MAPS}?watch=1", protocols=("one", "two"))
            assert refused.value.status == 400

    asyncio.run(test())


def test_events_in_protobuf_are_binary_messages(tmp_path: Path) -> None:
    async def test() -> None:
        async with served(tmp_path) as (running, transport):
            await running.ok("POST", MAPS, {"metadata": {"name": "a"}, "data": {"odd": "\u00fc"}})
            accept = ("accept", "application/vnd.kubernetes.protobuf")
            socket = await websocket.connect(transport, f"{MAPS}?watch=1", headers=(accept,))
            message = await socket.receive()
            assert isinstance(message, bytes)
            parts = {number: value for number, _, value in fields(message, 0, len(message))}
            assert parts[1] == b"ADDED"
            held = parts[2]
            assert isinstance(held, bytes)
            envelope = next(value for number, _, value in fields(held, 0, len(held)) if number == 1)
            assert isinstance(envelope, bytes)
            assert protobuf.unwrap(envelope).kind == "ConfigMap"
            await socket.close()

    asyncio.run(test())


def test_the_server_ends_it_when_its_time_is_up(tmp_path: Path) -> None:
    async def test() -> None:
        async with served(tmp_path) as (running, transport):
            await running.ok("POST", MAPS, {"metadata": {"name": "a"}})
            socket = await websocket.connect(transport, f"{MAPS}?watch=1&timeoutSeconds=1")
            assert await event(socket) == ("ADDED", "a")
            assert await socket.receive() is None

    asyncio.run(test())


def test_a_client_that_leaves_is_forgotten(tmp_path: Path) -> None:
    async def test() -> None:
        async with served(tmp_path) as (running, transport):
            socket = await websocket.connect(transport, f"{MAPS}?watch=1")
            await socket.close()
            root = running.server.catalog.find("", "v1", "configmaps")
            assert root is not None
            while root.root.watcher_count:
                await asyncio.sleep(0)

    asyncio.run(test())


def test_a_malformed_handshake_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with served(tmp_path) as (_, transport):
            headers = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "12"}
            response, raw = await transport.upgrade("GET", f"{MAPS}?watch=1", headers=headers)
            assert raw is None
            assert response.status == 400

    asyncio.run(test())
